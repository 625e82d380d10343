"""Going through the whole log in the order of its tree, a stretch at a time; pure.

A place of the tree is accounted for by its row, by the copy of it that is held, or by its day having gone, which the
log itself says. A row is spelled as its leaf; the ids that were written and the checkpoints must be what leaves say.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from lotpro_audit.events import leaf
from lotpro_audit.events.leaf import NOBODY
from lotpro_audit.tree.domain import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH
from lotpro_audit.verification.domain import OTHER_LEAF, Damage, Run, differing, paired, root_of

#: Damages of a kind that are told one by one; all are counted.
MOST_TOLD = 5
TILE_BYTES = TILE_WIDTH * HASH_BYTES
#: What a row's columns say of its leaf ends with this, and the rest begins with the event's id;
_ID_KEY = b',"id":"'
_ID_TEXT, _ID_BYTES = 36, 16
#: from here on it has the time, in microseconds, between the event and its writing; no number is longer.
_LAG = _ID_TEXT + len('","lag":')
_LAG_END = _LAG + 20
_YEAR_2000_US = leaf.microseconds(datetime(2000, 1, 1, tzinfo=UTC))


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


class Rows(NamedTuple):
    """Rows of the log in the order of their places, a column each."""

    seqs: Sequence[int]
    org_seqs: Sequence[int]
    #: When the events happened, in microseconds since 2000.
    moments: Sequence[int]
    #: Whose they are, one id's bytes after the other; NOBODY's are of no organisation.
    org_ids: bytes
    #: Their leaves: what the columns say of each, and the rest.
    indexed: Sequence[bytes]
    rests: Sequence[bytes]

    def hashes(self) -> bytes:
        """The hashes of their leaves, one after the other."""
        leaves = zip(self.indexed, self.rests, strict=True)
        return b"".join([sha256(b"\x00" + begin + rest).digest() for begin, rest in leaves])


@dataclass(frozen=True, slots=True)
class Stretch:
    """What there is at places `[first, end)` of the log; `first` begins a tile.

    `hashes` are the tree's; `ids` those that were written, one after the other, and `claimed` where; `checkpoints` the
    sizes that were signed.
    """

    first: int
    end: int
    rows: Rows
    hashes: bytes
    claimed: Sequence[int]
    ids: bytes
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
        self._forgotten_us = forgotten_us - _YEAR_2000_US
        self._going: list[_Going] = []
        self._known: set[str] = set()
        self._last: dict[bytes, int] = {}
        self._where: dict[bytes, int] = {}
        self._logged = 0
        self._logged_at = -1

    def expire(self, expiries: Sequence[Expiry]) -> None:
        """All the days that went, as far as is known by now; those that are new went after the walk began."""
        self.expired = Expired(expiries)
        # Of a day that went behind our back, its rows were seen: nothing is left to hold against its hash.
        self._going += [_Going(e) for e in expiries if e.day not in self._known and not self.events]
        self._known |= {expiry.day for expiry in expiries}

    def accounts_for(self, first: int, end: int, seqs: Sequence[int]) -> bool:
        """Whether every place of a stretch has its row, or expired."""
        return len(seqs) == end - first or not self._missing(first, end, seqs)

    def _missing(self, first: int, end: int, seqs: Sequence[int]) -> list[int]:
        if self.expired.between(first, end) == end - first:
            return []
        there = set(seqs)
        return [seq for seq in range(first, end) if seq not in there and not self.expired.covers(seq)]

    def take(self, stretch: Stretch) -> None:
        """Hold a stretch against the tree, and go on after it."""
        self._tiles(stretch)
        seqs, org_seqs, moments, org_ids, _, rests = rows = stretch.rows
        if len(seqs) != stretch.end - stretch.first:
            self._gaps(stretch)
        for going in self._going:
            going.take(stretch)
        self._going = [going for going in self._going if not self._ends(going, stretch.end)]
        self._claims(stretch, [rest[:_ID_TEXT] for rest in rests])
        if not seqs:
            return
        for seq in differing(seqs, rows.hashes(), stretch.hashes, first=stretch.first):
            self.damages.add(seq, OTHER_LEAF)

        def logged(at: int) -> int:
            return moments[at] + _lag(rests[at])

        self._checkpoints(stretch, seqs, logged)
        self._sequences(seqs, org_seqs, _cut(org_ids))
        self.events += len(seqs)

    def finish(self, heads: Mapping[UUID, int], size: int) -> None:
        """The whole log was taken: each organisation's sequence must end where its head says it does."""
        for going in self._going:
            self.damages.add(-1, f"the day {going.expiry.day} held places the log does not have")
        if sum(heads.values()) != size:
            self.damages.add(-1, "the organisations' heads do not add up to the log")
        last, where = self._last.copy(), self._where
        for organisation, head in ((org_id.bytes, head) for org_id, head in heads.items()):
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
        seqs = stretch.rows.seqs
        for seq in self._missing(stretch.first, stretch.end, seqs):
            self.damages.add(seq, "it is missing, and no day that went had it")
        for before, seq in pairwise(seqs):
            if before == seq:
                self.damages.add(seq, "there are several in one place")

    def _claims(self, stretch: Stretch, texts: Sequence[bytes]) -> None:
        """The ids that were written are those of the leaves; those of days that went may outlive them a little."""
        seqs = stretch.rows.seqs
        if stretch.claimed == seqs and stretch.ids == _read_ids(texts):
            return
        claimed = dict(zip(stretch.claimed, _cut(stretch.ids), strict=True))
        if len(claimed) != len(stretch.claimed):
            more = len(stretch.claimed) - len(claimed)
            self.damages.add(stretch.first, "several ids were written in one place", count=more)
        happened = dict(zip(seqs, stretch.rows.moments, strict=True))
        for seq, text in zip(seqs, texts, strict=True):
            found = claimed.pop(seq, None)
            if found != _read_ids([text]) and not (found is None and happened[seq] < self._forgotten_us):
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
        self, seqs: Sequence[int], numbers: Sequence[int], organisations: Sequence[bytes]
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
        if root_of(going.hashes) != going.expiry.root:
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

    @property
    def hashes(self) -> bytes:
        return b"".join(self._parts)


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
        level = paired(level)
    return level


