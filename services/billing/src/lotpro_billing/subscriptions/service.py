"""Asking for a subscription, and keeping our row as Stripe has it."""

from datetime import datetime
from uuid import UUID

from lotpro.billing.v1 import events_pb2
from lotpro_billing.clients import stripe
from lotpro_billing.entitlements import service as entitlements
from lotpro_billing.ports import Ports
from lotpro_billing.subscriptions import repository
from lotpro_billing.subscriptions.domain import State, Subscription, next_attempt
from lotpro_kit import errors, ids, outbox
from lotpro_kit.db import Session


class ForeignSubscription(errors.Conflict):
    """Stripe says that the subscription belongs to another customer than the organisation's."""

    code = "billing.foreign_subscription"
    message = "This subscription belongs to somebody else."


async def request_subscription(
    *, session: Session, org_id: UUID, owner_id: UUID, event_id: UUID, plan: str, now: datetime
) -> None:
    """Write down that an organisation is to have a subscription; Stripe is asked after the commit.

    An organisation that has one keeps it.
    """
    await repository.add_subscription(
        session,
        Subscription(
            id=ids.new(),
            org_id=org_id,
            owner_id=owner_id,
            source_event_id=event_id,
            state=State.PENDING,
            stripe_customer_id=None,
            stripe_subscription_id=None,
            plan=plan,
            quantity=1,
            trial_ends_at=None,
            period_ends_at=None,
            cancel_at_period_end=False,
            attempts=0,
            next_attempt_at=now,
            created_at=now,
            updated_at=now,
            version=1,
        ),
    )
    await entitlements.await_entitlement(session=session, org_id=org_id, plan=plan, now=now)


async def lease_pending(*, session: Session, now: datetime) -> Subscription | None:
    """The next subscription that Stripe does not have yet, for the caller alone; None when none is due."""
    return await repository.lease_pending(session, now=now)


async def postpone(*, session: Session, row: Subscription, now: datetime) -> datetime:
    """Try a subscription that could not be started again later; answers when."""
    at = next_attempt(row.attempts, now)
    await repository.update_subscription(session, row.id, next_attempt_at=at)
    return at


async def note_customer(*, session: Session, row: Subscription, customer_id: str, now: datetime) -> None:
    """Remember the organisation's customer at Stripe before anything is done with it."""
    await repository.update_subscription(session, row.id, stripe_customer_id=customer_id, updated_at=now)


async def refresh_subscription(*, session: Session, ports: Ports, row: Subscription, stripe_id: str) -> None:
    """Fetch a subscription from Stripe and make our rows say the same, alone with it from before the fetch.

    Whatever caused this, only what Stripe says now counts: repeated and reordered causes are harmless.
    Raises ForeignSubscription, NotFound and Unavailable.
    """
    await repository.lock(session, row.id)
    found = await ports.stripe.subscription(stripe_id)
    before = await repository.subscription_of(session, org_id=row.org_id)
    if before is None:
        raise errors.NotFound
    if found.customer_id != before.stripe_customer_id:
        raise ForeignSubscription
    now = ports.clock()
    if before.state is State.PENDING or _facts(before) != _stripe_facts(found):
        after = await repository.update_subscription(
            session,
            row.id,
            state=State.STARTED,
            stripe_subscription_id=found.id,
            plan=found.plan,
            quantity=found.quantity,
            trial_ends_at=found.trial_ends_at,
            period_ends_at=found.period_ends_at,
            cancel_at_period_end=found.cancel_at_period_end,
            updated_at=now,
        )
        if before.state is State.PENDING:
            await outbox.put(
                session,
                events_pb2.SubscriptionStarted(
                    org_id=str(row.org_id), subscription_id=str(row.id), version=after.version
                ),
            )
    await entitlements.update_entitlement(session=session, org_id=row.org_id, subscription=found, now=now)


def _facts(row: Subscription) -> tuple[object, ...]:
    return row.plan, row.quantity, row.trial_ends_at, row.period_ends_at, row.cancel_at_period_end


def _stripe_facts(found: stripe.Subscription) -> tuple[object, ...]:
    return found.plan, found.quantity, found.trial_ends_at, found.period_ends_at, found.cancel_at_period_end


async def subscription_of(*, session: Session, org_id: UUID) -> Subscription | None:
    """An organisation's subscription; None when its event has not been handled yet."""
    return await repository.subscription_of(session, org_id=org_id)


async def subscription_at_stripe(
    *, session: Session, stripe_subscription_id: str, stripe_customer_id: str
) -> Subscription | None:
    """The subscription with this id at Stripe, else the one of this customer; None when neither is ours."""
    found = None
    if stripe_subscription_id:
        found = await repository.subscription_with(session, stripe_subscription_id=stripe_subscription_id)
    if found is None and stripe_customer_id:
        found = await repository.subscription_with(session, stripe_customer_id=stripe_customer_id)
    return found
