"""All SQL about subscriptions."""

import hashlib
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from lotpro_billing.subscriptions.domain import LEASE, State, Subscription
from lotpro_billing.subscriptions.models import COLUMNS, SUBSCRIPTIONS
from lotpro_kit.db import Session

#: The starter's loop listens to this.
CHANNEL = "subscriptions"


async def add_subscription(session: Session, subscription: Subscription) -> None:
    """Insert a subscription, unless the organisation has one, and wake the starter at commit."""
    await session.execute(insert(SUBSCRIPTIONS).values(asdict(subscription)).on_conflict_do_nothing())
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


async def subscription_of(session: Session, *, org_id: UUID) -> Subscription | None:
    """An organisation's subscription, or None."""
    row = (await session.execute(select(*COLUMNS).where(SUBSCRIPTIONS.c.org_id == org_id))).one_or_none()
    return Subscription(*row) if row is not None else None


async def subscription_with(
    session: Session, *, stripe_subscription_id: str = "", stripe_customer_id: str = ""
) -> Subscription | None:
    """The subscription that has one of these ids at Stripe, or None. Empty text finds nothing."""
    column, value = (
        (SUBSCRIPTIONS.c.stripe_subscription_id, stripe_subscription_id)
        if stripe_subscription_id
        else (SUBSCRIPTIONS.c.stripe_customer_id, stripe_customer_id)
    )
    row = (await session.execute(select(*COLUMNS).where(column == value))).one_or_none()
    return Subscription(*row) if row is not None else None


async def lease_pending(session: Session, *, now: datetime) -> Subscription | None:
    """The pending subscription that waits longest, ours to start for LEASE; None when none is due."""
    due = (
        select(SUBSCRIPTIONS.c.id)
        .where(SUBSCRIPTIONS.c.state == State.PENDING, SUBSCRIPTIONS.c.next_attempt_at <= now)
        .order_by(SUBSCRIPTIONS.c.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .cte("due")
        .prefix_with("MATERIALIZED")  # a sub-select in IN may be asked once a row, and so lease many
    )
    leased = await session.execute(
        SUBSCRIPTIONS.update()
        .where(SUBSCRIPTIONS.c.id.in_(select(due.c.id)))
        .values(attempts=SUBSCRIPTIONS.c.attempts + 1, next_attempt_at=now + LEASE)
        .returning(*COLUMNS)
    )
    row = leased.one_or_none()
    return Subscription(*row) if row is not None else None


async def update_subscription(session: Session, subscription_id: UUID, **changes: Any) -> Subscription:
    """Change a subscription and answer it as it is then."""
    row = await session.execute(
        SUBSCRIPTIONS.update()
        .where(SUBSCRIPTIONS.c.id == subscription_id)
        .values(**changes, version=SUBSCRIPTIONS.c.version + 1)
        .returning(*COLUMNS)
    )
    return Subscription(*row.one())


async def lock(session: Session, subscription_id: UUID) -> None:
    """Hold a subscription alone until the transaction ends: across the fetch from Stripe and the write."""
    key = int.from_bytes(hashlib.sha256(subscription_id.bytes).digest()[:8], "big", signed=True)
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
