"""The table of subscriptions: written before Stripe is called, so that a crash repeats the call and not the deed."""

from dataclasses import fields

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Enum,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)

from lotpro_billing.db import METADATA
from lotpro_billing.subscriptions.domain import State, Subscription

SUBSCRIPTIONS = Table(
    "subscriptions",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    # The event that asked for it; Stripe's idempotency keys are made of it.
    Column("source_event_id", Uuid, nullable=False),
    Column("state", Enum(State, native_enum=False, length=16, values_callable=list), nullable=False),
    Column("stripe_customer_id", String(64)),
    Column("stripe_subscription_id", String(64)),
    Column("plan", String(64), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("trial_ends_at", DateTime(timezone=True)),
    Column("period_ends_at", DateTime(timezone=True)),
    Column("cancel_at_period_end", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("org_id"),
    UniqueConstraint("stripe_customer_id"),
    UniqueConstraint("stripe_subscription_id"),
    Index("ix_subscriptions_pending", "next_attempt_at", postgresql_where=text("state = 'pending'")),
)


#: The columns of `Subscription`, in its order.
COLUMNS = tuple(SUBSCRIPTIONS.c[field.name] for field in fields(Subscription))
