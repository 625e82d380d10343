"""Requests, the services asked, what they told, and the plumbing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from lotpro_kit import migrations
from lotpro_privacy.db import METADATA

revision = "0001"
down_revision = None

_OURS_OR_THE_ENGINE = (
    "org_id = (SELECT lotpro_org()) OR (SELECT lotpro_scope()) = 'engine' OR (SELECT lotpro_scope()) = 'retention'"
)


def _of_a_request() -> list[sa.Column[object] | sa.ForeignKeyConstraint]:
    return [
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("request_id", sa.Uuid, primary_key=True),
        sa.Column("service", sa.String(32), primary_key=True),
        sa.ForeignKeyConstraint(["org_id", "request_id"], ["requests.org_id", "requests.id"], ondelete="CASCADE"),
    ]


def upgrade() -> None:
    migrations.create_plumbing(op, "privacy", METADATA)
    op.create_table(
        "requests",
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject_kind", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("email", sa.LargeBinary),
        sa.Column("opened_by", sa.Uuid, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "tasks",
        *_of_a_request(),
        sa.Column("stage", sa.SmallInteger, nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(96), nullable=False, server_default=""),
        sa.Column("counts", postgresql.JSONB, nullable=False, server_default="{}"),
    )
    op.execute(sa.text("CREATE INDEX ix_tasks_due ON tasks (next_run_at) WHERE done_at IS NULL"))
    op.create_table(
        "records",
        *_of_a_request(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("source_table", sa.String(64), nullable=False),
        sa.Column("third_party", sa.Boolean, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    migrations.grant(op, "privacy", "requests", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.grant(op, "privacy", "tasks", "SELECT", "INSERT", "UPDATE")
    migrations.grant(op, "privacy", "records", "SELECT", "INSERT")
    for table in ("requests", "tasks", "records"):
        migrations.isolate(op, table, _OURS_OR_THE_ENGINE)
