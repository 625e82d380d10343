"""Messages and the plumbing."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations
from lotpro_notifications.app import SERVICE

revision = "0001"
down_revision = None

#: An organisation sees what was sent for it; the sender sees every message, also those of no organisation.
_VISIBLE = "org_id = (SELECT lotpro_org()) OR (SELECT lotpro_scope()) = 'sender'"


def upgrade() -> None:
    migrations.create_plumbing(op, "notifications", SERVICE.metadata)
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("lane", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(32)),
        sa.Column("user_id", sa.Uuid),
        sa.Column("about_id", sa.Uuid, nullable=False),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("source_event_id", sa.Uuid, nullable=False),
        sa.Column("part", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("provider_id", sa.String(128)),
        sa.Column("reason", sa.String(64)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("source_event_id", "part", "user_id", postgresql_nulls_not_distinct=True),
    )
    queued, sending = sa.text("state = 'queued'"), sa.text("state = 'sending'")
    op.create_index("ix_messages_due", "messages", ["lane", "next_attempt_at"], postgresql_where=queued)
    op.create_index("ix_messages_leased", "messages", ["leased_until"], postgresql_where=sending)
    op.create_index("ix_messages_org", "messages", ["org_id", "id"])
    op.create_index("ix_messages_user", "messages", ["user_id"])
    op.create_index(
        "ix_messages_customer", "messages", ["org_id", "customer_id"],
        postgresql_where=sa.text("customer_id IS NOT NULL"),
    )
    migrations.grant(op, "notifications", "messages", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "messages", _VISIBLE)
