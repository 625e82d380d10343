"""Tables of requests, of the services asked, and of what they told."""

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from lotpro_privacy.db import METADATA

REQUESTS = Table(
    "requests",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("subject_kind", String(16), nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("email", LargeBinary),
    Column("opened_by", Uuid, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("due_on", Date, nullable=False),
    Column("answered_at", DateTime(timezone=True)),
)

#: One row a case, service, phase and generation; it is evidence, so it holds no personal data.
TASKS = Table(
    "tasks",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("request_id", Uuid, primary_key=True),
    Column("service", String(32), primary_key=True),
    Column("phase", String(16), primary_key=True, server_default="collect"),
    Column("generation", SmallInteger, primary_key=True, server_default="1"),
    Column("stage", SmallInteger, nullable=False),
    Column("done_at", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_run_at", DateTime(timezone=True), nullable=False),
    Column("error", String(96), nullable=False, server_default=""),
    Column("counts", JSONB, nullable=False, server_default="{}"),
    Column("described", JSONB, nullable=False, server_default="[]"),
    ForeignKeyConstraint(["org_id", "request_id"], ["requests.org_id", "requests.id"], ondelete="CASCADE"),
)

#: What the services told, encrypted under the case's own key.
RECORDS = Table(
    "records",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("request_id", Uuid, primary_key=True),
    Column("service", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("source_table", String(64), nullable=False),
    Column("third_party", Boolean, nullable=False),
    Column("content", LargeBinary, nullable=False),
    ForeignKeyConstraint(["org_id", "request_id"], ["requests.org_id", "requests.id"], ondelete="CASCADE"),
)
