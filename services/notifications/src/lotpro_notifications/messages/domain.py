"""What a message is, which goes first, and when one is tried again."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """Why a message is sent."""

    CODE = "code"
    VEHICLE_SOLD = "vehicle_sold"
    REQUEST_ANSWERED = "request_answered"
    ACCOUNT_INACTIVE = "account_inactive"
    ACCOUNT_REMOVED = "account_removed"
    ALERT_RAISED = "alert_raised"


class Lane(StrEnum):
    """Messages of one lane never wait for those of another; listed in the order of urgency."""

    MFA = "mfa"
    SECURITY = "security"
    TRANSACTIONAL = "transactional"
    BULK = "bulk"


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    SMS = "sms"


class State(StrEnum):
    """How far a message has come. Only QUEUED and SENDING ever change again, UNKNOWN only when the truth comes out."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


#: Messages in flight at once, for each lane its own: a full lane takes nothing from the others.
AT_ONCE = {Lane.MFA: 8, Lane.SECURITY: 4, Lane.TRANSACTIONAL: 8, Lane.BULK: 4}

#: Longer than a message's calls to identity, inventory and the provider can take together (5 + 5 + 10 seconds).
LEASE = timedelta(seconds=60)

#: A code is worth trying again only for moments, anything else for most of a day.
_BACKOFF = {Lane.MFA: (0.5, 8.0), Lane.SECURITY: (1.0, 300.0)}
_BACKOFF_OF_OTHERS = (5.0, 7200.0)
MOST_ATTEMPTS = 16


def next_attempt(lane: Lane, *, attempts: int, retry_after: float, now: datetime) -> datetime:
    """When a message that was not taken is tried again: full jitter under a doubling cap, never before the
    `retry_after` seconds that the provider asked for."""
    base, most = _BACKOFF.get(lane, _BACKOFF_OF_OTHERS)
    wait = random.uniform(0, min(most, base * 2 ** min(attempts, 20)))  # noqa: S311 - jitter, not a secret
    return now + timedelta(seconds=retry_after + wait)


def gives_up(attempts: int) -> bool:
    """Whether a message was tried often enough."""
    return attempts >= MOST_ATTEMPTS


@dataclass(frozen=True, slots=True)
class Person:
    """Whose messages are meant: those to a user or about a customer, inside one organisation.

    `outside` adds those to the user that no organisation sent (their own codes).
    """

    org_id: UUID | None
    user_id: UUID | None = None
    customer_id: UUID | None = None
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A row of messages; times in UTC."""

    id: UUID
    org_id: UUID | None
    kind: Kind
    lane: Lane
    channel: Channel | None
    user_id: UUID | None
    about_id: UUID
    customer_id: UUID | None
    source_event_id: UUID
    part: str
    state: State
    attempts: int
    next_attempt_at: datetime
    leased_until: datetime | None
    expires_at: datetime | None
    provider_id: str | None
    reason: str | None
    created_at: datetime
    updated_at: datetime
    #: Days that the message gives the person, where it does.
    days_left: int | None = None
    #: How many events the message tells of, where it does.
    event_count: int | None = None
