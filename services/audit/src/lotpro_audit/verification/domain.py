"""What a stretch of the log must look like; pure."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar
from zlib import compress, decompress

from lotpro_audit.tree.domain import HASH_BYTES, TILE_WIDTH, TileId, Tiles, node_hash

#: First and last `seq` of a stretch without a gap.
Run = tuple[int, int]

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was written: where, and what."""

    seq: int
    what: str


def check_rows(rows: Sequence[Any], tiles: Tiles) -> tuple[list[bytes], list[Damage]]:
    """The leaf hashes of rows (`seq`, leaf; ascending) and what is wrong with them."""
    hashes = [sha256(b"\x00" + row[1]).digest() for row in rows]
    damages, number, tile = [], -1, b""
    for row, hashed in zip(rows, hashes, strict=True):
        seq = row[0]
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


def digest_of(runs: Sequence[Run]) -> str:
    """What names runs in a leaf: the SHA-256 of what is kept of them, hex."""
    return sha256(write_runs(runs)).hexdigest()


def count_of(runs: Iterable[Run]) -> int:
    """How many numbers runs have."""
    return sum(last + 1 - first for first, last in runs)


class Held:
    """The places whose events must still be there though their days went: what was held, less what was erased since."""

    def __init__(self, held: Iterable[Run] = (), erased: Iterable[Run] = ()) -> None:
        self._held, self._erased = _Runs(held), _Runs(erased)

    def missing(self, first: int, end: int, there: Collection[int]) -> list[int]:
        """Which of the places `[first, end)` must have an event and have none."""
        return [
            seq for seq in self._held.within(first, end) if seq not in there and not self._erased.within(seq, seq + 1)
        ]


class _Runs:
    """Runs that do not overlap, found by their numbers."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = sorted(runs)

    def within(self, first: int, end: int) -> list[int]:
        """The numbers of `[first, end)` that the runs have."""
        found: list[int] = []
        at = max(0, bisect_right(self._runs, (first, first)) - 1)
        while at < len(self._runs) and self._runs[at][0] < end:
            found += range(max(first, self._runs[at][0]), min(end, self._runs[at][1] + 1))
            at += 1
        return found


def sample(items: Sequence[_Item], most: int) -> list[_Item]:
    """The first, the last, and others evenly between: so many at most (two or more)."""
    if len(items) <= most:
        return list(items)
    return [items[number * (len(items) - 1) // (most - 1)] for number in range(most)]
