"""Queueing messages, sending one, and telling what became of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from lotpro.notifications.v1 import events_pb2
from lotpro_kit import errors, ids, outbox, telemetry
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session
from lotpro_notifications.clients.identity import CodeIsGone
from lotpro_notifications.clients.mail import Letter
from lotpro_notifications.clients.outcome import Ambiguous, NotTaken, Rejected
from lotpro_notifications.messages import repository
from lotpro_notifications.messages.composing import Composed, compose
from lotpro_notifications.messages.domain import Channel, Kind, Lane, Message, Person, State, gives_up, next_attempt
from lotpro_notifications.ports import Ports

#: News is worth sending for so long; an alert on the phone ages faster.
_WORTH = {Channel.EMAIL: timedelta(days=3), Channel.SMS: timedelta(hours=1)}
_EXPORT_PAGE = 200

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Cause:
    """The event that messages come from, and whose organisation it was in."""

    event_id: UUID
    occurred_at: datetime
    org_id: UUID | None


async def queue_code(
    *, session: Session, cause: Cause, challenge_id: UUID, user_id: UUID | None, urgent: bool = True, now: datetime
) -> None:
    """Queue a one-time code, a link or an alert; identity knows where it goes. The same event queues once."""
    message = _message(
        cause, now, kind=Kind.CODE, lane=Lane.MFA if urgent else Lane.SECURITY, channel=None, user_id=user_id,
        about_id=challenge_id,
    )
    await repository.add_messages(session, [message])


async def queue_vehicle_sold(
    *,
    session: Session,
    cause: Cause,
    sale_id: UUID,
    customer_id: UUID | None,
    by_mail: Sequence[UUID],
    by_sms: Sequence[UUID],
    now: datetime,
) -> None:
    """Queue the news of a sale to these people. The same event queues once."""
    to = [(Channel.EMAIL, user_id) for user_id in by_mail] + [(Channel.SMS, user_id) for user_id in by_sms]
    messages = [
        _message(
            cause, now, kind=Kind.VEHICLE_SOLD, lane=Lane.TRANSACTIONAL, channel=channel, user_id=user_id,
            about_id=sale_id, customer_id=customer_id,
        )
        for channel, user_id in to
    ]
    await repository.add_messages(session, messages)


async def queue_request_answered(
    *, session: Session, cause: Cause, request_id: UUID, opened_by: UUID, now: datetime
) -> None:
    """Queue the word that a privacy request is answered; no personal data, no answer. The same event queues once."""
    message = _message(
        cause, now, kind=Kind.REQUEST_ANSWERED, lane=Lane.TRANSACTIONAL, channel=Channel.EMAIL, user_id=opened_by,
        about_id=request_id,
    )
    await repository.add_messages(session, [message])


async def queue_account_inactive(
    *, session: Session, cause: Cause, user_id: UUID, days_left: int, now: datetime
) -> None:
    """Queue the warning that an unused account will be anonymised. The same event queues once."""
    message = _message(
        cause, now, kind=Kind.ACCOUNT_INACTIVE, lane=Lane.TRANSACTIONAL, channel=Channel.EMAIL, user_id=user_id,
        about_id=user_id,
    )
    await repository.add_messages(session, [replace(message, days_left=days_left)])


async def queue_account_removed(*, session: Session, cause: Cause, user_id: UUID, now: datetime) -> None:
    """Queue the word that an administrator deletes the account; its address is known for minutes only."""
    message = _message(
        cause, now, kind=Kind.ACCOUNT_REMOVED, lane=Lane.SECURITY, channel=Channel.EMAIL, user_id=user_id,
        about_id=user_id,
    )
    await repository.add_messages(session, [message])


async def queue_alert_raised(
    *, session: Session, cause: Cause, alert_id: UUID, count: int, to: Sequence[UUID], now: datetime
) -> None:
    """Queue the word that an alert on the organisation's log was raised. The same event queues once."""
    messages = [
        _message(
            cause, now, kind=Kind.ALERT_RAISED, lane=Lane.SECURITY, channel=Channel.EMAIL, user_id=user_id,
            about_id=alert_id,
        )
        for user_id in to
    ]
    await repository.add_messages(session, [replace(message, event_count=count) for message in messages])


async def forget_person(*, session: Session, user_id: UUID, now: datetime) -> int:
    """Take a person who is gone out of the messages to them; answers how many there were."""
    return await repository.forget_person(session, user_id, now=now)