def with_held(rows: Rows, held: Sequence[Mapping[str, Any]], damages: Damages) -> Rows:
    """Rows together with the copies that are held of others; tells of those whose columns are not what they hold."""
    there, copies = set(rows.seqs), []
    for found in held:
        try:
            copy = _held_row(found)
        except ValueError:
            damages.add(found["seq"], "what is held of it is not what its leaf says")
            continue
        if found["seq"] not in there:
            copies.append(copy)
    if not copies:
        return rows
    own = zip(*rows[:3], _cut(rows.org_ids), rows.indexed, rows.rests, strict=True)
    seqs, org_seqs, moments, org_ids, *leaves = zip(*sorted([*own, *copies], key=itemgetter(0)), strict=True)
    return Rows(seqs, org_seqs, moments, b"".join(org_ids), *leaves)


def _held_row(found: Mapping[str, Any]) -> tuple[Any, ...]:
    """A held event as a row (Rows); raises ValueError when its columns, those it has, are not what its leaf says."""
    made = leaf.read(found["leaf"])
    columns = (found["occurred_at"], found["org_seq"], *(str(found[name] or "") for name in _HELD_IDS))
    if columns != (made.occurred_at, made.org_seq, *(getattr(made, name) for name in _HELD_IDS)):
        raise ValueError("its columns are not what its leaf says")
    indexed, key, rest = found["leaf"].partition(_ID_KEY)
    moment = made.occurred_us - _YEAR_2000_US
    return found["seq"], found["org_seq"], moment, (found["org_id"] or NOBODY).bytes, indexed + key, rest


def _cut(ids: bytes) -> list[bytes]:
    """Ids that stand one after the other."""
    return [ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES)]


def _read_ids(texts: Sequence[bytes]) -> bytes | None:
    """The bytes of ids, one after the other; None when some text is no id as leaves have it."""
    try:
        ids = bytes.fromhex(b"".join(texts).translate(None, b"-").decode("ascii"))
    except ValueError:
        return None
    return ids if len(ids) == _ID_BYTES * len(texts) else None


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


def stretches(first: int, end: int, width: int) -> Iterator[Run]:
    """`[first, end)` in stretches of a width, a multiple of a tile's."""
    return ((begin, min(begin + width, end)) for begin in range(first, end, width))
