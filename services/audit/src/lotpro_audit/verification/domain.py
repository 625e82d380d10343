"""What a stretch of the log must look like; pure."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import iter_unpack
from typing import TypeVar
from zlib import compress, decompress

from lotpro_audit.tree.domain import HASH_BYTES, split

#: First and last `seq` of a stretch without a gap.
Run = tuple[int, int]

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was written: where, and what."""

    seq: int
    what: str


OTHER_LEAF = "its leaf is not the one that is in the tree"


def differing(seqs: Sequence[int], found: bytes, wanted: bytes, *, first: int) -> list[int]:
    """The places (ascending) whose leaf hashes `found` are not those that the tree has: `wanted`, from `first` on."""
    if found == wanted:
        return []
    hashes = split(wanted)
    return [seq for seq, hashed in zip(seqs, split(found), strict=True) if hashed != hashes[seq - first]]


def root_of(hashes: bytes) -> bytes:
    """The RFC 6962 hash of leaves by their hashes, one after the other: level by level, for there are very many."""
    while len(hashes) > HASH_BYTES:
        hashes = paired(hashes)
    return hashes


def paired(hashes: bytes) -> bytes:
    """A level of a tree as the next one; what has no partner goes up as it is."""
    even = len(hashes) // (2 * HASH_BYTES) * 2 * HASH_BYTES
    pairs = iter_unpack(f"{2 * HASH_BYTES}s", memoryview(hashes)[:even])
    return b"".join([sha256(b"\x01" + pair).digest() for (pair,) in pairs]) + hashes[even:]


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
