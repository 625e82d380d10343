"""What a subscription entitles to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

#: What every plan has so far.
FEATURES = ("inventory", "sales", "deliveries", "notifications", "privacy")


class Status(StrEnum):
    """Where an organisation stands with its subscription."""

    PENDING = "pending"  # Stripe has not confirmed the trial yet
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"  # a payment failed; nothing is taken away while it is tried again
    CANCELED = "canceled"
    NONE = "none"  # no subscription was ever asked for


_STATUS_OF = {
    "trialing": Status.TRIALING,
    "active": Status.ACTIVE,
    "past_due": Status.PAST_DUE,
    "unpaid": Status.PAST_DUE,
    "paused": Status.PAST_DUE,
    "incomplete": Status.PENDING,
    "incomplete_expired": Status.CANCELED,
    "canceled": Status.CANCELED,
}


def status_of(stripe_status: str) -> Status:
    """Our status for one of Stripe's. One that Stripe may add later takes nothing away: PAST_DUE."""
    return _STATUS_OF.get(stripe_status, Status.PAST_DUE)


def features_of(status: Status) -> tuple[str, ...]:
    """What may be used: everything while it runs or is about to, nothing without a subscription."""
    return () if status in (Status.CANCELED, Status.NONE) else FEATURES


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A row of entitlements; times in UTC."""

    org_id: UUID
    status: Status
    plan: str
    stores_limit: int
    valid_until: datetime | None
    version: int
    updated_at: datetime
