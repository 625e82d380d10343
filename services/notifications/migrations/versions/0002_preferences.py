"""Preferences of people."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "0002"
down_revision = "0001"

#: A person sees their own; the sender asks for those of the people it is about to tell something.
_OWN = "user_id = (SELECT lotpro_user()) OR (SELECT lotpro_scope()) = 'sender'"


def upgrade() -> None:
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("sms_alerts", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    migrations.grant(op, "notifications", "preferences", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "preferences", _OWN)
