"""Stores that are called something else, where an address signs up once more before anybody confirmed it."""

from alembic import op

from lotpro_kit import migrations

revision = "0086"
down_revision = "0085"


def upgrade() -> None:
    migrations.grant(op, "identity", "stores", "UPDATE (name, time_zone, version)")
