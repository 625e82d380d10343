"""The life of accounts: when they were used, when they close, what was announced."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0040"
down_revision = "0003"


def upgrade() -> None:
    # Filled by defaults: row-level security hides the rows from an UPDATE of the owner's. An account of which nobody
    # knows when it was used last counts as used now.
    op.add_column("accounts", sa.Column("status", sa.String(16), nullable=False, server_default="active"))
    op.add_column(
        "accounts",
        sa.Column("last_active_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.add_column("accounts", sa.Column("delete_after", sa.DateTime(timezone=True)))
    op.add_column("accounts", sa.Column("ended_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_accounts_inactive", "accounts", ["last_active_at"], postgresql_where=sa.text("status = 'active'")
    )
    op.create_index("ix_accounts_closing", "accounts", ["delete_after"], postgresql_where=sa.text("status = 'closing'"))
    op.add_column("organisations", sa.Column("orphaned_at", sa.DateTime(timezone=True)))
    op.create_table(
        "lifecycle_announcements",
        sa.Column(
            "account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("warning_days", sa.Integer, primary_key=True),
        sa.Column("inactive_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
    )
    migrations.grant(op, "identity", "lifecycle_announcements", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(op, "lifecycle_announcements", "(SELECT lotpro_scope()) = 'authenticator'")
    # Who goes takes these along.
    for table in ("sessions", "memberships", "invitations"):
        migrations.grant(op, "identity", table, "DELETE")
    migrations.grant(op, "identity", "organisations", "UPDATE (orphaned_at)")
