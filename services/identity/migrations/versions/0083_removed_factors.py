"""Removing a factor can be taken back for as long as its owner can say that it was somebody else."""

import sqlalchemy as sa
from alembic import op

revision = "0083"
down_revision = "0082"


def upgrade() -> None:
    op.add_column("factors", sa.Column("removed_at", sa.DateTime(timezone=True)))
    since = sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    op.add_column("recovery_codes", since)
