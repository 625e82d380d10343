"""The table of the log: one partition a day, none for other days, written once."""

from sqlalchemy import Boolean, Column, DateTime, LargeBinary, String, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import ARRAY

from lotpro_audit.db import METADATA

EVENTS = Table(
    "events",
    METADATA,
    Column("occurred_at", DateTime(timezone=True), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("action", String(96), nullable=False),
    Column("success", Boolean, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("subject_kind", String(32), nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("concerned_kind", String(32), nullable=False),
    Column("concerned_id", String(64), nullable=False),
    Column("org_id", Uuid),
    Column("store_id", Uuid),
    Column("session_id", String(64), nullable=False),
    Column("factor", String(32), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("changed_fields", ARRAY(Text), nullable=False),
    Column("key_id", Uuid, nullable=False),
    Column("origin", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (occurred_at)",
)
