"""SQL of the log and its days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, text, tuple_

from lotpro_audit.events.models import EVENTS
from lotpro_kit.db import Session


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


async def add(session: Session, values: dict[str, Any]) -> None:
    """Write one event."""
    await session.execute(insert(EVENTS).values(values))


async def page(
    session: Session, wanted: Filter, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Any]:
    """Events newest first, `limit` and one more, so that the caller knows whether there is a next page."""
    conditions = [
        EVENTS.c[name] == value
        for name, value in (
            ("actor_id", wanted.actor_id), ("store_id", wanted.store_id), ("session_id", wanted.session_id),
            ("action", wanted.action), ("success", wanted.success),
        )
        if value is not None
    ]
    if wanted.subject_id is not None:
        conditions.append(
            or_(EVENTS.c.subject_id == wanted.subject_id, EVENTS.c.concerned_id == wanted.subject_id)
        )
    if wanted.since is not None:
        conditions.append(EVENTS.c.occurred_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(EVENTS.c.occurred_at < wanted.until)
    if after is not None:
        conditions.append(tuple_(EVENTS.c.occurred_at, EVENTS.c.id) < after)
    found = await session.execute(
        select(EVENTS).where(*conditions).order_by(EVENTS.c.occurred_at.desc(), EVENTS.c.id.desc()).limit(limit + 1)
    )
    return found.all()


async def about(session: Session, person_id: str, *, most: int) -> Sequence[Any]:
    """Events that a person did or that are about them, oldest first."""
    found = await session.execute(
        select(EVENTS)
        .where(or_(*(EVENTS.c[name] == person_id for name in ("actor_id", "subject_id", "concerned_id"))))
        .order_by(EVENTS.c.occurred_at, EVENTS.c.id)
        .limit(most)
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
    """Drop the table of a day; answers how many events it had."""
    dropped = await session.execute(text("SELECT audit_drop_day(:day)"), {"day": day})
    return int(dropped.scalar_one())


async def count_day(session: Session, day: date) -> int:
    """How many events a day has."""
    found = await session.execute(
        text("SELECT count(*) FROM events WHERE occurred_at >= :day AND occurred_at < CAST(:day AS date) + 1"),
        {"day": day},
    )
    return int(found.scalar_one())
