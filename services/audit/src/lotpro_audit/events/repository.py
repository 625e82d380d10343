"""SQL of the log and its days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, or_, select, text, tuple_

from lotpro_audit.events.models import EVENTS
from lotpro_kit.db import Session

#: Where a list goes on: the last row's `occurred_at` and `id`.
Position = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are asked for; None asks for all."""

    actor_id: str | None = None
    subject_id: str | None = None
    store_id: UUID | None = None
    session_id: str | None = None
    action: str | None = None
    success: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def spelled(self) -> str:
        """The filter as a text, which a cursor is bound to."""
        return repr(self)

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter as SQL; `subject_id` is also found where the act concerned that person."""
        found = [
            EVENTS.c[name] == value
            for name, value in (
                ("actor_id", self.actor_id), ("store_id", self.store_id), ("session_id", self.session_id),
                ("action", self.action), ("success", self.success),
            )
            if value is not None
        ]
        if self.subject_id is not None:
            found.append(or_(EVENTS.c.subject_id == self.subject_id, EVENTS.c.concerned_id == self.subject_id))
        if self.since is not None:
            found.append(EVENTS.c.occurred_at >= self.since)
        if self.until is not None:
            found.append(EVENTS.c.occurred_at < self.until)
        return found


async def add(session: Session, values: dict[str, Any]) -> None:
    """Write one event."""
    await session.execute(insert(EVENTS).values(values))


async def page_of_organisation(
    session: Session,
    org_id: UUID,
    stores: frozenset[UUID] | None,
    wanted: Filter,
    *,
    after: Position | None,
    limit: int,
) -> Sequence[Any]:
    """An organisation's events, newest first; only those of these stores, unless None asks for all."""
    conditions = [EVENTS.c.org_id == org_id, *wanted.conditions()]
    if stores is not None:
        conditions.append(EVENTS.c.store_id.in_(stores))
    return await _newest(session, conditions, after, limit)


async def page_of_actor(session: Session, user_id: UUID, *, after: Position | None, limit: int) -> Sequence[Any]:
    """What a person did, newest first."""
    mine = [EVENTS.c.actor_kind == "user", EVENTS.c.actor_id == str(user_id)]
    return await _newest(session, mine, after, limit)


async def _newest(
    session: Session, conditions: list[ColumnElement[bool]], after: Position | None, limit: int
) -> Sequence[Any]:
    if after is not None:
        conditions = [*conditions, tuple_(EVENTS.c.occurred_at, EVENTS.c.id) < after]
    found = await session.execute(
        select(EVENTS).where(*conditions).order_by(EVENTS.c.occurred_at.desc(), EVENTS.c.id.desc()).limit(limit)
    )
    return found.all()


def _concerns(org_id: UUID, person_id: str) -> list[ColumnElement[bool]]:
    named = (EVENTS.c[name] == person_id for name in ("actor_id", "subject_id", "concerned_id"))
    return [EVENTS.c.org_id == org_id, or_(*named)]


async def count_about(session: Session, org_id: UUID, person_id: str) -> int:
    """How many events of an organisation name a person."""
    found = await session.execute(select(func.count()).select_from(EVENTS).where(*_concerns(org_id, person_id)))
    return int(found.scalar_one())


async def about(
    session: Session, org_id: UUID, person_id: str, *, after: Position | None, limit: int
) -> Sequence[Any]:
    """The events of an organisation that name a person, oldest first."""
    conditions = _concerns(org_id, person_id)
    if after is not None:
        conditions.append(tuple_(EVENTS.c.occurred_at, EVENTS.c.id) > after)
    found = await session.execute(
        select(EVENTS).where(*conditions).order_by(EVENTS.c.occurred_at, EVENTS.c.id).limit(limit)
    )
    return found.all()


async def days(session: Session) -> list[date]:
    """The days there are tables for."""
    found = await session.execute(text("SELECT day FROM audit_days() AS day ORDER BY day"))
    return list(found.scalars())


async def make_day(session: Session, day: date) -> None:
    """Make the table of a day where it is missing."""
    await session.execute(text("SELECT audit_make_day(:day)"), {"day": day})


async def drop_day(session: Session, day: date) -> int:
    """Drop the table of a day; answers how many events it had. The database refuses a day that is still to be kept."""
    dropped = await session.execute(text("SELECT audit_drop_day(:day)"), {"day": day})
    return int(dropped.scalar_one())


_COUNT_DAY = text(
    "SELECT count(*) FROM events WHERE occurred_at >= CAST(:day AS date)::timestamp AT TIME ZONE 'UTC'"
    " AND occurred_at < (CAST(:day AS date) + 1)::timestamp AT TIME ZONE 'UTC'"
)
#: A key is used by events of its actor, or of its organisation; both are looked up by an index in every day.
_UNUSED_KEYS = text(
    "SELECT k.subject_id FROM data_keys k WHERE k.created_at < :before AND k.subject_id <> :keep"
    " AND NOT EXISTS (SELECT FROM events e WHERE e.actor_id = k.subject_id::text)"
    " AND NOT EXISTS (SELECT FROM events e WHERE e.org_id = k.subject_id)"
    " ORDER BY k.created_at LIMIT :limit"
)
_DROP_UNUSED_KEYS = text(
    "DELETE FROM data_keys k WHERE k.subject_id = ANY(:ids)"
    " AND NOT EXISTS (SELECT FROM events e WHERE e.actor_id = k.subject_id::text)"
    " AND NOT EXISTS (SELECT FROM events e WHERE e.org_id = k.subject_id)"
)


async def count_day(session: Session, day: date) -> int:
    """How many events a day has."""
    return int((await session.execute(_COUNT_DAY, {"day": day})).scalar_one())


async def unused_keys(session: Session, *, before: datetime, keep: UUID, limit: int) -> list[UUID]:
    """Keys made before a moment that no event in the log needs."""
    found = await session.execute(_UNUSED_KEYS, {"before": before, "keep": keep, "limit": limit})
    return list(found.scalars())


async def drop_unused_keys(session: Session, subject_ids: Sequence[UUID]) -> int:
    """Destroy those of the keys that are still unused; answers how many.

    The lock waits for everybody who has read a key and not yet written their event, and lets nobody read one meanwhile.
    """
    await session.execute(text("SET LOCAL lock_timeout = '4s'"))
    await session.execute(text("LOCK TABLE data_keys IN ACCESS EXCLUSIVE MODE"))
    dropped = await session.execute(_DROP_UNUSED_KEYS, {"ids": list(subject_ids)})
    return int(getattr(dropped, "rowcount", 0))
