"""Judging an export file by nothing but the log's public key; pure, but for reading the file line by line.

What an export shows is compared with its leaves, the leaves with the tree, the tree with the signed checkpoint. What
the header says of the whole (whose events, which ones, how many, what is missing of them and why) the log has signed.
"""

from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lotpro_audit.exports import format as lines
from lotpro_audit.exports.format import Event, Format, Gap, Header, Malformed, UnknownExport
from lotpro_audit.tree import domain, notes
from lotpro_audit.tree.notes import Checkpoint, NoteRefused, VerifierKey

#: Failures that are told; of a file that is bad from end to end more would help nobody.
TOLD: Final = 100
#: Events between two words of progress.
STEP: Final = 100_000
#: Far more than any line of an export has, in bytes.
_LONGEST = 1 << 22
#: An event's own key opens one ciphertext only, so the nonce is a fixed one.
_NONCE = bytes(12)


class Unusable(Exception):
    """There is nothing to judge: a file is not what it should be, or one is missing."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something in a file that is not as it was written; lines count from 1."""

    line: int
    reason: str

    def sentence(self) -> str:
        """For a person."""
        return f"Line {self.line:,}: {self.reason}."


@dataclass(slots=True)
class Report:
    """What an export was found to be."""

    header: Header | None = None
    checkpoint: Checkpoint | None = None
    events: int = 0
    #: Events whose origin is in the log but can be read by nobody who has only the file.
    sealed: int = 0
    #: Events that only a legal hold still keeps.
    held: int = 0
    failures: list[Failure] = field(default_factory=list)
    #: Failures besides those that are told.
    more: int = 0

    @property
    def verified(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures

    def fail(self, line: int, reason: str) -> None:
        """Note what is wrong with a line."""
        if len(self.failures) < TOLD:
            self.failures.append(Failure(line, reason))
        else:
            self.more += 1

    def sentence(self) -> str:
        """The verdict for a person."""
        if not self.verified or self.header is None or self.checkpoint is None:
            failed = len(self.failures) + self.more
            return f"The export is not what the log holds: {failed:,} {'failure' if failed == 1 else 'failures'}."
        signed = f"in the log as signed at size {self.checkpoint.size:,}"
        found = f"{self.events:,} {'event is' if self.events == 1 else 'events are'} {signed}"
        if self.header.filter is not None:
            verdict = f"{found} and fit the filter, as many as the log says it found."
        elif self.header.last_org_seq < self.header.first_org_seq:
            verdict = "The export has no events and says that there are none; its checkpoint is signed."
        else:
            verdict = f"{found}, none is missing between {self.header.first_org_seq:,} and "
            verdict += f"{self.header.last_org_seq:,}{_but_for(self.header.gaps)}."
        if self.held:
            verdict += f" {self.held:,} of them {'is' if self.held == 1 else 'are'} kept only by a legal hold."
        if self.sealed:
            verdict += f" Where {self.sealed:,} of them came from cannot be read any more."
        return verdict


def _but_for(gaps: Sequence[Gap]) -> str:
    if not gaps:
        return ""
    gone = sum(gap.last - gap.first + 1 for gap in gaps)
    days = sorted({gap.day for gap in gaps})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f" but for {gone:,} of {span} that the header declares as expired"


def verify(
    file: BinaryIO, key: VerifierKey, *, progress: Callable[[int], None] = lambda events: None, step: int = STEP
) -> Report:
    """Judge an export; holds no more of it in memory than a line. Raises Unusable when the file is no export.

    `progress` is told the number of events every `step` of them.
    """
    report, numbered = Report(), _lines(file)
    _, first = next(numbered, (1, b""))
    if first.startswith(b"\xef\xbb\xbf"):
        report.fail(1, "the file begins with a byte order mark, which the log does not write")
        return report
    try:
        spelling = lines.recognised(first)
        if complaint := _ending(first):
            report.fail(1, complaint)
            return report
        header = spelling.read_header(first)
        report.header, report.checkpoint = header, notes.open(header.checkpoint, key)
    except UnknownExport as error:
        raise Unusable(str(error)) from error
    except (Malformed, NoteRefused) as error:
        report.fail(1, str(error))
        return report
    if complaint := _unsigned(header, key):
        report.fail(1, complaint)
    judge = _Judge(report, spelling, header, report.checkpoint)
    for events in judge.read(first, numbered):
        if events % step == 0:
            progress(events)
    return report


def _unsigned(header: Header, key: VerifierKey) -> str | None:
    """What is wrong with the note in which the log says what the header says."""
    try:
        said = notes.open_text(header.note, key)
    except NoteRefused as error:
        return f"the log has not signed the header: {error}"
    return None if said == header.statement(key.name) else "the header is not the one that the log has signed"


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; one that never ends is cut, which makes it none of an export."""
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        yield number, line


def _ending(line: bytes) -> str | None:
    """What is wrong with a line's end."""
    if not line.endswith(b"\n"):
        return "the file ends in the middle of this line"
    return "the line ends with a carriage return, which the log does not write" if line.endswith(b"\r\n") else None


class _Judge:
    """Goes through the lines of one export after its header."""

    def __init__(self, report: Report, spelling: Format, header: Header, checkpoint: Checkpoint) -> None:
        self._report, self._spelling, self._header = report, spelling, header
        self._org = None if header.org == lines.NOBODY else header.org
        self._order, self._proofs, self._seq = _Order(header), _Proofs(checkpoint), -1
        self._held = deque(header.held)

    def read(self, first: bytes, numbered: Iterator[tuple[int, bytes]]) -> Iterator[int]:
        """Judge all lines; gives the number of events after each of them."""
        hashed, number, end = sha256(first), 1, b""
        if self._spelling.titles:
            number, line = next(numbered, (2, b""))
            hashed.update(line)
            if line != self._spelling.titles:
                self._report.fail(2, "these are not the columns' names")
        for number, line in numbered:
            if self._spelling.is_end(line):
                end = line
                break
            hashed.update(line)
            self._report.events += 1
            try:
                self._event(number, line)
            except Malformed as error:
                self._report.fail(number, str(error))
            yield self._report.events
        if missing := self._order.rest():
            self._report.fail(number, f"{missing} before the end")
        self._end(number, end, hashed.hexdigest())
        if end and (after := next(numbered, None)):
            self._report.fail(after[0], "there is something after the closing line")

    def _end(self, number: int, line: bytes, hashed: str) -> None:
        events, promised = self._report.events, self._header.count
        if events != promised:
            self._report.fail(number, f"the header says that there are {promised:,} events, there are {events:,}")
        if not line:
            self._report.fail(number, "the file ends here without its closing line: its end is missing")
        elif line != self._spelling.spell_end(events, hashed):
            self._report.fail(number, _ending(line) or "the closing line does not fit the lines before it")

    def _event(self, number: int, line: bytes) -> None:
        """Judge an event's line; raises Malformed."""
        if complaint := _ending(line):
            raise Malformed(complaint)
        event = self._spelling.read_event(line)
        (seq, org_seq, org), fail = event.place, self._report.fail
        try:
            self._proofs.check(seq, domain.leaf_hash(event.leaf.encode()), event.proof)
        except ValueError as error:
            fail(number, f"the event is not in the signed log: {error}")
            return
        if org != self._org:
            fail(number, "the event is another organisation's")
            return
        if complaint := self._order.take(org_seq):
            fail(number, complaint)
        elif seq <= self._seq:
            fail(number, "the event came into the log before the one above it")
        self._seq = seq
        if not lines.fits(self._header, event):
            fail(number, "the event is not one that the filter asks for")
        self._report.held += event.held
        if event.held != self._is_held(org_seq):
            fail(number, "the header says otherwise of whether only a legal hold keeps the event")
        self._shown(number, line, event)

    def _is_held(self, org_seq: int) -> bool:
        """Whether the header says so; numbers ascend."""
        while self._held and self._held[0].last < org_seq:
            self._held.popleft()
        return bool(self._held) and self._held[0].first <= org_seq

    def _shown(self, number: int, line: bytes, event: Event) -> None:
        """Compare what a line shows with what its leaf holds."""
        sealed = event.sealed
        if sealed and event.origin_key is None:
            self._report.sealed += 1
        try:
            ip, user_agent = opened(sealed, event.origin_key)
        except ValueError as error:
            self._report.fail(number, str(error))
            return
        right = event
        if (event.ip, event.user_agent) != (ip, user_agent):
            right = Event(event.leaf, event.proof, event.origin_key, ip, user_agent, event.held)
        if self._spelling.spell_event(right) != line:
            name = self._spelling.differing(line, right)
            wrong = f"{name} is not what the log holds" if name else "the line is not spelled as the log spells it"
            self._report.fail(number, wrong)


def opened(sealed: str | None, origin_key: str | None) -> tuple[str | None, str | None]:
    """The address and browser in a leaf's `origin` by the event's own key; nothing without a key.

    Raises ValueError for a key that does not open it.
    """
    if origin_key is None:
        return None, None
    if not sealed:
        raise ValueError("there is a key to an origin, and the event has none")
    try:
        text = AESGCM(notes.unbase64(origin_key)).decrypt(_NONCE, b64decode(sealed), None).decode()
    except (InvalidTag, ValueError) as error:
        raise ValueError("origin_key does not open the event's origin") from error
    ip, _, user_agent = text.partition("\n")
    return ip, user_agent


class _Order:
    """Events by their number in the organisation: each later than the one before, and in complete exports none missing.

    Complaints are without a full stop; nothing is complained of with None.
    """

    def __init__(self, header: Header) -> None:
        self._first, self._last = header.first_org_seq, header.last_org_seq
        self._before, self._complete = header.first_org_seq - 1, header.filter is None
        self._gaps = deque(header.gaps)

    def take(self, org_seq: int) -> str | None:
        """The next event; what is wrong with its place."""
        if not self._first <= org_seq <= self._last:
            return f"event {org_seq:,} is none of the header's, {self._first:,} to {self._last:,}"
        if org_seq <= self._before:
            return (
                f"event {org_seq:,} is there twice" if org_seq == self._before
                else f"event {org_seq:,} stands after event {self._before:,}"
            )
        missing = self._missing(self._before + 1, org_seq - 1)
        self._before = org_seq
        if missing:
            return f"{missing} before this line"
        if self._gaps and self._gaps[0].first <= org_seq <= self._gaps[0].last:
            return f"event {org_seq:,} is there, and the header declares it as expired"
        return None

    def rest(self) -> str | None:
        """What is missing after the last event."""
        return self._missing(self._before + 1, self._last)

    def _missing(self, first: int, last: int) -> str | None:
        if not self._complete or (first > last and not self._gaps):
            return None
        parts = []
        while self._gaps and self._gaps[0].first <= last:
            gap = self._gaps[0]
            if first < gap.first:
                parts.append((first, gap.first - 1))
            first = max(first, gap.last + 1)
            if gap.last > last:
                break
            self._gaps.popleft()
        if first <= last:
            parts.append((first, last))
        if not parts:
            return None
        named = ", ".join(f"{begin:,}" if begin == end else f"{begin:,} to {end:,}" for begin, end in parts)
        one = len(parts) == 1 and parts[0][0] == parts[0][1]
        return f"event {named} is missing" if one else f"events {named} are missing"


class _Proofs:
    """Inclusion proofs against one checkpoint; what a leaf's way up shares with the one before is judged once."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._size, self._root = checkpoint.size, checkpoint.root
        self._index, self._joined = 0, 0
        self._path: Sequence[str] = ()
        self._way: list[bytes] = []

    def check(self, index: int, leaf: bytes, path: Sequence[str]) -> None:
        """Raises ValueError unless the path proves that the leaf is in the tree."""
        shared = (index ^ self._index).bit_length()
        if shared < self._joined and index >= 0 and path[shared:] == self._path[shared:]:
            # The two leaves are in one whole subtree, whose hash the proof before has proved.
            below = [notes.unbase64(part) for part in path[:shared]]
            way = domain.way_up(index % (1 << shared), 1 << shared, leaf, below)
            if way[-1] != self._way[shared]:
                raise ValueError("its proof does not lead to the signed tree")
            self._way[: shared + 1], self._index, self._path = way, index, path
            return
        way = domain.way_up(index, self._size, leaf, [notes.unbase64(part) for part in path])
        if way[-1] != self._root:
            raise ValueError("its proof does not lead to the signed tree")
        self._way, self._index, self._path = way, index, path
        self._joined = domain.joining_level(index, self._size)


def continues(kept: Checkpoint, found: Checkpoint, proof: Any) -> bool:
    """Whether the log of a checkpoint that somebody kept and the one of an export are one log.

    `proof` is what the API answers, read from JSON: `{"old": size, "new": size, "path": [base64, ...]}`; None when
    there is none. Raises Unusable when it is no proof between the two.
    """
    old, new = sorted((kept, found), key=lambda checkpoint: checkpoint.size)
    if proof is None and old.size not in (0, new.size):
        raise Unusable(f"this needs a consistency proof from size {old.size} to size {new.size}: --consistency FILE")
    path: list[bytes] = []
    if proof is not None:
        if not isinstance(proof, Mapping) or (proof.get("old"), proof.get("new")) != (old.size, new.size):
            raise Unusable(f"the consistency proof is none from size {old.size} to size {new.size}")
        try:
            path = [notes.unbase64(part) for part in proof["path"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Unusable("the consistency proof is none") from error
    return domain.proves_consistency(old.size, old.root, new.size, new.root, path)
