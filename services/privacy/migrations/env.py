"""Alembic's entry: run privacy's migrations."""

from lotpro_kit import migrations
from lotpro_privacy.db import METADATA

migrations.run(METADATA)
