"""Messages that give a person some days; preferences of people who are gone may be dropped."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0040"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("messages", sa.Column("days_left", sa.Integer))
    migrations.grant(op, "notifications", "preferences", "DELETE")
