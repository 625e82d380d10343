"""Going through the whole log in the order of its tree, a stretch at a time; pure.

A place of the tree is accounted for by its row, by the copy of it that is held, or by its day having gone, which the
log itself says. A row is spelled as its leaf; the ids that were written and the checkpoints must be what leaves say.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from struct import iter_unpack
from typing import Any, NamedTuple
from uuid import UUID

from lotpro_audit.events import leaf
from lotpro_audit.events.leaf import NOBODY
from lotpro_audit.tree.domain import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH
from lotpro_audit.verification.domain import Damage, Run, root_of

#: Damages of a kind that are told one by one; all are counted.
MOST_TOLD = 5
TILE_BYTES = TILE_WIDTH * HASH_BYTES
#: What a row's columns say of its leaf ends with this, and the rest begins with the event's id;
_ID_KEY = b',"id":"'
_ID_BYTES = 36
#: from here on it has the time, in microseconds, between the event and its writing; no number is longer.
_LAG = _ID_BYTES + len('","lag":')
_LAG_END = _LAG + 20


@dataclass(slots=True)
class Damages:
    """What is wrong with the log."""

    count: int = 0
    told: list[Damage] = field(default_factory=list)

    def add(self, seq: int, what: str, *, count: int = 1) -> None:
        """Something is wrong at a place of the tree, or from there on; -1 is for the log as a whole."""
        self.count += count
        if sum(damage.what == what for damage in self.told) < MOST_TOLD:
            self.told.append(Damage(seq, what))


@dataclass(frozen=True, slots=True)
class Expiry:
    """A day that went, as the log itself says it: which places it held, and the hash over them."""

    day: str
    runs: Sequence[Run]
    root: bytes


class Expired:
    """The places of days that went."""

    def __init__(self, expiries: Iterable[Expiry] = ()) -> None:
        runs = sorted(run for expiry in expiries for run in expiry.runs)
        self._begins = [first for first, _ in runs]
        self._ends = [last + 1 for _, last in runs]
        self._counts = [0]
        for first, last in runs:
            self._counts.append(self._counts[-1] + last + 1 - first)

    def before(self, seq: int) -> int:
        """How many of the places below this one expired."""
        number = bisect_right(self._begins, seq - 1)
        if not number:
            return 0
        return self._counts[number] - max(0, self._ends[number - 1] - max(seq, self._begins[number - 1]))

    def between(self, first: int, end: int) -> int:
        """How many of the places `[first, end)` expired."""
        return self.before(end) - self.before(first)

    def covers(self, seq: int) -> bool:
        """Whether a place expired."""
        return self.between(seq, seq + 1) == 1


class Row(NamedTuple):
    """A row of the log: its leaf is what its columns say, and the rest."""

    seq: int
    indexed: bytes
    rest: bytes
    org_seq: int
    org_id: UUID | None
    occurred_us: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """What there is at places `[first, end)` of the log; `first` begins a tile.

    `rows` are in the order of their places. `hashes` are the tree's; `claims` the ids that were written, as text, and
    where; `checkpoints` the sizes that were signed.
    """

    first: int
    end: int
    rows: Sequence[Row]
    hashes: bytes
    claimed: Sequence[int]
    ids: Sequence[bytes]
    checkpoints: Sequence[int]


class Walk:
    """The walk through a log from its first place on; every stretch begins where the last one ended."""

    def __init__(self, damages: Damages, *, forgotten_us: int) -> None:
        """`forgotten_us`: of what happened before (microseconds since 1970), ids may be forgotten."""
        self.damages = damages
        #: The hashes of the full tiles so far: what level 1 of the tree must be.
        self.level = bytearray()
        self.events = 0
        self.expired = Expired()
        self._forgotten_us = forgotten_us
        self._going: list[_Going] = []
        self._known: set[str] = set()
        self._last: dict[UUID | None, int] = {}
        self._where: dict[UUID | None, int] = {}
        self._logged = 0
        self._logged_at = -1

    def expire(self, expiries: Sequence[Expiry]) -> None:
        """All the days that went, as far as is known by now; those that are new went after the walk began."""
        self.expired = Expired(expiries)
        # Of a day that went behind our back, its rows were seen: nothing is left to hold against its hash.
        self._going += [_Going(e) for e in expiries if e.day not in self._known and not self.events]
        self._known |= {expiry.day for expiry in expiries}

    def accounts_for(self, first: int, end: int, rows: Sequence[Row]) -> bool:
        """Whether every place of a stretch has its row, or expired."""
        return len(rows) == end - first or not self._missing(first, end, rows)

    def _missing(self, first: int, end: int, rows: Sequence[Row]) -> list[int]:
        there = {row[0] for row in rows}
        if self.expired.between(first, end) == end - first:
            return []
        return [seq for seq in range(first, end) if seq not in there and not self.expired.covers(seq)]

    def take(self, stretch: Stretch) -> None:
        """Hold a stretch against the tree, and go on after it."""
        self._tiles(stretch)
        if len(stretch.rows) != stretch.end - stretch.first:
            self._gaps(stretch)
        for going in self._going:
            going.take(stretch)
        self._going = [going for going in self._going if not self._ends(going, stretch.end)]
        if not stretch.rows:
            self._claims(stretch, [], [])
            return
        seqs, indexed, rests, numbers, organisations, moments = zip(*stretch.rows, strict=True)
        self._leaves(stretch, seqs, indexed, rests)
        self._claims(stretch, seqs, [rest[:_ID_BYTES] for rest in rests])

        def logged(at: int) -> int:
            return int(moments[at]) + _lag(rests[at])

        self._checkpoints(stretch, seqs, logged)
        self._sequences(seqs, numbers, organisations)
        self.events += len(seqs)

    def finish(self, heads: Mapping[UUID, int], size: int) -> None:
        """The whole log was taken: each organisation's sequence must end where its head says it does."""
        for going in self._going:
            self.damages.add(-1, f"the day {going.expiry.day} held places the log does not have")
        if sum(heads.values()) != size:
            self.damages.add(-1, "the organisations' heads do not add up to the log")
        last = {organisation or NOBODY: number for organisation, number in self._last.items()}
        where = {organisation or NOBODY: seq for organisation, seq in self._where.items()}
        for organisation, head in heads.items():
            ended = last.pop(organisation, 0)
            gone = self.expired.between(where.get(organisation, -1) + 1, size)
            if not 0 <= head - ended <= gone:
                self.damages.add(where.get(organisation, -1), "an organisation's sequence does not end at its head")
        for organisation in last:
            self.damages.add(where[organisation], "an organisation's sequence has no head")

    def _tiles(self, stretch: Stretch) -> None:
        """What the tiles of a stretch are on the next level."""
        hashes = stretch.hashes[: (stretch.end - stretch.first) // TILE_WIDTH * TILE_BYTES]
        self.level += raised(hashes)

    def _gaps(self, stretch: Stretch) -> None:
        for seq in self._missing(stretch.first, stretch.end, stretch.rows):
            self.damages.add(seq, "it is missing, and no day that went had it")
        seen = -1
        for row in stretch.rows:
            if row[0] == seen:
                self.damages.add(seen, "there are several in one place")
            seen = row[0]

    def _leaves(
        self, stretch: Stretch, seqs: Sequence[int], indexed: Sequence[bytes], rests: Sequence[bytes]
    ) -> None:
        found = [sha256(b"\x00" + begin + rest).digest() for begin, rest in zip(indexed, rests, strict=True)]
        if len(found) == stretch.end - stretch.first and b"".join(found) == stretch.hashes:
            return
        for seq, hashed in zip(seqs, found, strict=True):
            at = (seq - stretch.first) * HASH_BYTES
            if stretch.hashes[at : at + HASH_BYTES] != hashed:
                self.damages.add(seq, "its leaf is not the one that is in the tree")

    def _claims(self, stretch: Stretch, seqs: Sequence[int], ids: Sequence[bytes]) -> None:
        """The ids that were written are those of the leaves; those of days that went may outlive them a little."""
        if len(stretch.claimed) == len(seqs) and list(stretch.claimed) == list(seqs) and list(stretch.ids) == list(ids):
            return
        claimed = dict(zip(stretch.claimed, stretch.ids, strict=True))
        if len(claimed) != len(stretch.claimed):
            more = len(stretch.claimed) - len(claimed)
            self.damages.add(stretch.first, "several ids were written in one place", count=more)
        happened = {row[0]: row[5] for row in stretch.rows}
        for seq, event_id in zip(seqs, ids, strict=True):
            found = claimed.pop(seq, None)
            if found != event_id and not (found is None and happened[seq] < self._forgotten_us):
                self.damages.add(seq, "its id is not among those that were written")
        for seq in claimed:
            if not self.expired.covers(seq):
                self.damages.add(seq, "an id was written that no event has")

    def _checkpoints(self, stretch: Stretch, seqs: Sequence[int], logged: Callable[[int], int]) -> None:
        """Events of one batch were written at the same moment: where it changes, a batch ended, and was signed.

        `logged` says when a row was written. Time goes on, so that the first and the last row between two checkpoints
        are enough; when they differ, all in between are looked at.
        """
        signed = set(stretch.checkpoints)
        begins = [0, *(at for at, seq in enumerate(seqs) if at and (seq in signed or seq != seqs[at - 1] + 1))]
        for begin, end in pairwise([*begins, len(seqs)]):
            if logged(begin) != logged(end - 1):
                self._changes(seqs[at] for at in range(begin + 1, end) if logged(at) != logged(at - 1))
        if seqs[0] == self._logged_at + 1 and seqs[0] not in signed and seqs[0] and logged(0) != self._logged:
            self._changes([seqs[0]])
        self._logged, self._logged_at = logged(len(seqs) - 1), seqs[-1]

    def _changes(self, sizes: Iterable[int]) -> None:
        for size in sizes:
            self.damages.add(size, "the checkpoint of this size is missing")

    def _sequences(
        self, seqs: Sequence[int], numbers: Sequence[int], organisations: Sequence[UUID | None]
    ) -> None:
        """Each organisation's own numbers have no gap but for what expired in between."""
        last, where = self._last, self._where
        for seq, number, organisation in zip(seqs, numbers, organisations, strict=True):
            before = last.get(organisation, 0)
            if number != before + 1:
                gone = self.expired.between(where.get(organisation, -1) + 1, seq)
                if not 0 < number - before <= gone + 1:
                    self.damages.add(seq, "its organisation's sequence has a gap, or repeats itself")
            last[organisation], where[organisation] = number, seq

    def _ends(self, going: "_Going", end: int) -> bool:
        if going.expiry.runs[-1][1] >= end:
            return False
        if root_of(going.hashes()) != going.expiry.root:
            self.damages.add(going.expiry.runs[0][0], f"the day {going.expiry.day} is not what the log says it was")
        return True


class _Going:
    """A day that went, with the hashes of its places as the walk comes by them."""

    def __init__(self, expiry: Expiry) -> None:
        self.expiry = expiry
        self._at = 0
        self._parts: list[bytes] = []

    def take(self, stretch: Stretch) -> None:
        runs = self.expiry.runs
        while self._at < len(runs) and runs[self._at][0] < stretch.end:
            first, last = runs[self._at]
            begin, end = max(first, stretch.first) - stretch.first, min(last + 1, stretch.end) - stretch.first
            self._parts.append(stretch.hashes[begin * HASH_BYTES : end * HASH_BYTES])
            if last >= stretch.end:
                return
            self._at += 1

    def hashes(self) -> list[bytes]:
        joined = b"".join(self._parts)
        return [found for (found,) in iter_unpack(f"{HASH_BYTES}s", joined)]


def _lag(rest: bytes) -> int:
    """How long after its event a leaf was written, in microseconds; 0 when it does not say so where others do."""
    try:
        return int(rest[_LAG:_LAG_END].partition(b",")[0])
    except ValueError:
        return 0


def raised(hashes: bytes | bytearray) -> bytes:
    """The hashes of full tiles, by theirs: what these are on the next level of the tree."""
    level = bytes(hashes)
    for _ in range(TILE_HEIGHT):
        level = b"".join([sha256(b"\x01" + pair).digest() for (pair,) in iter_unpack(f"{2 * HASH_BYTES}s", level)])
    return level


def held_row(found: Mapping[str, Any]) -> Row:
    """The row of a held event; raises ValueError when its columns, those it has, are not what its leaf says."""
    made = leaf.read(found["leaf"])
    columns = (found["occurred_at"], found["org_seq"], *(str(found[name] or "") for name in _HELD_IDS))
    if columns != (made.occurred_at, made.org_seq, *(getattr(made, name) for name in _HELD_IDS)):
        raise ValueError("its columns are not what its leaf says")
    indexed, key, rest = found["leaf"].partition(_ID_KEY)
    return Row(found["seq"], indexed + key, rest, found["org_seq"], found["org_id"], made.occurred_us)


_HELD_IDS = ("org_id", "store_id", "actor_id", "subject_id", "concerned_id")


def joined(indexes: Sequence[int], hashes: Sequence[bytes], *, first: int, end: int) -> tuple[bytes, list[int]]:
    """The hashes of places `[first, end)` by their tiles, and which tiles are missing or too short or too long.

    A tile at the edge may have grown since the tree was `end` large.
    """
    found = dict(zip(indexes, hashes, strict=True))
    wrong, parts = [], []
    for number in range(first // TILE_WIDTH, -(-end // TILE_WIDTH)):
        wanted = min(TILE_WIDTH, end - number * TILE_WIDTH) * HASH_BYTES
        tile = found.get(number, b"")
        if len(tile) < wanted or len(tile) > TILE_BYTES:
            wrong.append(number)
        parts.append(tile[:wanted].ljust(wanted, b"\0"))
    return b"".join(parts), wrong


def stretches(size: int, width: int) -> Iterator[Run]:
    """`[first, end)` of stretches through a log; the width is a multiple of a tile's."""
    return ((first, min(first + width, size)) for first in range(0, size, width))

