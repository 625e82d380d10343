"""Alembic's entry: run billing's migrations."""

from lotpro_billing.app import SERVICE
from lotpro_kit import migrations

migrations.run(SERVICE.metadata)
