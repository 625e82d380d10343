"""All SQL about webhooks."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from lotpro_billing.webhooks.domain import State, WebhookEvent
from lotpro_billing.webhooks.models import COLUMNS, WEBHOOK_EVENTS
from lotpro_kit.db import Session

#: The processor's loop listens to this.
CHANNEL = "webhook_events"


async def store(session: Session, event: WebhookEvent) -> None:
    """Insert an event, unless it is there, and wake the processor at commit."""
    await session.execute(insert(WEBHOOK_EVENTS).values(asdict(event)).on_conflict_do_nothing())
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


async def next_due(session: Session, *, now: datetime) -> WebhookEvent | None:
    """The stored event that waits longest, held until the transaction ends; None when none is due."""
    found = await session.execute(
        select(*COLUMNS)
        .where(WEBHOOK_EVENTS.c.state == State.STORED, WEBHOOK_EVENTS.c.next_attempt_at <= now)
        .order_by(WEBHOOK_EVENTS.c.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = found.one_or_none()
    return WebhookEvent(*row) if row is not None else None


async def update(session: Session, event: WebhookEvent, **changes: Any) -> None:
    """Change what is known of an event."""
    await session.execute(
        WEBHOOK_EVENTS.update()
        .where(WEBHOOK_EVENTS.c.provider == event.provider, WEBHOOK_EVENTS.c.event_id == event.event_id)
        .values(**changes)
    )
