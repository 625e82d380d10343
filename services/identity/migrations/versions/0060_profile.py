"""What people tell about themselves: their work, encrypted, and their time zone."""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0040"


def upgrade() -> None:
    for name in ("job_title", "department", "position"):
        op.add_column("accounts", sa.Column(name, sa.LargeBinary))
    op.add_column("accounts", sa.Column("time_zone", sa.String(64)))
