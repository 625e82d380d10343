"""SQL of verification: reading the log in the order of its tree."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from operator import itemgetter
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from lotpro_audit.db import VERIFICATION
from lotpro_audit.events.leaf import INDEXED_SQL, LEAF_SQL
from lotpro_audit.tree.domain import TILE_WIDTH
from lotpro_kit.db import Database, Driver, Session, fetch

#: Rows of a fetch: so many fit into a socket's buffers, so that the database goes on while they are hashed.
FETCH = 2048
#: Places that are read by one statement.
ROWS_AT_ONCE = 64 * FETCH
CLOSE_SECONDS = 2.0

_ROWS = f"SELECT seq, {LEAF_SQL} FROM events"  # noqa: S608 - our own constant

Row: TypeAlias = Any


async def rows_of_day(session: Session, day: date, *, after: int, limit: int) -> Sequence[Row]:
    """A day's events (place, leaf) after a place in the tree, in the tree's order."""
    begin = datetime.combine(day, time(), UTC)
    return await fetch(
        session,
        f"{_ROWS} WHERE occurred_at >= $1 AND occurred_at < $2 AND seq > $3 ORDER BY seq LIMIT $4",
        begin, begin + timedelta(days=1), after, limit,
    )


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the log was when its verification began, all at one moment."""

    size: int
    frontier: bytes
    #: The newest checkpoint's note.
    note: str | None
    #: How far each organisation's own sequence was.
    heads: dict[UUID, int]
    #: Rows of the log, of what is held and of ids, and tiles, for places that the tree does not have.
    beyond: int


_BEYOND = "(SELECT count(*) FROM {} WHERE seq >= t.size OR seq < 0)"
#: Level 8 would be for more leaves than a bigint counts.
_TILES_BEYOND = (
    "(SELECT count(*) FROM tiles WHERE level NOT BETWEEN 0 AND 7 OR index < 0"
    " OR index >= ((t.size >> (8 * level)) + 255) / 256)"
)
_BEGINNING = (
    "SELECT t.size, t.frontier, (SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1) AS note,"  # noqa: S608 - our own constants
    " ARRAY(SELECT org_id FROM org_heads ORDER BY org_id) AS organisations,"
    " ARRAY(SELECT last FROM org_heads ORDER BY org_id) AS last,"
    f" {' + '.join(_BEYOND.format(table) for table in ('events', 'held_events', 'claims'))} + {_TILES_BEYOND}"
    " + (SELECT count(*) FROM checkpoints WHERE size > t.size OR size < 1) AS beyond FROM tree t"
)


async def begin(session: Session) -> Beginning:
    """What the log is now; one statement sees one moment."""
    [row] = await fetch(session, _BEGINNING)
    heads = dict(zip(row["organisations"], row["last"], strict=True))
    return Beginning(row["size"], row["frontier"], row["note"], heads, row["beyond"])


_ROWS_BETWEEN = (
    f"SELECT seq, convert_to({INDEXED_SQL}, 'UTF8') AS indexed, rest, org_seq, org_id,"  # noqa: S608 - our own constant
    " (date_part('epoch', occurred_at) * 1000000)::bigint AS occurred_us FROM events"
    " WHERE seq >= $1 AND seq < $2 ORDER BY seq"
)
#: All that belongs to places `[$1, $2)` but the rows themselves. $3 and $4 are the numbers of the tiles.
_AROUND = (
    "SELECT ARRAY(SELECT index FROM tiles WHERE level = 0 AND index >= $3 AND index < $4 ORDER BY index) AS indexes,"
    " ARRAY(SELECT hashes FROM tiles WHERE level = 0 AND index >= $3 AND index < $4 ORDER BY index) AS hashes,"
    " coalesce(claimed, '{}') AS claimed, coalesce(ids, '{}') AS ids,"
    " ARRAY(SELECT size FROM checkpoints WHERE size >= $1 AND size < $2 ORDER BY size) AS checkpoints"
    " FROM (SELECT array_agg(seq) AS claimed, array_agg(convert_to(event_id::text, 'UTF8')) AS ids"
    " FROM (SELECT seq, event_id FROM claims WHERE seq >= $1 AND seq < $2 ORDER BY seq, event_id) AS found) AS claims"
)
_HELD_BETWEEN = "SELECT * FROM held_events WHERE seq >= $1 AND seq < $2 ORDER BY seq"


