"""A task is a case's phase at a service, in a generation; it keeps what the service said it holds and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("phase", sa.String(16), nullable=False, server_default="collect"))
    op.add_column("tasks", sa.Column("generation", sa.SmallInteger, nullable=False, server_default="1"))
    op.add_column("tasks", sa.Column("described", postgresql.JSONB, nullable=False, server_default="[]"))
    op.drop_constraint("pk_tasks", "tasks", type_="primary")
    op.create_primary_key("pk_tasks", "tasks", ["org_id", "request_id", "service", "phase", "generation"])
    op.execute(sa.text("CREATE INDEX ix_requests_answered_at ON requests (answered_at) WHERE answered_at IS NOT NULL"))
