"""The tables of the log: one partition a day, none for other days, written once; and the days that went."""

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, LargeBinary, String, Table, Uuid, literal_column

from lotpro_audit.db import METADATA
from lotpro_audit.events.leaf import LEAF_SQL

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
    Column("rest", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (occurred_at)",
)
#: A row's leaf, which its columns begin and `rest` ends.
LEAF = literal_column(LEAF_SQL, LargeBinary).label("leaf")

#: Which of an organisation's own numbers went with which day: an export says so of what it does not have.
EXPIRED_RUNS = Table(
    "expired_runs",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("day", Date, nullable=False),
)

#: Days that went: the runs of `seq` that each had, and of those that were held. The leaf that says so is left for the
#: log with the row, and kept beside it (`seq`, `leaf`) once it is written.
EXPIRIES = Table(
    "expiries",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("seq", BigInteger),
    Column("leaf", LargeBinary),
    Column("runs", LargeBinary, nullable=False),
    Column("held", LargeBinary, nullable=False),
)
