"""SQL of holds."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from lotpro_audit.holds.models import HELD_EVENTS
from lotpro_kit.db import Session

#: Whether hold `h` reaches event `e` at a moment.
REACHES = (
    "(h.released_at IS NULL OR h.released_at > :now) AND (h.ends_at IS NULL OR h.ends_at > :now)"
    " AND h.org_id = e.org_id AND (h.store_id IS NULL OR h.store_id = e.store_id)"
    " AND (h.person_id IS NULL OR h.person_id IN (e.actor_id, e.subject_id, e.concerned_id))"
    " AND (h.since IS NULL OR e.occurred_at >= h.since) AND (h.until IS NULL OR e.occurred_at < h.until)"
)
_HELD_OF_DAY = text(
    "SELECT e.seq, e.occurred_at, e.org_seq, e.org_id, e.store_id, e.actor_id, e.subject_id, e.concerned_id, e.leaf"  # noqa: S608 - our own constant
    " FROM events e WHERE e.occurred_at >= :begin AND e.occurred_at < :end AND e.seq > :after"
    f" AND EXISTS (SELECT FROM holds h WHERE {REACHES}) ORDER BY e.seq LIMIT :limit"
)


async def held_of_day(session: Session, day: date, *, now: datetime, after: int, limit: int) -> Sequence[Any]:
    """The events of a day that a hold reaches, after a place in the tree."""
    begin = datetime.combine(day, time(), UTC)
    found = await session.execute(
        _HELD_OF_DAY,
        {"begin": begin, "end": begin + timedelta(days=1), "now": now, "after": after, "limit": limit},
    )
    return found.mappings().all()


async def keep(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Keep rows beyond their day; those that are kept already stay as they are."""
    await session.execute(insert(HELD_EVENTS).on_conflict_do_nothing(), rows)
