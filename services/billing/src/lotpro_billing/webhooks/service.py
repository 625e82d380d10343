"""Storing what the provider says, and looking into it with a fresh fetch."""

from datetime import datetime
from uuid import UUID

from lotpro_billing.ledger import service as ledger
from lotpro_billing.ports import Ports
from lotpro_billing.subscriptions import service as subscriptions
from lotpro_billing.subscriptions.domain import Subscription, next_attempt
from lotpro_billing.webhooks import repository
from lotpro_billing.webhooks.domain import PROVIDER, Notice, State, WebhookEvent
from lotpro_kit import errors
from lotpro_kit.db import Session


class NotStartedYet(errors.Unavailable):
    """The webhook came before we had written down the subscription it is about."""

    code = "billing.not_started_yet"
    message = "The subscription is still being started."


async def store_webhook(*, session: Session, notice: Notice, now: datetime) -> None:
    """Keep an event's ids; the same event is kept once. It is looked into after the commit."""
    await repository.store(
        session,
        WebhookEvent(
            provider=PROVIDER,
            event_id=notice.event_id,
            type=notice.type,
            object_id=notice.object_id,
            subscription_id=notice.subscription_id,
            customer_id=notice.customer_id,
            org_id=None,
            state=State.STORED,
            reason=None,
            attempts=0,
            next_attempt_at=now,
            occurred_at=notice.occurred_at,
            received_at=now,
            processed_at=None,
        ),
    )


async def next_webhook(*, session: Session, now: datetime) -> WebhookEvent | None:
    """The next event to look into, held until the transaction ends; None when none is due."""
    return await repository.next_due(session, now=now)


async def process_webhook(*, session: Session, ports: Ports, event: WebhookEvent) -> None:
    """Look into an event: fetch what it is about and write down what is so now.

    What the body said plays no part, so repeats and any order end alike. Raises Unavailable when it must wait.
    """
    if not event.type.startswith(("customer.subscription.", "invoice.")):
        await _done(session, ports, event, State.IGNORED, reason="billing.unhandled_type")
        return
    row = await subscriptions.subscription_at_stripe(
        session=session, stripe_subscription_id=event.subscription_id, stripe_customer_id=event.customer_id
    )
    if row is None or (row.stripe_subscription_id or event.subscription_id) != event.subscription_id:
        await _done(session, ports, event, State.IGNORED, reason="billing.unknown_subscription")
        return
    if row.stripe_subscription_id is None:
        raise NotStartedYet
    try:
        await _refresh(session, ports, event, row, row.stripe_subscription_id)
    except (errors.NotFound, errors.Conflict) as refused:
        await _done(session, ports, event, State.IGNORED, reason=refused.code, org_id=row.org_id)
        return
    await _done(session, ports, event, State.PROCESSED, org_id=row.org_id)


async def _refresh(
    session: Session, ports: Ports, event: WebhookEvent, row: Subscription, stripe_id: str
) -> None:
    await subscriptions.refresh_subscription(session=session, ports=ports, row=row, stripe_id=stripe_id)
    if event.type.startswith("invoice."):
        invoice = await ports.stripe.invoice(event.object_id)
        if invoice.customer_id != row.stripe_customer_id:
            raise subscriptions.ForeignSubscription
        await ledger.record_invoice(session=session, org_id=row.org_id, invoice=invoice, now=ports.clock())


async def _done(
    session: Session,
    ports: Ports,
    event: WebhookEvent,
    state: State,
    *,
    reason: str | None = None,
    org_id: UUID | None = None,
) -> None:
    await repository.update(
        session, event, state=state, reason=reason, org_id=org_id, processed_at=ports.clock(),
        attempts=event.attempts + 1,
    )


async def postpone_webhook(*, session: Session, event: WebhookEvent, reason: str, now: datetime) -> datetime:
    """Look into an event again later; answers when."""
    attempts = event.attempts + 1
    at = next_attempt(attempts, now)
    await repository.update(session, event, attempts=attempts, reason=reason, next_attempt_at=at)
    return at
