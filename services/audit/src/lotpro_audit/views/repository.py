"""All SQL about usage."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from lotpro_audit.views.domain import Count
from lotpro_audit.views.models import COLUMNS, COUNTS, DAYS, OBJECTIONS
from lotpro_kit.db import Session

Position = tuple[date, str]


async def counted(session: Session) -> set[date]:
    """The days that were counted."""
    return set((await session.execute(select(DAYS.c.day))).scalars())


async def claim_day(session: Session, day: date, *, now: datetime) -> bool:
    """True for the one transaction that may count a day; a concurrent claim waits for that one's end."""
    claimed = await session.execute(
        insert(DAYS).values(day=day, counted_at=now).on_conflict_do_nothing().returning(DAYS.c.day)
    )
    return claimed.scalar_one_or_none() is not None


async def add_counts(session: Session, counts: Sequence[Count]) -> None:
    """Keep a day's counts."""
    await session.execute(insert(COUNTS), [asdict(count) for count in counts])


async def page(
    session: Session, *, feature: str | None, since: date | None, until: date | None, after: Position | None,
    limit: int,
) -> list[Count]:
    """Counts, the newest day first, going on after one."""
    wanted = select(*COLUMNS)
    if feature is not None:
        wanted = wanted.where(COUNTS.c.feature == feature)
    if since is not None:
        wanted = wanted.where(COUNTS.c.day >= since)
    if until is not None:
        wanted = wanted.where(COUNTS.c.day < until)
    if after is not None:
        wanted = wanted.where(tuple_(COUNTS.c.day, COUNTS.c.feature) < after)
    found = await session.execute(wanted.order_by(COUNTS.c.day.desc(), COUNTS.c.feature.desc()).limit(limit))
    return [Count(*row) for row in found]


async def objection(session: Session, user_id: UUID) -> datetime | None:
    """Since when a person objects, or None."""
    found: datetime | None = await session.scalar(
        select(OBJECTIONS.c.objected_at).where(OBJECTIONS.c.user_id == user_id)
    )
    return found


async def object_to_usage(session: Session, user_id: UUID, *, at: datetime) -> bool:
    """A person objects; False when they did before."""
    done = await session.execute(
        insert(OBJECTIONS)
        .values(user_id=user_id, objected_at=at)
        .on_conflict_do_nothing()
        .returning(OBJECTIONS.c.user_id)
    )
    return done.scalar_one_or_none() is not None


async def withdraw(session: Session, user_id: UUID) -> bool:
    """A person objects no more; False when they did not."""
    done = await session.execute(
        delete(OBJECTIONS).where(OBJECTIONS.c.user_id == user_id).returning(OBJECTIONS.c.user_id)
    )
    return done.scalar_one_or_none() is not None


async def objectors(session: Session) -> set[UUID]:
    """Everybody who objects."""
    return set((await session.execute(select(OBJECTIONS.c.user_id))).scalars())
