"""Organisations in which nobody but the owners is anything for a while."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0085"
down_revision = "0084"


def upgrade() -> None:
    op.add_column("organisations", sa.Column("suspended_at", sa.DateTime(timezone=True)))
    migrations.grant(op, "identity", "organisations", "UPDATE (suspended_at)")
