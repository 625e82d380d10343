"""The tables of the log: one partition a day, none for other days, written once; and the days that went."""

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, LargeBinary, String, Table, Uuid

from lotpro_audit.db import METADATA

EVENTS = Table(
    "events",
    METADATA,
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("org_seq", BigInteger, nullable=False),
    Column("org_id", Uuid),
    Column("store_id", Uuid),
    Column("actor_id", Uuid),
    Column("subject_id", Uuid),
    Column("concerned_id", Uuid),
    Column("session_id", Uuid),
    Column("ip_index", LargeBinary),
    Column("success", Boolean, nullable=False),
    Column("action", String(96), nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (occurred_at)",
)

#: Days that went, each with the leaf that says so and the runs of `seq` it held.
EXPIRIES = Table(
    "expiries",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("runs", LargeBinary, nullable=False),
)
