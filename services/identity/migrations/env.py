"""Alembic's entry: run identity's migrations."""

from lotpro_identity.db import METADATA
from lotpro_kit import migrations

migrations.run(METADATA)
