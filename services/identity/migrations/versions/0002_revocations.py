"""Access versions and revocations; a session knows its organisation and when its owner last proved who they are."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("access_version", sa.BigInteger, nullable=False, server_default="1"))
    op.add_column("sessions", sa.Column("org_id", sa.Uuid))
    # Filled by a default: row-level security hides the rows from an UPDATE of the owner's.
    moment = sa.Column("authenticated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    op.add_column("sessions", moment)
    op.alter_column("sessions", "authenticated_at", server_default=None)
    op.create_table(
        "revocations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("session_id", sa.Uuid),
        sa.Column("account_id", sa.Uuid),
        sa.Column("access_version", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(None, "revocations", ["created_at"])
    migrations.grant(op, "identity", "revocations", "SELECT", "INSERT", "DELETE")
    # Whoever may end a session may write one; only the directory reads them all.
    op.execute("ALTER TABLE revocations ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE revocations FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY written ON revocations FOR INSERT WITH CHECK (true)")
    op.execute(
        "CREATE POLICY read ON revocations FOR SELECT USING ((SELECT lotpro_scope()) IN ('directory', 'authenticator'))"
    )
    op.execute("CREATE POLICY dropped ON revocations FOR DELETE USING ((SELECT lotpro_scope()) = 'authenticator')")
