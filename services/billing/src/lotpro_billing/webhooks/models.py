"""The table of webhooks: ids and fate of every event, kept as long as billing records; never a body."""

from dataclasses import fields

from sqlalchemy import Column, DateTime, Enum, Index, Integer, PrimaryKeyConstraint, String, Table, Uuid, text

from lotpro_billing.db import METADATA
from lotpro_billing.webhooks.domain import State, WebhookEvent

WEBHOOK_EVENTS = Table(
    "webhook_events",
    METADATA,
    Column("provider", String(16), nullable=False),
    Column("event_id", String(255), nullable=False),
    Column("type", String(255), nullable=False),
    Column("object_id", String(255), nullable=False),
    Column("subscription_id", String(255), nullable=False),
    Column("customer_id", String(255), nullable=False),
    Column("org_id", Uuid),
    Column("state", Enum(State, native_enum=False, length=16, values_callable=list), nullable=False),
    Column("reason", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("processed_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("provider", "event_id"),
    Index("ix_webhook_events_due", "next_attempt_at", postgresql_where=text("state = 'stored'")),
)


#: The columns of `WebhookEvent`, in its order.
COLUMNS = tuple(WEBHOOK_EVENTS.c[field.name] for field in fields(WebhookEvent))
