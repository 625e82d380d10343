"""Use cases of the tree: growing it, signing what it is, proving what is in it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lotpro_audit.ports import Ports
from lotpro_audit.tree import domain, notes, repository
from lotpro_audit.tree.anchors import Anchor
from lotpro_audit.tree.domain import Frontier, Range, TileId, Tiles
from lotpro_audit.tree.proofs import Prover
from lotpro_kit import errors, telemetry
from lotpro_kit.db import Driver, Session

#: Seconds that whoever begins to lead waits for storage: a log whose anchors cannot be read is led all the same.
ANCHOR_SECONDS = 2.0

log = telemetry.logger(__name__)


class CheckpointUnknown(errors.NotFound):
    """The log has no tree of this size yet."""

    code = "audit.checkpoint_unknown"
    message = "The log has no checkpoint of this size."


class Deposed(Exception):
    """Another leader has begun; this one must not write any more."""


class LogDamaged(Exception):
    """The log is not the one that was signed or anchored last: somebody changed it, or rolled it back."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree as its leader has it in memory."""

    epoch: int
    frontier: Frontier
    edge: dict[TileId, bytes]

    @property
    def size(self) -> int:
        return self.frontier.size


@dataclass(frozen=True, slots=True)
class Growth:
    """What a tree of size `old` becomes: the tiles that change, and the signed note of what it is then."""

    old: int
    tree: Tree
    tiles: dict[TileId, bytes]
    note: str


