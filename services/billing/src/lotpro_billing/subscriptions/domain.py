"""What lotPro sells, and how starting a subscription stays one deed."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from lotpro_kit.caller import Caller
from lotpro_kit.errors import NotFound

#: Every organisation begins with a trial of two weeks.
TRIAL_DAYS = 14

#: The standard plan, a store and a month, in US cents. Stripe's own price wins where its lookup key exists.
STANDARD_NAME = "lotPro Standard"
STANDARD_AMOUNT = 9_900
STANDARD_CURRENCY = "usd"

#: Longer than starting takes when every call to identity and Stripe uses up its time.
LEASE = timedelta(minutes=3)
_LONGEST_WAIT_SECONDS = 900.0


class State(StrEnum):
    """Whether Stripe has the subscription already."""

    PENDING = "pending"
    STARTED = "started"


def idempotency_key(event_id: UUID, what: str) -> str:
    """Stripe's key for one deed of one event: the same however often it is tried, by however many processes."""
    return f"lotpro-{event_id}-{what}"


def next_attempt(attempts: int, now: datetime) -> datetime:
    """When something that Stripe or identity did not do is tried again: full jitter under a doubling cap of 15 min."""
    wait = random.uniform(0.5, 1.0) * min(_LONGEST_WAIT_SECONDS, 2.0 ** min(attempts, 12))  # noqa: S311 - jitter
    return now + timedelta(seconds=wait)


def organisation_of(caller: Caller) -> UUID:
    """The caller's organisation; without one nothing here is theirs: NotFound."""
    if caller.org_id is None:
        raise NotFound
    return caller.org_id


@dataclass(frozen=True, slots=True)
class Subscription:
    """A row of subscriptions; times in UTC."""

    id: UUID
    org_id: UUID
    owner_id: UUID
    source_event_id: UUID
    state: State
    stripe_customer_id: str | None
    stripe_subscription_id: str | None
    plan: str
    quantity: int
    trial_ends_at: datetime | None
    period_ends_at: datetime | None
    cancel_at_period_end: bool
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    updated_at: datetime
    version: int
