"""Use cases of holds."""

from datetime import date, datetime

from lotpro_audit.holds import repository
from lotpro_audit.tree import service as tree_service
from lotpro_kit.db import Session

#: Events that are copied at once.
AT_ONCE = 1000


async def keep_held(session: Session, day: date, *, now: datetime) -> int:
    """Copy what holds reach out of a day that is about to go, each with its proof; answers how many. May run twice."""
    kept, after = 0, -1
    while True:
        rows = await repository.held_of_day(session, day, now=now, after=after, limit=AT_ONCE)
        if rows:
            checkpoint = await tree_service.newest_checkpoint(session)
            paths = await tree_service.inclusion_proofs(session, [row["seq"] for row in rows], checkpoint.size)
            await repository.keep(
                session,
                [
                    {**row, "path": b"".join(path), "checkpoint": checkpoint.note, "expired_day": day}
                    for row, path in zip(rows, paths, strict=True)
                ],
            )
            kept, after = kept + len(rows), rows[-1]["seq"]
        if len(rows) < AT_ONCE:
            return kept