def _message(
    cause: Cause,
    now: datetime,
    *,
    kind: Kind,
    lane: Lane,
    channel: Channel | None,
    user_id: UUID | None,
    about_id: UUID,
    customer_id: UUID | None = None,
) -> Message:
    return Message(
        id=ids.new(),
        org_id=cause.org_id,
        kind=kind,
        lane=lane,
        channel=channel,
        user_id=user_id,
        about_id=about_id,
        customer_id=customer_id,
        source_event_id=cause.event_id,
        part=channel or Kind.CODE,
        state=State.QUEUED,
        attempts=0,
        next_attempt_at=now,
        leased_until=None,
        expires_at=cause.occurred_at + _WORTH[channel] if channel else None,
        provider_id=None,
        reason=None,
        created_at=now,
        updated_at=now,
    )


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an attempt to send: the message's next state, and what is known besides."""

    state: State
    channel: Channel | None
    reason: str | None = None
    provider_id: str | None = None
    expires_at: datetime | None = None
    next_attempt_at: datetime | None = None


async def send_message(*, ports: Ports, message: Message) -> Fate:
    """Compose a leased message and give it to its provider, outside any transaction; never raises a refusal."""
    if message.expires_at is not None and message.expires_at <= ports.clock():
        return Fate(State.EXPIRED, message.channel, "notifications.expired", expires_at=message.expires_at)
    try:
        composed = await compose(ports, message)
    except CodeIsGone as gone:
        return Fate(State.EXPIRED, message.channel, gone.code, expires_at=message.expires_at)
    except errors.NotFound as missing:
        return Fate(State.FAILED, message.channel, missing.code, expires_at=message.expires_at)
    except Exception as error:
        # Nothing was sent yet, so whatever went wrong here may be tried again.
        log.warning("message not composed", kind=message.kind, error=type(error).__name__, at=telemetry.place_of(error))
        return _again(ports, message, NotTaken("notifications.not_composed"), message.expires_at)
    return await _hand_over(ports, message, composed)


async def _hand_over(ports: Ports, message: Message, composed: Composed) -> Fate:
    expires_at = composed.expires_at or message.expires_at
    content = composed.content
    try:
        if isinstance(content, Letter):
            provider_id = await ports.post.send(content, message_id=message.id)
        else:
            provider_id = await ports.texting.send(to=content.to, text=content.text)
    except NotTaken as busy:
        return _again(ports, message, busy, expires_at)
    except Rejected as rejected:
        return Fate(State.FAILED, composed.channel, rejected.reason, expires_at=expires_at)
    except Ambiguous:
        return Fate(State.UNKNOWN, composed.channel, "notifications.outcome_unknown", expires_at=expires_at)
    return Fate(State.SENT, composed.channel, provider_id=provider_id, expires_at=expires_at)


def _again(ports: Ports, message: Message, busy: NotTaken, expires_at: datetime | None) -> Fate:
    """Back to the queue, unless it was tried too often or would come too late."""
    at = next_attempt(message.lane, attempts=message.attempts, retry_after=busy.retry_after, now=ports.clock())
    if expires_at is not None and at >= expires_at:
        return Fate(State.EXPIRED, message.channel, busy.reason, expires_at=expires_at)
    if gives_up(message.attempts):
        return Fate(State.FAILED, message.channel, busy.reason, expires_at=expires_at)
    return Fate(State.QUEUED, message.channel, busy.reason, expires_at=expires_at, next_attempt_at=at)


async def settle_message(*, session: Session, message: Message, fate: Fate, now: datetime) -> None:
    """Write down what became of a message and announce it; does nothing when that was already settled otherwise."""
    settled = await repository.settle(
        session,
        message.id,
        state=fate.state,
        now=now,
        channel=fate.channel,
        reason=fate.reason,
        provider_id=fate.provider_id,
        expires_at=fate.expires_at,
        next_attempt_at=fate.next_attempt_at or message.next_attempt_at,
    )
    if not settled:
        return
    facts = {
        "org_id": str(message.org_id or ""),
        "message_id": str(message.id),
        "recipient_id": str(message.user_id or ""),
        "channel": fate.channel or "",
    }
    if fate.state is State.SENT:
        await outbox.put(session, events_pb2.MessageSent(**facts))
    elif fate.state in (State.FAILED, State.EXPIRED):
        await outbox.put(session, events_pb2.MessageFailed(**facts, reason=fate.reason or ""))


async def list_messages(
    *, session: Session, caller: Caller, state: State | None, before: UUID | None, limit: int
) -> list[Message]:
    """Messages of the caller's organisation, the newest first; raises NotFound for a caller without one."""
    if caller.org_id is None:
        raise errors.NotFound
    return await repository.messages_of(session, org_id=caller.org_id, state=state, before=before, limit=limit)


async def list_deliveries(*, session: Session, event_id: UUID) -> list[Message]:
    """How far the messages that an event caused have come."""
    return await repository.messages_of_event(session, event_id=event_id)


async def count_messages(*, session: Session, person: Person) -> int:
    """How many messages there are to or about a person."""
    return await repository.count(session, person)


async def messages_for_export(*, session: Session, person: Person) -> AsyncIterator[Message]:
    """All messages to or about a person, the oldest first, read page by page."""
    after: UUID | None = None
    while page := await repository.messages_of_person(session, person, after=after, limit=_EXPORT_PAGE):
        for message in page:
            yield message
        after = page[-1].id
