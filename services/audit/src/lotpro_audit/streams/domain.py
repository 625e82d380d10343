"""What a stream is, when it is tried again, and how what is sent is signed; pure."""

import hmac
import random
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from lotpro_kit import errors

#: An organisation's streams.
MOST_STREAMS = 5
#: Events that are sent together.
BATCH = 100
#: A batch on its way is nobody else's for so long: longer than reading it and its sending (10 s) can take.
LEASE = timedelta(seconds=30)
#: A secret that was replaced still signs for so long, so that the receiver can change over.
OVERLAP = timedelta(hours=24)
#: Doubling backoff: 2 s, 4 s, ... capped at one hour.
MOST_BACKOFF_SECONDS = 3600.0
#: What a receiver answers that wants no more of it (RFC 9110, 15.5.11).
GONE = 410


class TooManyStreams(errors.Conflict):
    """The organisation has MOST_STREAMS streams."""

    code = "audit.too_many_streams"
    message = "There are as many streams as an organisation can have. Delete one first."


class AddressRefused(errors.Invalid):
    """Nothing is sent there."""

    code = "audit.stream_address_refused"
    message = "A webhook is a public https address without a password in it; a syslog server is a public host:port."


class NoSecret(errors.Conflict):
    """The stream is of a kind that is not signed."""

    code = "audit.stream_has_no_secret"
    message = "A syslog stream has no secret: its server is known by its certificate."


class Kind(StrEnum):
    """How a log is sent."""

    WEBHOOK = "webhook"
    SYSLOG = "syslog"


class State(StrEnum):
    """Whether a stream is sent."""

    ACTIVE = "active"
    PAUSED = "paused"


class PauseReason(StrEnum):
    """Why not: somebody asked for it, or the receiver said that it is gone."""

    ASKED = "asked"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Stream:
    """A row of streams. `position` is the number, in the organisation's own sequence, of the last event that arrived.

    `personal` adds addresses and browsers to what is sent. Secrets are encrypted.
    """

    id: UUID
    org_id: UUID
    kind: Kind
    name: str
    address: str
    personal: bool
    state: State
    pause_reason: PauseReason | None
    secret: bytes | None
    former_secret: bytes | None
    former_until: datetime | None
    position: int
    attempts: int
    next_attempt_at: datetime
    lease: UUID | None
    leased_until: datetime | None
    last_error: str | None
    last_failed_at: datetime | None
    last_sent_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


def backoff_cap(attempts: int) -> float:
    """Seconds that are waited at most before the try after so many that failed (from 1)."""
    return min(MOST_BACKOFF_SECONDS, 2.0 ** min(attempts, 20))


def next_attempt(attempts: int, *, now: datetime) -> datetime:
    """When it is tried again: full jitter under the doubling cap."""
    return now + timedelta(seconds=random.uniform(0, backoff_cap(attempts)))  # noqa: S311 - jitter, not a secret


def secret_of(entropy: bytes) -> str:
    """A new secret as its receiver is told it."""
    return "lps_" + urlsafe_b64encode(entropy).decode().rstrip("=")


def signature(body: bytes, secrets: Sequence[str], *, at: datetime) -> str:
    """The header Lotpro-Signature: `t=<epoch seconds>,v1=<hex>`, a v1 for each secret that is valid.

    Each is HMAC-SHA256 of the time, a full stop and the body under the secret's text as it was told.
    """
    moment = str(int(at.timestamp()))
    signed = moment.encode() + b"." + body
    return f"t={moment}" + "".join(f",v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}" for secret in secrets)
