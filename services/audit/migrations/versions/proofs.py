"""Ids that were written are found by where they were written, so that the log can be held against them."""

from alembic import op

revision = "proofs"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(None, "claims", ["seq"])
