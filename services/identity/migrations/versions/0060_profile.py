"""What people tell about themselves: their work, encrypted, their time zone, and where their picture is."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0060"
down_revision = "0051"


def upgrade() -> None:
    for name in ("job_title", "department", "position"):
        op.add_column("accounts", sa.Column(name, sa.LargeBinary))
    op.add_column("accounts", sa.Column("time_zone", sa.String(64)))
    op.create_table(
        "picture_blobs",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("remove_after", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "ix_picture_blobs_due", "picture_blobs", ["remove_after"], postgresql_where=sa.text("remove_after IS NOT NULL")
    )
    migrations.grant(op, "identity", "picture_blobs", "SELECT", "INSERT", "UPDATE", "DELETE")
    migrations.isolate(op, "picture_blobs", "(SELECT lotpro_scope()) = 'authenticator'")
    op.add_column("accounts", sa.Column("picture_id", sa.Uuid, sa.ForeignKey("picture_blobs.id")))
    # Else each blob that is removed would have all accounts read through.
    op.create_index(
        "ix_accounts_picture", "accounts", ["picture_id"], postgresql_where=sa.text("picture_id IS NOT NULL")
    )
