"""What a stretch of the log must look like; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import compress, decompress

from lotpro_audit.tree.domain import HASH_BYTES, TILE_WIDTH, TileId, Tiles, leaf_hash, node_hash

#: First and last `seq` of a stretch without a gap.
Run = tuple[int, int]

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was written: where, and what."""

    seq: int
    what: str


def check_rows(rows: Sequence[tuple[int, bytes]], tiles: Tiles) -> tuple[list[bytes], list[Damage]]:
    """The leaf hashes of rows (`seq`, leaf; ascending) and what is wrong with them."""
    hashes = [leaf_hash(content) for _, content in rows]
    damages, number, tile = [], -1, b""
    for (seq, _), hashed in zip(rows, hashes, strict=True):
        if seq // TILE_WIDTH != number:
            number = seq // TILE_WIDTH
            tile = tiles.get(TileId(0, number), b"")
        at = seq % TILE_WIDTH * HASH_BYTES
        if tile[at : at + HASH_BYTES] != hashed:
            damages.append(Damage(seq, "its leaf is not the one that is in the tree"))
    return hashes, damages


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The RFC 6962 hash of leaves by their hashes, level by level: faster than one by one for very many."""
    level = list(hashes)
    while len(level) > 1:
        above = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def runs_of(numbers: Iterable[int]) -> list[Run]:
    """Ascending numbers as stretches without gaps."""
    runs: list[Run] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def write_runs(runs: Sequence[Run]) -> bytes:
    """Runs as they are kept: `first-last` with commas, compressed."""
    return compress(",".join(f"{first}-{last}" for first, last in runs).encode())


def read_runs(written: bytes) -> list[Run]:
    """What `write_runs` wrote; raises ValueError."""
    text = decompress(written).decode()
    return [(int(first), int(last)) for first, _, last in (part.partition("-") for part in text.split(",") if part)]


def sample(items: Sequence[_Item], most: int) -> list[_Item]:
    """The first, the last, and others evenly between: so many at most (two or more)."""
    if len(items) <= most:
        return list(items)
    return [items[number * (len(items) - 1) // (most - 1)] for number in range(most)]
