"""SQL of verification: reading the log in the order of its tree."""

from datetime import UTC, date, datetime, time, timedelta

from lotpro_audit.events.leaf import INDEXED_SQL
from lotpro_kit.db import Session, fetch

_ROWS = f"SELECT seq, leaf, convert_to({INDEXED_SQL}, 'UTF8') AS indexed FROM events"  # noqa: S608 - our own constant

Row = tuple[int, bytes, bytes]


async def rows_of_day(session: Session, day: date, *, after: int, limit: int) -> list[Row]:
    """A day's events after a place in the tree, in the tree's order."""
    begin = datetime.combine(day, time(), UTC)
    found = await fetch(
        session,
        f"{_ROWS} WHERE occurred_at >= $1 AND occurred_at < $2 AND seq > $3 ORDER BY seq LIMIT $4",
        begin, begin + timedelta(days=1), after, limit,
    )
    return [tuple(row) for row in found]


async def rows_between(session: Session, first: int, end: int) -> list[Row]:
    """The events at places `[first, end)` of the tree, in its order."""
    found = await fetch(session, f"{_ROWS} WHERE seq >= $1 AND seq < $2 ORDER BY seq", first, end)
    return [tuple(row) for row in found]
