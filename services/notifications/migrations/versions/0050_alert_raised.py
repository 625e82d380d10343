"""Messages that say how many events they tell of."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0040"


def upgrade() -> None:
    op.add_column("messages", sa.Column("event_count", sa.Integer))
