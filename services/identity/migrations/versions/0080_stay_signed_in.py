"""Whether a browser keeps a session's cookie when it is closed."""

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0070"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("stays", sa.Boolean, nullable=False, server_default="false"))
