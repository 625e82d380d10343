"""Alembic's entry: run inventory's migrations."""

from lotpro_inventory.app import SERVICE
from lotpro_kit import migrations

migrations.run(SERVICE.metadata)