async def lead(connection: Driver, ports: Ports) -> Tree:
    """Wait to be the leader; answers the tree. Raises LogDamaged when it is not what was signed and anchored last.

    The lock lives as long as the connection does. Storage that is away is not waited for: `to_anchor` looks again.
    """
    row = await repository.lead(connection)
    size = row["size"]
    try:
        frontier = Frontier.read(size, row["frontier"])
    except ValueError as error:
        raise LogDamaged("the tree's frontier does not fit its size") from error
    note = await repository.newest_note(connection)
    _check_signed(frontier, note, ports)
    places = _edge_places(size)
    edge = await repository.edge(connection, places)
    if {place: len(edge.get(place, b"")) // domain.HASH_BYTES for place in places} != _edge_lengths(size):
        raise LogDamaged("the tree's tiles do not reach its edge")
    await _check_anchored(connection, frontier, ports)
    return Tree(row["epoch"], frontier, edge)


def _check_signed(frontier: Frontier, note: str | None, ports: Ports) -> None:
    if note is None:
        if frontier.size:
            raise LogDamaged("there is no checkpoint of the tree")
        return
    try:
        signed = notes.open(note, ports.checkpoint_key().verifier)
    except notes.NoteRefused as error:
        raise LogDamaged(f"the newest checkpoint is not ours: {error}") from error
    if (signed.size, signed.root) != (frontier.size, frontier.root()):
        raise LogDamaged("the tree is not what was signed last")


async def _check_anchored(connection: Driver, frontier: Frontier, ports: Ports) -> None:
    try:
        async with asyncio.timeout(ANCHOR_SECONDS):
            anchor = await ports.anchors.newest(ports.checkpoint_key().verifier)
    except (errors.Unavailable, TimeoutError) as error:
        log.warning("the log begins without a look at its anchors", error=type(error).__name__)
        return
    except notes.NoteRefused as error:
        raise LogDamaged(f"the newest anchor is not ours: {error}") from error
    whole = Range(0, frontier.size)
    known = await repository.edge(connection, domain.tiles_of([whole, Range(0, min(anchor.size, frontier.size))]))
    if root_at(frontier.size, known) != frontier.root():
        raise LogDamaged("the tree is not what its tiles say")
    _hold_against(anchor, frontier.size, known)


def _hold_against(anchor: Anchor, size: int, known: Tiles) -> None:
    """Raises LogDamaged when the tree of a size, with these tiles, is not one that the anchored one grew into."""
    if anchor.size > size:
        raise LogDamaged("the log is behind its newest anchor")
    if root_at(anchor.size, known) != anchor.root:
        raise LogDamaged("the log is not what its newest anchor says")


def root_at(size: int, known: Tiles) -> bytes:
    """The root of the tree at a size by its tiles; empty when they do not reach so far."""
    try:
        return domain.hash_of(Range(0, size), known)
    except (KeyError, ValueError):
        return b""


def _edge_lengths(size: int) -> dict[TileId, int]:
    """The tiles at the edge of a tree that are not full, and how many hashes they hold."""
    lengths, level, number = {}, 0, size
    while number:
        if number % domain.TILE_WIDTH:
            lengths[TileId(level, number // domain.TILE_WIDTH)] = number % domain.TILE_WIDTH
        level, number = level + 1, number // domain.TILE_WIDTH
    return lengths


def _edge_places(size: int) -> list[TileId]:
    return list(_edge_lengths(size))


def grow(tree: Tree, leaves: Sequence[bytes], key: notes.SigningKey) -> Growth:
    """What a tree becomes by more leaf hashes, signed; the tree itself stays as it is."""
    frontier = Frontier(tree.size, list(tree.frontier.hashes))
    for leaf in leaves:
        frontier.append(leaf)
    tiles = domain.grow_tiles(tree.size, leaves, tree.edge)
    edge = {place: hashes for place, hashes in (tree.edge | tiles).items() if not domain.is_full(hashes)}
    note = key.sign(notes.Checkpoint(notes.ORIGIN, frontier.size, frontier.root()))
    return Growth(tree.size, Tree(tree.epoch, frontier, edge), tiles, note)


async def write(connection: Driver, growth: Growth, *, at: datetime) -> None:
    """Write what the tree becomes, in the connection's transaction; raises Deposed."""
    tree = growth.tree
    if not await repository.grow(
        connection, epoch=tree.epoch, old=growth.old, new=tree.size, frontier=tree.frontier.spelled()
    ):
        raise Deposed
    await repository.write_tiles(connection, growth.tiles)
    await repository.add_checkpoint(connection, size=tree.size, logged_at=at, note=growth.note)


async def to_anchor(session: Session, newest: Anchor) -> Any:
    """The newest checkpoint (`size`, `note`), where it is newer than the newest anchor, else None.

    Read the anchor first. Raises LogDamaged when the tree is not one that the anchored one grew into.
    """
    found = await repository.checkpoint(session)
    size = 0 if found is None else found.size
    _hold_against(newest, size, await repository.tiles(session, domain.tiles_of([Range(0, min(newest.size, size))])))
    return found if size > newest.size else None


async def fits(session: Session, anchor: Anchor) -> bool:
    """Whether the tree is one that the anchored one grew into, as far as its tiles say."""
    known = await repository.tiles(session, domain.tiles_of([Range(0, anchor.size)]))
    return root_at(anchor.size, known) == anchor.root


async def state(session: Session) -> Frontier:
    """What the tree is now."""
    row = await repository.state(session)
    return Frontier.read(row.size, row.frontier)


async def newest_checkpoint(session: Session) -> Any:
    """The newest checkpoint (`size`, `logged_at`, `note`); raises CheckpointUnknown while there is none."""
    found = await repository.checkpoint(session)
    if found is None:
        raise CheckpointUnknown
    return found


async def has_checkpoint(session: Session, size: int) -> bool:
    """Whether there is a checkpoint of a size."""
    return await repository.checkpoint_of(session, size) is not None


async def checkpoint_of(session: Session, size: int) -> Any:
    """The checkpoint of a size; raises CheckpointUnknown."""
    found = await repository.checkpoint_of(session, size)
    if found is None:
        raise CheckpointUnknown
    return found


async def inclusion_proofs(session: Session, indexes: Sequence[int], size: int) -> list[list[bytes]]:
    """For each leaf the hashes that prove it is in the tree of a size; raises CheckpointUnknown for one outside."""
    prover = Prover(size)
    await prepare_proofs(session, prover, indexes)
    try:
        return [prover.path(index) for index in indexes]
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointUnknown from error


async def prepare_proofs(session: Session, prover: Prover, indexes: Sequence[int]) -> None:
    """Give a prover what it needs to prove these leaves next; raises CheckpointUnknown for one outside of its tree."""
    try:
        wanted = prover.wanted(indexes)
    except ValueError as error:
        raise CheckpointUnknown from error
    prover.give(await repository.tiles(session, wanted))


async def consistency_proof(session: Session, *, old: int, new: int) -> list[bytes]:
    """The hashes that prove that the tree of size `old` is where that of `new` began; raises CheckpointUnknown."""
    if new > (await newest_checkpoint(session)).size:
        raise CheckpointUnknown
    try:
        subtrees = domain.consistency(old, new)
    except ValueError as error:
        raise CheckpointUnknown from error
    known = await repository.tiles(session, domain.tiles_of(subtrees))
    try:
        return [domain.hash_of(subtree, known) for subtree in subtrees]
    except (KeyError, ValueError) as error:
        raise CheckpointUnknown from error


async def tiles(session: Session, places: set[TileId]) -> dict[TileId, bytes]:
    """The tiles at these places, those there are."""
    return await repository.tiles(session, places)
