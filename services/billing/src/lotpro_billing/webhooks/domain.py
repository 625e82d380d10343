"""Reading a webhook: whether the provider signed it just now, and which ids it is about."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from lotpro_kit import errors

PROVIDER = "stripe"
#: Stripe's own tolerance. Theirs looks back only; a stamp from the future is refused here as well.
TOLERANCE_SECONDS = 300


class State(StrEnum):
    """How far a webhook has come."""

    STORED = "stored"
    PROCESSED = "processed"
    IGNORED = "ignored"


class WebhookUnsigned(errors.Unauthenticated):
    """The body was not signed by the provider, not just now, or not as it is."""

    code = "billing.webhook_unsigned"
    message = "The signature does not fit."


class WebhookUnreadable(errors.Invalid):
    """The body is signed, but it is no event."""

    code = "billing.webhook_unreadable"
    message = "The body is not an event."


@dataclass(frozen=True, slots=True)
class Notice:
    """What is taken from an event's body: ids and its type. Everything else is fetched when it is looked into."""

    event_id: str
    type: str
    object_id: str
    subscription_id: str
    customer_id: str
    occurred_at: datetime


def verify(body: bytes, header: str, *, secrets: Sequence[str], now: datetime) -> None:
    """Raise WebhookUnsigned unless one of the secrets signed exactly this body, at most 300 s from now either way.

    The header is `t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">[,v1=...]` (docs.stripe.com/webhooks/signature).
    """
    pairs = [part.strip().partition("=")[::2] for part in header.split(",")]
    stamps = [value for name, value in pairs if name == "t"]
    signatures = [value for name, value in pairs if name == "v1"]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or not signatures:
        raise WebhookUnsigned
    expected = [
        hmac.new(secret.encode(), f"{stamps[0]}.".encode() + body, hashlib.sha256).hexdigest() for secret in secrets
    ]
    pairs_to_try = [(one, other) for one in expected for other in signatures]
    if not any(hmac.compare_digest(one.encode(), other.encode()) for one, other in pairs_to_try):
        raise WebhookUnsigned
    if len(stamps[0]) > 12 or abs(now.timestamp() - int(stamps[0])) > TOLERANCE_SECONDS:
        raise WebhookUnsigned


def read(body: bytes) -> Notice:
    """The ids in an event's body; raises WebhookUnreadable. An unknown type is read like any other."""
    try:
        event = json.loads(body)
        thing: dict[str, Any] = event["data"]["object"]
        event_id, event_type = _text(event["id"]), _text(event["type"])
        if not event_id or not event_type:
            raise WebhookUnreadable
        return Notice(
            event_id=event_id,
            type=event_type,
            object_id=_text(thing.get("id")),
            subscription_id=_subscription_of(thing),
            customer_id=_text(thing.get("customer")),
            occurred_at=datetime.fromtimestamp(int(event["created"]), UTC),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise WebhookUnreadable from error


def _subscription_of(thing: dict[str, Any]) -> str:
    if thing.get("object") == "subscription":
        return _text(thing.get("id"))
    details = (thing.get("parent") or {}).get("subscription_details") or {}
    return _text(details.get("subscription"))


def _text(value: object) -> str:
    """An id; empty for what is none, and for what an id can not be."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and len(found) <= 255 and found.isprintable() else ""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A row of webhook_events; ids are the provider's, times in UTC."""

    provider: str
    event_id: str
    type: str
    object_id: str
    subscription_id: str
    customer_id: str
    org_id: UUID | None
    state: State
    reason: str | None
    attempts: int
    next_attempt_at: datetime
    occurred_at: datetime
    received_at: datetime
    processed_at: datetime | None