@dataclass(frozen=True, slots=True)
class Found:
    """What the database has of a stretch of the log."""

    #: `seq`, what the columns say, `rest`, `org_seq`, `org_id`, when it happened; in the order of `seq`.
    rows: Sequence[Any]
    #: The events that are held, with all their columns.
    held: Sequence[Any]
    #: `indexes` and `hashes` of the tiles, `claimed` places and `ids`, sizes of `checkpoints`.
    around: Any


class Reader:
    """Reads the log a stretch at a time, on two connections: what there is of a stretch comes from both at once.

    Rows come by a cursor that is opened anew for every ROWS_AT_ONCE places: to begin a statement over half a year's
    tables takes as long as a thousand rows do, and while one is under way no day can go.
    """

    def __init__(self, rows: Driver, around: Driver, *, size: int) -> None:
        self._rows, self._around, self._size = rows, around, size
        self._cursor: Any = None
        self._until = 0
        self._read: list[Any] = []
        self._transaction: Any = None

    async def between(self, first: int, end: int) -> Found:
        """What there is at places `[first, end)`; stretches follow each other, and begin with tiles."""
        rows, around = await asyncio.gather(
            self._rows_until(first, end),
            self._around.fetch(_AROUND, first, end, first // TILE_WIDTH, -(-end // TILE_WIDTH)),
        )
        # A day's rows are copied before they are dropped: read in this order, none is missed.
        held = [] if len(rows) == end - first else await self._around.fetch(_HELD_BETWEEN, first, end)
        return Found(rows, held, around[0])

    async def _rows_until(self, first: int, end: int) -> list[Any]:
        if first >= self._until:
            await self._open(first)
        read, more = self._read, True
        while more and (not read or read[-1][0] < end):
            fresh = await self._cursor.fetch(FETCH)
            read += fresh
            more = len(fresh) == FETCH
        cut = bisect_left(read, end, key=itemgetter(0))
        self._read = read[cut:]
        return read[:cut]

    async def _open(self, first: int) -> None:
        await self.close()
        self._until = first + ROWS_AT_ONCE
        self._transaction = self._rows.transaction()
        await self._transaction.start()
        self._cursor = await self._rows.cursor(_ROWS_BETWEEN, first, min(self._until, self._size))
        self._read = []

    async def close(self) -> None:
        """End the statement that is under way."""
        if self._transaction is not None:
            await self._transaction.rollback()
            self._transaction = None


@asynccontextmanager
async def open_reader(database: Database, *, size: int) -> AsyncIterator[Reader]:
    """Two connections of their own, which may read the whole log."""
    settings = {"lotpro.scope": VERIFICATION, "plan_cache_mode": "force_generic_plan", "jit": "off"}
    connections: list[Driver] = []
    try:
        for _ in range(2):
            connections.append(await database.connect(**settings))
        yield Reader(*connections, size=size)
    finally:
        for connection in connections:
            await connection.close(timeout=CLOSE_SECONDS)


async def expiries(session: Session) -> list[asyncpg.Record]:
    """The days that went (`day`, `seq`, `leaf`, `runs`, `held`); without the leaf while the log does not say so."""
    return await fetch(session, "SELECT day, seq, leaf, runs, held FROM expiries ORDER BY day")


async def erasures(session: Session) -> list[asyncpg.Record]:
    """What was erased of what was held (`event_id`, `seq`, `leaf`, `runs`); without the leaf as above."""
    return await fetch(session, "SELECT event_id, seq, leaf, runs FROM erasures")


async def tiles_of_level(session: Session, level: int, first: int, end: int) -> dict[int, bytes]:
    """A level's tiles from number `first` up to `end`."""
    found = await fetch(
        session, "SELECT index, hashes FROM tiles WHERE level = $1 AND index >= $2 AND index < $3", level, first, end
    )
    return {row["index"]: row["hashes"] for row in found}


async def some_checkpoints(session: Session, sizes: Sequence[int]) -> list[asyncpg.Record]:
    """The first checkpoint (`size`, `note`) of at least each size."""
    return await fetch(
        session,
        "SELECT DISTINCT found.size, found.note FROM unnest($1::bigint[]) AS wanted (size), LATERAL"
        " (SELECT size, note FROM checkpoints WHERE checkpoints.size >= wanted.size ORDER BY size LIMIT 1) AS found"
        " ORDER BY found.size",
        sizes,
    )
