"""Alembic's entry: run notifications' migrations."""

from lotpro_kit import migrations
from lotpro_notifications.app import SERVICE

migrations.run(SERVICE.metadata)
