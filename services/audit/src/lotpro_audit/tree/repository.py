"""SQL of the tree. Writing is the leader's, on the driver connection that holds its lock; reading is anybody's."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import select

from lotpro_audit.tree.domain import TileId
from lotpro_audit.tree.models import CHECKPOINTS, TREE
from lotpro_kit.db import Driver, Session, fetch

#: Audit's own advisory lock: whoever holds it is the one who writes the log.
LEADER_LOCK = 0x6C6F74417564

_TILES = (
    "SELECT level, index, hashes FROM tiles JOIN unnest($1::smallint[], $2::bigint[]) AS wanted (level, index)"
    " USING (level, index)"
)


async def lead(connection: Driver) -> asyncpg.Record:
    """Wait to be the leader and depose the last one; answers the tree's `size`, `frontier` and `epoch`."""
    await connection.execute("SELECT pg_advisory_lock($1)", LEADER_LOCK)
    row = await connection.fetchrow("UPDATE tree SET epoch = epoch + 1 RETURNING size, frontier, epoch")
    assert row is not None, "the migration made this row"
    return row


async def grow(connection: Driver, *, epoch: int, old: int, new: int, frontier: bytes) -> bool:
    """Write the tree's new state; False when another leader has begun."""
    done = await connection.execute(
        "UPDATE tree SET size = $3, frontier = $4 WHERE epoch = $1 AND size = $2", epoch, old, new, frontier
    )
    return bool(done == "UPDATE 1")


async def write_tiles(connection: Driver, tiles: Mapping[TileId, bytes]) -> None:
    """Write tiles as they are now; one that grew takes the place of what it was."""
    await connection.execute(
        "INSERT INTO tiles (level, index, hashes) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])"
        " ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes",
        [place.level for place in tiles], [place.index for place in tiles], list(tiles.values()),
    )


async def edge(connection: Driver, places: Collection[TileId]) -> dict[TileId, bytes]:
    """The tiles that stand at these places, as the leader finds them."""
    return _tiles(
        await connection.fetch(_TILES, [place.level for place in places], [place.index for place in places])
    )


async def add_checkpoint(connection: Driver, *, size: int, logged_at: datetime, note: str) -> None:
    """Keep a signed checkpoint."""
    await connection.execute("INSERT INTO checkpoints VALUES ($1, $2, $3)", size, logged_at, note)


async def newest_note(connection: Driver) -> str | None:
    """The newest checkpoint's note, as the leader finds it."""
    note: str | None = await connection.fetchval("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1")
    return note


async def state(session: Session) -> Any:
    """The tree's state (`size`, `frontier`, `epoch`)."""
    return (await session.execute(select(TREE))).one()


async def checkpoint(session: Session, *, at_least: int = 0) -> Any:
    """The newest checkpoint, if it is of a tree that large (`size`, `logged_at`, `note`); else None."""
    found = await session.execute(
        select(CHECKPOINTS).where(CHECKPOINTS.c.size >= at_least).order_by(CHECKPOINTS.c.size.desc()).limit(1)
    )
    return found.one_or_none()


async def checkpoint_of(session: Session, size: int) -> Any:
    """The checkpoint of this size, or None."""
    return (await session.execute(select(CHECKPOINTS).where(CHECKPOINTS.c.size == size))).one_or_none()


async def tiles(session: Session, places: Collection[TileId]) -> dict[TileId, bytes]:
    """The tiles at these places, those there are."""
    return _tiles(await fetch(session, _TILES, [place.level for place in places], [place.index for place in places]))


def _tiles(rows: list[asyncpg.Record]) -> dict[TileId, bytes]:
    return {TileId(row["level"], row["index"]): row["hashes"] for row in rows}
