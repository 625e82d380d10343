"""Codes belong to the request they were asked for with."""

import sqlalchemy as sa
from alembic import op

revision = "0081"
down_revision = "0080"


def upgrade() -> None:
    op.add_column("challenges", sa.Column("binding", sa.LargeBinary))
