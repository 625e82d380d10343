"""The platform's own people in an organisation."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    op.create_table(
        "accesses",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("org_id", sa.Uuid, sa.ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    migrations.grant(op, "identity", "accesses", "SELECT", "INSERT", "UPDATE (ended_at)", "DELETE")
    migrations.isolate(
        op,
        "accesses",
        "org_id = (SELECT lotpro_org()) OR (SELECT lotpro_scope()) = 'authenticator'",
        check="(SELECT lotpro_scope()) = 'authenticator'",
    )
