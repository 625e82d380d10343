"""Alembic's entry: run audit's migrations."""

from lotpro_audit.db import METADATA
from lotpro_kit import migrations

migrations.run(METADATA)
