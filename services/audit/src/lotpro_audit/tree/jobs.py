"""Scheduled work on the tree: keeping its checkpoints outside of the database, and taking a restored log as it is."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC
from uuid import uuid5

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.events.leaf import NOBODY
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.tree import service
from lotpro_audit.tree.anchors import Anchor, Place, Restoration
from lotpro_audit.tree.notes import NoteRefused
from lotpro_audit.tree.service import LogDamaged
from lotpro_kit import telemetry
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.errors import Unavailable
from lotpro_kit.jobs import Counts, Job, Run

#: A checkpoint is anchored this often, in seconds, when there is a new one, and sooner again after one that failed.
EVERY_SECONDS, AGAIN_SECONDS = 60.0, 15.0
#: How long the last anchor may keep a process that is told to stop.
LAST_SECONDS = 2.0
ACCEPT = "audit:log:accept_restored"

_AWAY = (Unavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, TimeoutError, PoolTimeout)

log = telemetry.logger(__name__)


async def keep_anchored(database: Database, ports: Ports) -> None:
    """Run beside the leader until cancelled, and anchor once more then. Storage that is away is waited for.

    Raises LogDamaged when the tree is not one that the newest anchored one grew into.
    """
    try:
        while True:
            pause = EVERY_SECONDS
            try:
                await anchor(database, ports)
            except _AWAY as error:
                log.warning("the log is not anchored", error=type(error).__name__)
                pause = AGAIN_SECONDS
            await asyncio.sleep(pause)
    except asyncio.CancelledError:
        with suppress(LogDamaged, *_AWAY):
            async with asyncio.timeout(LAST_SECONDS):
                await anchor(database, ports)
        raise


async def anchor(database: Database, ports: Ports) -> bool:
    """Anchor the newest checkpoint, if it is not yet; raises LogDamaged, Unavailable and the database's errors."""
    try:
        newest = await ports.anchors.newest(ports.checkpoint_key().verifier)
    except NoteRefused as error:
        raise LogDamaged(f"the newest anchor is not ours: {error}") from error
    async with database.begin(system()) as session:
        found = await service.to_anchor(session, newest)
    if found is None:
        return False
    await ports.anchors.add(found.note, size=found.size, era=newest.era)
    return True


def accept_restored_log(database: Database, ports: Ports) -> Job:
    """Takes a log that is not what its anchors say as it is, so that it is led again: after a restore from a backup.

    The log itself says that it was done, and so does a signed note beside the anchors. What was anchored of the part
    that both have in common must fit for ever; what is lost stays lost, and whoever holds its checkpoints can show it.
    """

    async def work(run: Run) -> Counts:
        key = ports.checkpoint_key()
        newest = await ports.anchors.newest(key.verifier)
        async with database.begin(system()) as session:
            tree = await service.state(session)
            fits = newest.size <= tree.size and await service.fits(session, newest)
        if fits:
            return {"accepted": 0, "size": tree.size, "lost": 0}
        fork = await _fork(database, ports, await ports.anchors.binding(key.verifier))
        if not run.dry_run:
            restoration = Restoration(newest.era + 1, tree.size, tree.root(), fork=fork, lost=newest.size)
            # The event first: whoever dies between the two begins again, and it is written once.
            async with database.begin(system()) as session:
                await sequencer.leave(session, ports, accepted(restoration.era, ports))
            await ports.anchors.restore(restoration, key)
        return {"accepted": int(not run.dry_run), "size": tree.size, "lost": newest.size - fork}

    return Job("accept-restored-log", "Take a log that was restored from a backup as it is.", "", work)


def accepted(era: int, ports: Ports) -> SecurityEvent:
    """What the log says of it: always the same event of an era, so that it is said once."""
    return SecurityEvent(
        id=uuid5(NOBODY, f"{ACCEPT}:{era}"), occurred_at=ports.clock().astimezone(UTC), action=ACCEPT, success=True,
        actor_kind="system", actor_name="audit",
    )


async def _fork(database: Database, ports: Ports, places: Sequence[Place]) -> int:
    """The largest of the anchored sizes at which the tree is what it was; 0 when there is none."""
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        found: Anchor = await ports.anchors.at(places[middle], ports.checkpoint_key().verifier)
        async with database.begin(system()) as session:
            fits = await service.fits(session, found)
        low, high = (middle + 1, high) if fits else (low, middle)
    return places[low - 1].size if low else 0
