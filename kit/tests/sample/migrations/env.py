"""Alembic's entry: run the sample's migrations."""

from kit.tests.sample import app
from lotpro_kit import migrations

migrations.run(app.METADATA)
