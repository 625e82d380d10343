"""Use cases of verification."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID
from zlib import error as CannotUnpack  # noqa: N812 - an error says what is wrong

from lotpro_audit.db import VERIFICATION
from lotpro_audit.events import domain as events_domain
from lotpro_audit.events import leaf
from lotpro_audit.events import service as events
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.tree import notes
from lotpro_audit.tree import service as tree_service
from lotpro_audit.tree.anchors import Anchor
from lotpro_audit.tree.domain import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Frontier,
    Range,
    hash_of,
    leaf_hash,
    root_of_inclusion,
    split,
    tiles_of,
    whole_parts,
)
from lotpro_audit.tree.notes import Checkpoint, NoteRefused, VerifierKey
from lotpro_audit.verification import domain, repository, walk
from lotpro_audit.verification.domain import Damage, Held, Run
from lotpro_audit.verification.repository import Beginning, Found
from lotpro_audit.verification.walk import TILE_BYTES, Damages, Expiry, Stretch, Walk
from lotpro_kit import telemetry
from lotpro_kit.caller import system
from lotpro_kit.db import Database, Session
from lotpro_kit.errors import Unavailable

#: Tiles of higher levels that are read at once.
TILES_AT_ONCE = 256
#: Of checkpoints and anchors so many are held against the tree: the first, the last, and others evenly between.
SAMPLE = 32

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the log as it stands: how many events, which places, the hash over them, and what is wrong."""

    count: int
    runs: list[Run]
    root: bytes
    damages: list[Damage]


async def check_day(database: Database, day: date) -> Day:
    """Hold every event of a day against the tree."""
    hashes: list[bytes] = []
    seqs: list[int] = []
    damages: list[Damage] = []
    async with repository.open_readers(database, whole=False) as readers:
        with _without_collector():
            async for (first, end), found in readers.day(day):
                wanted, _ = walk.joined(found.indexes, found.tiles, first=first, end=end)
                hashes.append(found.rows.hashes())
                wrong = domain.differing(found.rows.seqs, hashes[-1], wanted, first=first)
                damages += [Damage(seq, domain.OTHER_LEAF) for seq in wrong]
                seqs += found.rows.seqs
    return Day(len(seqs), domain.runs_of(seqs), domain.root_of(b"".join(hashes)), damages)


@dataclass(frozen=True, slots=True)
class Report:
    """What was held against the tree, and what is wrong."""

    events: int
    expired: int
    checkpoints: int
    anchors: int
    damages: Damages


async def verify_log(database: Database, ports: Ports, *, as_of: datetime) -> Report:
    """Hold the whole log against its tree, and the tree against what was signed and anchored.

    The log may grow and days may go meanwhile. Storage that is away is no damage: nothing is anchored then.
    """
    damages = Damages()
    anchors = await _anchors(ports, damages)
    async with database.begin(system(scope=VERIFICATION)) as session:
        beginning = await repository.begin(session)
    if beginning.beyond:
        damages.add(beginning.size, "there is more than the tree has", count=beginning.beyond)
    forgotten = as_of - events_domain.retention() - 2 * events_domain.AHEAD
    going = Walk(damages, forgotten_us=leaf.microseconds(forgotten))
    await _walk(database, ports, going, beginning.size)
    going.finish(beginning.heads, beginning.size)
    async with database.begin(system(scope=VERIFICATION)) as session:
        await _check_levels(session, beginning.size, bytes(going.level), damages)
        await _check_state(session, ports, beginning, damages)
        checkpoints = await _check_checkpoints(session, ports, beginning.size, damages)
        await _check_anchors(session, anchors, beginning.size, damages)
    expired = going.expired.between(0, beginning.size)
    return Report(going.events, expired, checkpoints, len(anchors), damages)


