"""Ids that were written are found by where they were written, so that the log can be held against them."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index(None, "claims", ["seq"])
