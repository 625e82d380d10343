"""Keeping the snapshot of what an organisation may use, and reading it."""

from datetime import datetime
from uuid import UUID

from lotpro.billing.v1 import events_pb2
from lotpro_billing.clients.stripe import Subscription
from lotpro_billing.entitlements import repository
from lotpro_billing.entitlements.domain import Entitlement, Status, status_of
from lotpro_kit import outbox
from lotpro_kit.db import Session

#: Stores that an organisation may use before Stripe has confirmed anything.
_STORES_AT_START = 1


async def await_entitlement(*, session: Session, org_id: UUID, plan: str, now: datetime) -> None:
    """Note that a trial is about to start, unless more than that is known already."""
    if await repository.entitlement_of(session, org_id=org_id) is None:
        await repository.put_entitlement(
            session,
            Entitlement(org_id, Status.PENDING, plan, _STORES_AT_START, valid_until=None, version=1, updated_at=now),
        )


async def update_entitlement(*, session: Session, org_id: UUID, subscription: Subscription, now: datetime) -> None:
    """Make the snapshot say what a freshly fetched subscription says, and announce a change.

    The caller holds the subscription's lock from before the fetch, so nothing older can overwrite anything newer.
    """
    status = status_of(subscription.status)
    before = await repository.entitlement_of(session, org_id=org_id)
    after = Entitlement(
        org_id=org_id,
        status=status,
        plan=subscription.plan,
        stores_limit=subscription.quantity,
        valid_until=subscription.period_ends_at,
        version=before.version + 1 if before else 1,
        updated_at=now,
    )
    if before is not None and _facts(before) == _facts(after):
        return
    await repository.put_entitlement(session, after)
    await outbox.put(
        session, events_pb2.EntitlementChanged(org_id=str(org_id), status=status, version=after.version)
    )


def _facts(entitlement: Entitlement) -> tuple[Status, str, int, datetime | None]:
    return entitlement.status, entitlement.plan, entitlement.stores_limit, entitlement.valid_until


async def entitlement_of(*, session: Session, org_id: UUID) -> Entitlement | None:
    """What an organisation may use; None when nothing is known of it yet. Never asks Stripe."""
    return await repository.entitlement_of(session, org_id=org_id)