async def _walk(database: Database, ports: Ports, going: Walk, size: int) -> None:
    """Go through all stretches of the log."""
    said = await _said(database, ports, going.damages)
    never = said.unsaid
    going.expire(said.expiries)
    async with repository.open_readers(database, whole=True) as readers:
        with _without_collector():
            async for (first, end), found in readers.log(size):
                stretch = _stretch(first, end, found, ports.checkpoint_key().verifier, going.damages)
                seqs = stretch.rows.seqs
                there = set(seqs) if len(seqs) < end - first else range(first, end)
                if said.held.missing(first, end, there) or not going.accounts_for(first, end, seqs):
                    # A day may have gone since the walk began, or what was held of one may have been erased.
                    said = await _said(database, ports, Damages(), without=never)
                    never |= said.unsaid
                    going.expire(said.expiries)
                    for seq in said.held.missing(first, end, there):
                        going.damages.add(seq, "it was held when its day went, and is missing")
                going.take(stretch)


def _stretch(first: int, end: int, found: Found, key: VerifierKey, damages: Damages) -> Stretch:
    hashes, wrong = walk.joined(found.indexes, found.tiles, first=first, end=end)
    for number in wrong:
        damages.add(number * TILE_WIDTH, "its tile is missing or of the wrong length")
    _check_held(found.held, key, damages)
    rows = walk.with_held(found.rows, found.held, damages)
    return Stretch(first, end, rows, hashes, found.claimed, found.ids, found.checkpoints)


def _check_held(rows: Sequence[Any], key: VerifierKey, damages: Damages) -> None:
    """What is held must be proven by what is kept beside it; many rows share a checkpoint."""
    opened: dict[str, Checkpoint | None] = {}
    for row in rows:
        if row["checkpoint"] not in opened:
            opened[row["checkpoint"]] = _opened(row["checkpoint"], key)
        signed = opened[row["checkpoint"]]
        if signed is None or not _is_proven(row["seq"], row["leaf"], row["path"], signed):
            damages.add(row["seq"], "what is held of it is not proven")
        if row["expired_day"] != row["occurred_at"].astimezone(UTC).date():
            damages.add(row["seq"], "it is held of another day than its own")


def _opened(note: str, key: VerifierKey) -> Checkpoint | None:
    try:
        return notes.open(note, key)
    except NoteRefused:
        return None


def _is_proven(seq: int, content: bytes, path: bytes, signed: Checkpoint) -> bool:
    try:
        return root_of_inclusion(seq, signed.size, leaf_hash(content), split(path)) == signed.root
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Said:
    """What the log itself says is not there any more, and what must be."""

    expiries: list[Expiry]
    held: Held
    #: Events that did not come, however long they were waited for.
    unsaid: frozenset[UUID]


async def _said(
    database: Database, ports: Ports, damages: Damages, *, without: frozenset[UUID] = frozenset()
) -> _Said:
    """The days that went and the held events that were erased, as far as the log itself says so.

    What went a moment ago may still be on its way into the log: it is waited for, but for events that did not come
    when they were waited for before.
    """
    unsaid = await _wait_until_said(database, without)
    async with database.begin(system(scope=VERIFICATION)) as session:
        expiries = [
            await _with_leaf(session, row, events_domain.expiry_id(row["day"]))
            for row in await repository.expiries(session)
        ]
        erasures = [await _with_leaf(session, row, row["event_id"]) for row in await repository.erasures(session)]
        proven = await _proven(session, ports, [*expiries, *erasures])
    found: list[Expiry] = []
    held: list[Run] = []
    erased: list[Run] = []
    for row in expiries:
        expiry = _expiry(row) if row["seq"] in proven else None
        if expiry is None:
            damages.add(_place(row), "a day is said to have gone, and the log does not say so")
        else:
            found.append(expiry)
            held += domain.read_runs(row["held"])
    for row in erasures:
        if row["seq"] not in proven or not _is_erasure(row):
            damages.add(_place(row), "held events are said to have been erased, and the log does not say so")
        else:
            erased += domain.read_runs(row["runs"])
    return _Said(found, Held(held, erased), unsaid)


