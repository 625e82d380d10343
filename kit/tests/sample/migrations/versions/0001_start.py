"""The notes table and the plumbing."""

import sqlalchemy as sa
from alembic import op

from kit.tests.sample import app
from lotpro_kit import migrations

revision = "0001"
down_revision = None


def upgrade() -> None:
    migrations.create_plumbing(op, "sample", app.METADATA)
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    migrations.grant(op, "sample", "notes", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "notes", migrations.STORE)
