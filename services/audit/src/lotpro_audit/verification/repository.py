"""SQL of verification: reading the log in the order of its tree."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from struct import unpack
from typing import Any
from uuid import UUID

import asyncpg

from lotpro_audit.db import VERIFICATION
from lotpro_audit.events.leaf import INDEXED_SQL, NOBODY
from lotpro_audit.tree.domain import TILE_WIDTH
from lotpro_audit.verification.domain import Run
from lotpro_audit.verification.walk import Rows, stretches
from lotpro_kit.db import Database, Driver, Session, fetch

#: Places that are read by one statement: to begin one over half a year's tables takes as long as a thousand rows do.
WIDTH = 64 * TILE_WIDTH
#: Connections that read ahead, one for each core of a small server.
READERS = 2
CLOSE_SECONDS = 2.0
#: Turns of the event loop until what was asked of a reader is on its way, so that the database works meanwhile.
_TURNS = 4


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


def _packed(column: str) -> str:
    """A column's bytes, row after row: to take an array of numbers or ids apart takes ten times as long."""
    return f"coalesce(string_agg({column}, ''::bytea), '')"


def _rows_where(condition: str) -> str:
    """Rows in the tree's order, as columns. They are hashed here: the database takes three times as long."""
    return (
        f"SELECT {_packed('int8send(seq)')} AS seqs, {_packed('int8send(org_seq)')} AS org_seqs,"  # noqa: S608 - our own constants
        f" {_packed('uuid_send(org)')} AS org_ids, {_packed('timestamptz_send(occurred_at)')} AS moments,"
        " coalesce(array_agg(indexed), '{}') AS indexed, coalesce(array_agg(rest), '{}') AS rests"
        f" FROM (SELECT seq, org_seq, coalesce(org_id, '{NOBODY}') AS org, occurred_at,"
        f" convert_to({INDEXED_SQL}, 'UTF8') AS indexed, coalesce(rest, '') AS rest FROM public.events"
        f" WHERE {condition} ORDER BY seq) AS found"
    )


#: The tiles numbered `[$3, $4)`.
_TILES = (
    "SELECT coalesce(array_agg(index), '{}') AS indexes, coalesce(array_agg(hashes), '{}') AS hashes"
    " FROM (SELECT index, hashes FROM public.tiles WHERE level = 0 AND index >= $3 AND index < $4 ORDER BY index)"
    " AS found"
)
_CLAIMS = (
    f"SELECT {_packed('int8send(seq)')} AS claimed, {_packed('uuid_send(event_id)')} AS ids"  # noqa: S608 - our own constants
    " FROM (SELECT seq, event_id FROM public.claims WHERE seq >= $1 AND seq < $2 ORDER BY seq, event_id) AS found"
)
_CHECKPOINTS = (
    "SELECT ARRAY(SELECT size FROM public.checkpoints WHERE size >= $1 AND size < $2 ORDER BY size) AS checkpoints"
)
_OF_LOG = (
    f"SELECT * FROM ({_rows_where('seq >= $1 AND seq < $2')}) AS rows, ({_TILES}) AS tiles, ({_CLAIMS}) AS claims,"  # noqa: S608 - our own constants
    f" ({_CHECKPOINTS}) AS checkpoints"
)
_OF_DAY = (
    f"SELECT * FROM ({_rows_where('seq >= $1 AND seq < $2 AND occurred_at >= $5 AND occurred_at < $6')}) AS rows,"  # noqa: S608 - our own constants
    f" ({_TILES}) AS tiles"
)
_HELD = "SELECT * FROM public.held_events WHERE seq >= $1 AND seq < $2 ORDER BY seq"
_PLACES_OF_DAY = "SELECT min(seq), max(seq) + 1 FROM public.events WHERE occurred_at >= $1 AND occurred_at < $2"


@dataclass(frozen=True, slots=True)
class Found:
    """What the database has of a stretch of the log."""

    rows: Rows
    #: The numbers and the contents of its tiles.
    indexes: Sequence[int]
    tiles: Sequence[bytes]
    #: Places of ids that were written, the ids one after the other, the sizes of checkpoints. Not for a day.
    claimed: Sequence[int] = ()
    ids: bytes = b""
    checkpoints: Sequence[int] = ()
    #: The events that are held, with all their columns. Not for a day.
    held: Sequence[Any] = ()