async def _wait_until_said(database: Database, without: frozenset[UUID]) -> frozenset[UUID]:
    """Wait for what is not in the log yet, until the first of it that does not come; answers what did not."""
    async with database.begin(system(scope=VERIFICATION)) as session:
        expiries = [row for row in await repository.expiries(session) if row["seq"] is None]
        erasures = [row for row in await repository.erasures(session) if row["seq"] is None]
    unsaid = {events_domain.expiry_id(row["day"]) for row in expiries} | {row["event_id"] for row in erasures}
    waited = set(unsaid - without)
    with suppress(Unavailable):
        while waited:
            await sequencer.wait_for(database, next(iter(waited)))
            waited.pop()
    return frozenset(waited)


async def _with_leaf(session: Session, row: Any, event_id: UUID) -> dict[str, Any]:
    """A row with the leaf of the event that says what it says, also when that is not kept beside it yet."""
    fresh = None if row["seq"] is not None else await events.said(session, event_id)
    return {**row} if fresh is None else {**row, "seq": fresh.seq, "leaf": fresh.leaf}


async def _proven(session: Session, ports: Ports, rows: Sequence[Any]) -> set[int]:
    """The places of those rows whose leaves are in the signed log."""
    places = [row["seq"] for row in rows if row["seq"] is not None]
    try:
        newest = await tree_service.newest_checkpoint(session)
    except tree_service.CheckpointUnknown:
        return set()
    signed = _opened(newest.note, ports.checkpoint_key().verifier)
    if signed is None:
        return set()
    paths = await _paths(session, places, signed.size)
    return {
        row["seq"] for row in rows
        if row["seq"] in paths and _is_proven(row["seq"], row["leaf"], paths[row["seq"]], signed)
    }


def _place(row: Any) -> int:
    return -1 if row["seq"] is None else int(row["seq"])


async def _paths(session: Session, seqs: Sequence[int], size: int) -> dict[int, bytes]:
    """The inclusion proofs of those leaves that have one."""
    paths = {}
    for seq in seqs:
        with suppress(tree_service.CheckpointUnknown):
            [path] = await tree_service.inclusion_proofs(session, [seq], size)
            paths[seq] = b"".join(path)
    return paths


def _expiry(row: Any) -> Expiry | None:
    """What a leaf says of a day that went; None when it is not about what stands beside it."""
    try:
        made = leaf.read(row["leaf"])
        runs, held = domain.read_runs(row["runs"]), domain.read_runs(row["held"])
        said = made.expiry or {}
        fits = (
            (made.seq, made.action, said["day"]) == (row["seq"], events_domain.EXPIRE, row["day"].isoformat())
            and (said["runs_sha256"], said["count"]) == (_digest(row["runs"]), domain.count_of(runs))
            and (said["held_sha256"], said["held"]) == (_digest(row["held"]), domain.count_of(held))
            # Not before its time.
            and row["day"] < events_domain.oldest_day(made.logged_at)
        )
        return Expiry(said["day"], runs, notes.unbase64(said["root"])) if fits and runs else None
    except (ValueError, KeyError, TypeError, CannotUnpack):
        return None


def _is_erasure(row: Any) -> bool:
    """Whether a leaf says that held events were erased, of those that stand beside it."""
    try:
        made = leaf.read(row["leaf"])
        said = made.expiry or {}
        return (made.seq, made.action, said["runs_sha256"], said["count"]) == (
            row["seq"], events_domain.ERASE, _digest(row["runs"]), domain.count_of(domain.read_runs(row["runs"]))
        )
    except (ValueError, KeyError, TypeError, CannotUnpack):
        return False


def _digest(runs: bytes) -> str:
    return sha256(runs).hexdigest()


