"""All SQL about messages."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Integer, String, and_, bindparam, cast, false, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from lotpro_kit.db import Session
from lotpro_notifications.messages.domain import LEASE, Lane, Message, Person, State
from lotpro_notifications.messages.models import COLUMNS, MESSAGES

#: The sender's loop listens to this.
CHANNEL = "messages"


async def add_messages(session: Session, messages: Sequence[Message]) -> None:
    """Insert messages, without those that the same event made before, and wake the sender at commit."""
    if not messages:
        return
    rows = [asdict(message) for message in messages]
    await session.execute(insert(MESSAGES).on_conflict_do_nothing(), rows)
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


#: The oldest due messages of each lane, at most so many of each; what another worker is leasing is passed over.
_DUE = (
    text(
        "SELECT due.id FROM unnest(:lanes, :limits) AS free (lane, places) CROSS JOIN LATERAL ("
        "SELECT id FROM messages WHERE state = 'queued' AND messages.lane = free.lane AND next_attempt_at <= :now"
        " ORDER BY next_attempt_at LIMIT free.places FOR UPDATE SKIP LOCKED) AS due"
    )
    .bindparams(bindparam("lanes", type_=ARRAY(String)), bindparam("limits", type_=ARRAY(Integer)))
    .columns(MESSAGES.c.id)
)


async def lease_due(session: Session, *, free: Mapping[Lane, int], now: datetime) -> list[Message]:
    """Take due messages for sending, up to the free places of each lane; they are ours for LEASE."""
    wanted = _DUE.bindparams(lanes=list(free), limits=list(free.values()), now=now)
    # MATERIALIZED: a sub-select in IN may be asked once a row, and so lease more than there are places.
    due = wanted.cte("due").prefix_with("MATERIALIZED")
    rows = await session.execute(
        MESSAGES.update()
        .where(MESSAGES.c.id.in_(select(due.c.id)))
        .values(state=State.SENDING, attempts=MESSAGES.c.attempts + 1, leased_until=now + LEASE, updated_at=now)
        .returning(*COLUMNS)
    )
    return [Message(*row) for row in rows]


async def give_up_leases(session: Session, *, now: datetime) -> list[Message]:
    """Messages whose sender vanished: whether they were sent is not known, so they are not sent again."""
    rows = await session.execute(
        MESSAGES.update()
        .where(MESSAGES.c.state == State.SENDING, MESSAGES.c.leased_until < now)
        .values(state=State.UNKNOWN, leased_until=None, reason="notifications.sender_lost", updated_at=now)
        .returning(*COLUMNS)
    )
    return [Message(*row) for row in rows]


async def settle(session: Session, message_id: UUID, *, state: State, now: datetime, **changes: Any) -> bool:
    """Write down what became of a message that was being sent; False when it is no longer ours to say."""
    ours = [State.SENDING, State.UNKNOWN] if state is State.SENT else [State.SENDING]
    done = await session.execute(
        MESSAGES.update()
        .where(MESSAGES.c.id == message_id, MESSAGES.c.state.in_(ours))
        .values(state=state, leased_until=None, updated_at=now, **changes)
        .returning(MESSAGES.c.id)
    )
    return done.scalar_one_or_none() is not None


async def messages_of(
    session: Session, *, org_id: UUID, state: State | None, before: UUID | None, limit: int
) -> list[Message]:
    """Messages of an organisation, the newest first, beginning after the one whose id is `before`."""
    statement = select(*COLUMNS).where(MESSAGES.c.org_id == org_id)
    if state is not None:
        statement = statement.where(MESSAGES.c.state == state)
    if before is not None:
        statement = statement.where(MESSAGES.c.id < before)
    rows = await session.execute(statement.order_by(MESSAGES.c.id.desc()).limit(limit))
    return [Message(*row) for row in rows]


async def forget_person(session: Session, user_id: UUID, *, now: datetime) -> int:
    """Take a person out of the messages to them; answers how many. What their organisation was sent stays countable.

    `part` becomes the message's own id, for the person no longer keeps two messages of one event apart.
    """
    done = await session.execute(
        MESSAGES.update()
        .where(MESSAGES.c.user_id == user_id)
        .values(user_id=None, provider_id=None, part=func.replace(cast(MESSAGES.c.id, String), "-", ""), updated_at=now)
        .returning(MESSAGES.c.id)
    )
    return len(done.all())


_OF_EVENT = select(*COLUMNS).where(MESSAGES.c.source_event_id == bindparam("event_id")).order_by(MESSAGES.c.id)


async def messages_of_event(session: Session, *, event_id: UUID) -> list[Message]:
    """The messages that an event caused."""
    rows = await session.execute(_OF_EVENT, {"event_id": event_id})
    return [Message(*row) for row in rows]


def _of(person: Person) -> ColumnElement[bool]:
    inside = MESSAGES.c.org_id == person.org_id if person.org_id is not None else false()
    if person.customer_id is not None:
        return and_(inside, MESSAGES.c.customer_id == person.customer_id)
    outside = MESSAGES.c.org_id.is_(None) if person.outside else false()
    return and_(MESSAGES.c.user_id == person.user_id, or_(inside, outside))


async def count(session: Session, person: Person) -> int:
    """How many messages there are to or about a person."""
    return int((await session.execute(select(func.count()).select_from(MESSAGES).where(_of(person)))).scalar_one())


async def messages_of_person(session: Session, person: Person, *, after: UUID | None, limit: int) -> list[Message]:
    """Messages to or about a person in the order of their ids, beginning after one."""
    statement = select(*COLUMNS).where(_of(person))
    if after is not None:
        statement = statement.where(MESSAGES.c.id > after)
    rows = await session.execute(statement.order_by(MESSAGES.c.id).limit(limit))
    return [Message(*row) for row in rows]
