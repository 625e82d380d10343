"""The tables of alerts: what organisations watch for, how far each log was looked at, counts, and what was raised."""

from dataclasses import fields

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Enum,
    ForeignKeyConstraint,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)

from lotpro_audit.alerts.domain import Alert, Group, Raised
from lotpro_audit.db import METADATA

ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("name", String(80), nullable=False),
    Column("action", String(96)),
    Column("success", Boolean),
    Column("actor_id", Uuid),
    Column("subject_id", Uuid),
    Column("store_id", Uuid),
    Column("factor", String(32)),
    Column("count", Integer, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("per", Enum(Group, native_enum=False, length=16, values_callable=list), nullable=False),
    Column("quiet_minutes", Integer, nullable=False),
    #: Roles of the organisation's people who are told.
    Column("recipients", ARRAY(String(32)), nullable=False),
    #: The moment of the event that raised it last.
    Column("raised_at", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("org_id", "id"),
)

#: How far an organisation's log was looked at, by its own sequence. Organisations without alerts have no row.
POSITIONS = Table(
    "alert_positions",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("org_seq", BigInteger, nullable=False),
)

#: When events that count happened, by alert and group: the actor's id, the address's blind index, or empty.
WINDOWS = Table(
    "alert_windows",
    METADATA,
    Column("alert_id", Uuid, primary_key=True),
    Column("key", String(36), primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("moments", ARRAY(BigInteger), nullable=False),
    Column("newest_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["org_id", "alert_id"], ["alerts.org_id", "alerts.id"], ondelete="CASCADE"),
)

RAISED = Table(
    "raised_alerts",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("alert_id", Uuid, nullable=False),
    #: The event that raised it, and its place in the log.
    Column("event_id", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("raised_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["org_id", "alert_id"], ["alerts.org_id", "alerts.id"], ondelete="CASCADE"),
)

#: The columns of `Alert` and `Raised`, in their order.
COLUMNS = tuple(ALERTS.c[field.name] for field in fields(Alert))
RAISED_COLUMNS = tuple(RAISED.c[field.name] for field in fields(Raised))