async def _check_levels(session: Session, size: int, hashes: bytes, damages: Damages) -> None:
    """The tiles of each level above the leaves' are what those below say (`hashes`: what level 1 must be)."""
    level = 1
    while hashes:
        total = -(-len(hashes) // TILE_BYTES)
        for first in range(0, total, TILES_AT_ONCE):
            stored = await repository.tiles_of_level(session, level, first, first + TILES_AT_ONCE)
            for number in range(first, min(first + TILES_AT_ONCE, total)):
                tile, wanted = stored.get(number, b""), hashes[number * TILE_BYTES : (number + 1) * TILE_BYTES]
                # One at the edge may have grown meanwhile.
                if not tile.startswith(wanted) or len(tile) > TILE_BYTES:
                    damages.add(
                        min(number << (TILE_HEIGHT * (level + 1)), size - 1),
                        f"a tile of level {level} is not what those below it say",
                    )
        hashes = walk.raised(hashes[: len(hashes) // TILE_BYTES * TILE_BYTES])
        level += 1


async def _root_at(session: Session, size: int) -> bytes:
    known = await tree_service.tiles(session, tiles_of([Range(0, size)]))
    return tree_service.root_at(size, known)


async def _check_state(session: Session, ports: Ports, beginning: Beginning, damages: Damages) -> None:
    """The tree's state, its tiles and the newest checkpoint agree."""
    size = beginning.size
    known = await tree_service.tiles(session, tiles_of([Range(0, size)]))
    try:
        frontier = Frontier.read(size, beginning.frontier).hashes
        if frontier != [hash_of(part, known) for part in whole_parts(Range(0, size))]:
            damages.add(-1, "the tree's frontier is not what its tiles say")
    except (KeyError, ValueError):
        damages.add(-1, "the tree's frontier does not fit its size or its tiles")
    if beginning.note is None:
        if size:
            damages.add(-1, "there is no checkpoint")
        return
    signed = _opened(beginning.note, ports.checkpoint_key().verifier)
    if signed is None:
        damages.add(-1, "the newest checkpoint is not ours")
    elif (signed.size, signed.root) != (size, tree_service.root_at(size, known)):
        damages.add(-1, "the tree is not what was signed last")


async def _check_checkpoints(session: Session, ports: Ports, size: int, damages: Damages) -> int:
    """Checkpoints from the first to the last are ours and fit the tree; answers how many were looked at."""
    step = max(1, size // (SAMPLE - 1))
    found = await repository.some_checkpoints(session, [*range(1, size, step), size] if size else [])
    for row in found:
        if row["size"] > size:
            continue
        signed = _opened(row["note"], ports.checkpoint_key().verifier)
        if signed is None or signed.size != row["size"]:
            damages.add(row["size"], "the checkpoint of this size is not ours")
        elif signed.root != await _root_at(session, signed.size):
            damages.add(row["size"], "the checkpoint of this size is not what the tree was")
    return len(found)


async def _anchors(ports: Ports, damages: Damages) -> list[Anchor]:
    """Anchors from the first to the last that the tree must fit."""
    key = ports.checkpoint_key().verifier
    try:
        places = await ports.anchors.binding(key)
        return [await ports.anchors.at(place, key) for place in domain.sample(places, SAMPLE)]
    except NoteRefused:
        damages.add(-1, "there is an anchor that is not ours")
    except Unavailable as error:
        log.warning("the log is not held against its anchors", error=type(error).__name__)
    return []


async def _check_anchors(session: Session, anchors: Sequence[Anchor], size: int, damages: Damages) -> None:
    for anchor in anchors:
        if anchor.size > size:
            damages.add(size, "the log is behind an anchor")
        elif anchor.root != await _root_at(session, anchor.size):
            damages.add(anchor.size, "the log is not what an anchor says it was")
        elif anchor.size and not await tree_service.has_checkpoint(session, anchor.size):
            damages.add(anchor.size, "the checkpoint that was anchored is missing")


@contextmanager
def _without_collector() -> Iterator[None]:
    """Rows come and go by the million and hold no cycles: looking for some would take a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
