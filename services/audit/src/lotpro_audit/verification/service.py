"""Use cases of verification."""

from dataclasses import dataclass
from datetime import date

from lotpro_audit.tree import service as tree_service
from lotpro_audit.tree.domain import TILE_WIDTH, TileId
from lotpro_audit.verification import domain, repository
from lotpro_audit.verification.domain import Damage, Run
from lotpro_kit.db import Session

#: Events that are read at once.
AT_ONCE = 20 * TILE_WIDTH


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the log as it stands: how many events, which places, the hash over them, and what is wrong."""

    count: int
    runs: list[Run]
    root: bytes
    damages: list[Damage]


async def check_day(session: Session, day: date) -> Day:
    """Hold every event of a day against the tree. Needs the scope VERIFICATION or RETENTION."""
    hashes: list[bytes] = []
    seqs: list[int] = []
    damages: list[Damage] = []
    while True:
        rows = await repository.rows_of_day(session, day, after=seqs[-1] if seqs else -1, limit=AT_ONCE)
        if rows:
            places = {TileId(0, seq // TILE_WIDTH) for seq, _, _ in rows}
            of_rows, wrong = domain.check_rows(rows, await tree_service.tiles(session, places))
            hashes += of_rows
            damages += wrong
            seqs += [seq for seq, _, _ in rows]
        if len(rows) < AT_ONCE:
            root = domain.root_of(hashes) if hashes else b""
            return Day(len(hashes), domain.runs_of(seqs), root, damages)
