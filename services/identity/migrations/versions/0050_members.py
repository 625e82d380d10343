"""Members can be suspended; organisations say which factors they allow."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0050"
down_revision = "0040"


def upgrade() -> None:
    op.add_column("memberships", sa.Column("suspended_at", sa.DateTime(timezone=True)))
    for name in ("allow_sms_factor", "allow_email_factor"):
        op.add_column("organisations", sa.Column(name, sa.Boolean, nullable=False, server_default="true"))
    migrations.grant(op, "identity", "memberships", "UPDATE (suspended_at)")
    migrations.grant(op, "identity", "organisations", "UPDATE (name, version, allow_sms_factor, allow_email_factor)")