class Readers:
    """Connections of their own that may read the whole log: each reads a stretch while others' are looked at.

    Nobody's functions stand before the database's own ones, which say what is in a row, not even the tables' owner's.
    """

    def __init__(self, connections: Sequence[Driver]) -> None:
        self._connections = connections
        self._reading: deque[tuple[Run, Driver, asyncio.Task[Found]]] = deque()

    async def stop(self) -> None:
        """Give up what is being read ahead, wherever the reading was left."""
        tasks = [task for *_, task in self._reading]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def log(self, size: int) -> AsyncIterator[tuple[Run, Found]]:
        """The stretches of the log, in their order."""
        async for found in self._ahead(stretches(0, size, WIDTH), self._of_log):
            yield found

    async def day(self, day: date) -> AsyncIterator[tuple[Run, Found]]:
        """The stretches in which a day has events, in their order."""
        begin = datetime.combine(day, time(), UTC)
        times = (begin, begin + timedelta(days=1))
        [first, end] = await self._connections[0].fetchrow(_PLACES_OF_DAY, *times)
        if first is not None:
            ahead = stretches(first // TILE_WIDTH * TILE_WIDTH, end, WIDTH)
            async for found in self._ahead(ahead, partial(self._of_day, times)):
                yield found

    async def _ahead(
        self, ahead: Iterator[Run], read: Callable[[Driver, Run], Awaitable[Found]]
    ) -> AsyncIterator[tuple[Run, Found]]:
        """What is read of each stretch; every connection is at one that is still to come."""

        def go_on(connection: Driver) -> None:
            stretch = next(ahead, None)
            if stretch is not None:
                self._reading.append((stretch, connection, asyncio.ensure_future(read(connection, stretch))))

        for connection in self._connections:
            go_on(connection)
        while self._reading:
            stretch, connection, task = self._reading[0]
            found = await task
            self._reading.popleft()
            go_on(connection)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            yield stretch, found

    async def _of_log(self, connection: Driver, stretch: Run) -> Found:
        first, end = stretch
        row = await connection.fetchrow(_OF_LOG, first, end, *_tiles_of(stretch))
        rows = _rows(row)
        # A day's rows are copied before they are dropped: read in this order, none is missed.
        held = [] if len(rows.seqs) == end - first else await connection.fetch(_HELD, first, end)
        claimed = _unpacked(row["claimed"])
        return Found(rows, row["indexes"], row["hashes"], claimed, row["ids"], row["checkpoints"], held)

    async def _of_day(self, times: tuple[datetime, datetime], connection: Driver, stretch: Run) -> Found:
        row = await connection.fetchrow(_OF_DAY, *stretch, *_tiles_of(stretch), *times)
        return Found(_rows(row), row["indexes"], row["hashes"])


def _tiles_of(stretch: Run) -> Run:
    first, end = stretch
    return first // TILE_WIDTH, -(-end // TILE_WIDTH)


def _rows(row: Any) -> Rows:
    seqs, org_seqs, moments = (_unpacked(row[name]) for name in ("seqs", "org_seqs", "moments"))
    return Rows(seqs, org_seqs, moments, row["org_ids"], row["indexed"], row["rests"])


def _unpacked(numbers: bytes) -> Sequence[int]:
    """Numbers of eight bytes, one after the other."""
    return unpack(f">{len(numbers) // 8}q", numbers)


@asynccontextmanager
async def open_readers(database: Database, *, whole: bool) -> AsyncIterator[Readers]:
    """Readers of the whole log, whose plan is made once, or of a day, whose plan leaves the others out."""
    plan = "force_generic_plan" if whole else "force_custom_plan"
    settings = {"lotpro.scope": VERIFICATION, "search_path": "pg_catalog", "plan_cache_mode": plan, "jit": "off"}
    connections: list[Driver] = []
    readers = Readers(connections)
    try:
        for _ in range(READERS):
            connections.append(await database.connect(**settings))
        yield readers
    finally:
        await readers.stop()
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
