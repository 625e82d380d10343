"""Whether a password was set from the mailbox alone."""

import sqlalchemy as sa
from alembic import op

revision = "0082"
down_revision = "0081"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("password_mailed_at", sa.DateTime(timezone=True)))
