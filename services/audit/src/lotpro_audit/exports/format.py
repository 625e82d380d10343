"""The lines of an export file, in JSON Lines and in CSV: the export job writes them, the verifier reads them; pure.

A file is a header, in CSV the columns' names, a line an event, and a closing line with the hash of all lines before it.
Everything is spelled in one way only, so that a reader can spell again what it read and compare: nothing in a file can
be changed without being seen, not even what a program would read alike. Lines end with a line feed. The header is
signed by the log: whose events, which ones and how many is not the holder's to say.
"""

import csv
import json
import re
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

VERSION: Final = 2
#: Whose events are those of no organisation.
NOBODY: Final = str(UUID(int=0))
#: What a filter can ask of a leaf's key of the same name: one value, or any of a list.
ASKED: Final = frozenset(
    {"store", "action", "ok", "actor", "subject", "concerned", "session", "ip", "factor", "feature"}
)
#: ... of its time, in microseconds since 1970: from this moment on, and before that one.
SINCE, UNTIL = "since", "until"
#: ... of what stands in any of these places.
ANYWHERE: Final = {"about": ("subject", "concerned"), "person": ("actor", "subject", "concerned")}

#: In UTC, as all times here.
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a zone would only be spelled as +00:00 where a Z is wanted
#: What every leaf begins with, and what one with an origin and without an expiry ends with; quotes inside of a text are
#: escaped, so that neither can stand elsewhere.
_BEGINNING = re.compile(r'\{"seq":([0-9]{1,19}),"org_seq":([0-9]{1,19})(?:,"org":"([0-9a-f-]{36})")?,"(?:store|at)":')
_ORIGIN = re.compile(r',"origin":"([A-Za-z0-9+/=]+)"\}\Z')
_read_json = json.JSONDecoder().raw_decode
_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Malformed(ValueError):
    """A line is not what the log writes; says what of it."""


class UnknownExport(ValueError):
    """The file is no export, or one of a version or with a filter that this program does not know."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a complete export that are gone: their day (UTC) was over."""

    first: int
    last: int
    day: str


@dataclass(frozen=True, slots=True)
class Held:
    """Events of an export that only a legal hold still keeps: the log lets go of others of their day."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Header:
    """What an export says of itself.

    `first_org_seq` to `last_org_seq` is what was looked through; nothing when the last is one less than the first. An
    export without a filter has all of it but for the gaps. `made` is in microseconds since 1970; `checkpoint` is the
    signed note against which all proofs are, and `note` the one in which the log says all this.
    """

    org: str
    filter: Mapping[str, Any] | None
    first_org_seq: int
    last_org_seq: int
    count: int
    made: int
    checkpoint: str
    gaps: tuple[Gap, ...] = ()
    held: tuple[Held, ...] = ()
    note: str = ""

    def text(self) -> str:
        """The header as JSON."""
        return _dumps(self._said() | {"note": self.note})

    def statement(self, log: str) -> str:
        """The text of the note in which the log of this name says what the header says."""
        hashed = sha256(_dumps(self._said()).encode()).digest()
        return f"{log}\nexport\n{b64encode(hashed).decode()}\n"

    def _said(self) -> dict[str, Any]:
        return {
            "lotpro_audit_export": VERSION,
            "org": self.org,
            "filter": self.filter,
            "first_org_seq": self.first_org_seq,
            "last_org_seq": self.last_org_seq,
            "count": self.count,
            "made": self.made,
            "checkpoint": self.checkpoint,
            "gaps": [asdict(gap) for gap in self.gaps],
            "held": [asdict(run) for run in self.held],
        }

    @classmethod
    def read(cls, found: Any) -> "Header":
        """The header of JSON that was read; raises Malformed, and UnknownExport."""
        if type(found) is not dict or "lotpro_audit_export" not in found:
            raise UnknownExport("this is no export of the log")
        values = dict(found)
        if values.pop("lotpro_audit_export") != VERSION:
            raise UnknownExport("the export is of a version that this program does not know")
        try:
            gaps, held = (Gap(**gap) for gap in values["gaps"]), (Held(**run) for run in values["held"])
            header = cls(**values | {"gaps": tuple(gaps), "held": tuple(held)})
        except (TypeError, KeyError) as error:
            raise Malformed("the header does not have what a header has") from error
        header._check()
        return header

    def _check(self) -> None:
        numbers = (self.first_org_seq, self.last_org_seq, self.count, self.made)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise Malformed("a number in the header is none")
        if not isinstance(self.checkpoint, str) or not isinstance(self.note, str) or not _is_uuid(self.org):
            raise Malformed("the header does not have what a header has")
        if self.filter is not None:
            if not isinstance(self.filter, dict):
                raise Malformed("the filter is none")
            if unknown := self.filter.keys() - ASKED - ANYWHERE.keys() - {SINCE, UNTIL}:
                raise UnknownExport(f"the export has a filter that this program does not know: {min(unknown)}")
            if any(type(self.filter.get(name, 0)) is not int for name in (SINCE, UNTIL)):
                raise Malformed("the filter's times are none")
        if not 1 <= self.first_org_seq <= self.last_org_seq + 1:
            raise Malformed("the header's first and last event do not fit")
        if self.gaps and self.filter is not None:
            raise Malformed("a filtered export has no gaps")
        if not all(_is_day(gap.day) for gap in self.gaps):
            raise Malformed("a gap in the header is none")
        for runs, name in ((self.gaps, "gaps"), (self.held, "held events")):
            reached = self.first_org_seq
            for run in runs:
                if type(run.first) is not int or type(run.last) is not int:
                    raise Malformed(f"the header's {name} are none")
                if not reached <= run.first <= run.last <= self.last_org_seq:
                    raise Malformed(f"the header's {name} do not fit")
                reached = run.last + 1


@dataclass(slots=True)
class Event:
    """One event: its leaf's text, the hashes of its proof and the key of its origin in base64, and the origin opened.

    Without `origin_key` there is no `ip` and no `user_agent` to show. `held` says that only a legal hold keeps it.
    """

    leaf: str
    proof: Sequence[str]
    origin_key: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    held: bool = False

    _fields: dict[str, Any] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def fields(self) -> dict[str, Any]:
        """What the leaf says; raises Malformed when it is no leaf."""
        if self._fields is None:
            self._fields = self._read()
        return self._fields

    @property
    def place(self) -> tuple[int, int, str | None]:
        """`seq`, `org_seq` and the organisation: from how the log begins a leaf, or else by reading all of it."""
        match = _BEGINNING.match(self.leaf) if self._fields is None else None
        if match is None:
            return self.fields["seq"], self.fields["org_seq"], self.fields.get("org")
        return int(match[1]), int(match[2]), match[3]

    @property
    def sealed(self) -> str | None:
        """The origin's ciphertext in base64: from how the log ends a leaf, or else by reading all of it."""
        match = _ORIGIN.search(self.leaf) if self._fields is None else None
        found: str | None = self.fields.get("origin") if match is None else match[1]
        return found

    def _read(self) -> dict[str, Any]:
        try:
            found, end = _read_json(self.leaf)
        except (ValueError, RecursionError) as error:
            raise Malformed("the leaf is no leaf of the log") from error
        numbers = isinstance(found, dict) and [found.get(name) for name in ("seq", "org_seq", "at")]
        if end != len(self.leaf) or not numbers or any(type(number) is not int for number in numbers):
            raise Malformed("the leaf is no leaf of the log")
        fields: dict[str, Any] = found
        return fields


def fits(header: Header, event: Event) -> bool:
    """Whether the header's filter finds an event."""
    if header.filter is None:
        return True
    fields = event.fields
    for name, wanted in header.filter.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if name == SINCE:
            found = fields["at"] >= wanted
        elif name == UNTIL:
            found = fields["at"] < wanted
        else:
            found = any(fields.get(place) in values for place in ANYWHERE.get(name, (name,)))
        if not found:
            return False
    return True


class Format(ABC):
    """How lines are spelled. What reads raises Malformed."""

    #: What the header and the closing line begin with, besides being JSON.
    comment: bytes = b""
    #: The line after the header, if there is one.
    titles: bytes = b""

    def spell_header(self, header: Header) -> bytes:
        """The header's line."""
        return self.comment + self._harmless(header.text()).encode() + b"\n"

    def read_header(self, line: bytes) -> Header:
        """What `spell_header` spelled; also raises UnknownExport."""
        header = Header.read(self._json(line.removeprefix(self.comment)))
        if self.spell_header(header) != line:
            raise Malformed("the header is not spelled as the log spells it")
        return header

    def spell_end(self, count: int, hashed: str) -> bytes:
        """The closing line: how many events there are, and the SHA-256 of all lines before it."""
        return self.comment + _dumps({"end": True, "count": count, "sha256": hashed}).encode() + b"\n"

    def is_end(self, line: bytes) -> bool:
        """Whether this is a closing line."""
        return line.startswith(self.comment + b'{"end":')

    @abstractmethod
    def spell_event(self, event: Event) -> bytes:
        """An event's line."""

    @abstractmethod
    def read_event(self, line: bytes) -> Event:
        """The event of a line. What it shows of the origin is to be compared by spelling the event again."""

    @abstractmethod
    def differing(self, line: bytes, event: Event) -> str | None:
        """The first field of a line that does not show what the event is."""

    def _harmless(self, text: str) -> str:
        return text

    @staticmethod
    def _json(line: bytes) -> Any:
        try:
            return json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            raise Malformed("the line is no JSON") from error


class JsonLines(Format):
    """A JSON object a line."""

    def spell_event(self, event: Event) -> bytes:
        """The event as an object with its keys in one order."""
        proof = '","'.join(event.proof)
        return (
            f'{{"leaf":{_quoted(event.leaf)},"proof":[{proof and chr(34) + proof + chr(34)}]'
            f',"origin_key":{_or_null(event.origin_key)},"ip":{_or_null(event.ip)}'
            f',"user_agent":{_or_null(event.user_agent)},"held":{"true" if event.held else "false"}}}\n'
        ).encode()

    def read_event(self, line: bytes) -> Event:
        """The event of a line."""
        return self._cut(line) or self._parsed(line)

    def _cut(self, line: bytes) -> Event | None:
        """The event of a line that is spelled plainly, as nearly all are: much faster than reading all of it as JSON.

        Of another line this makes nothing, or an event that is not spelled like it.
        """
        leaf_end = line.find(_PROOF)
        proof_end = line.find(_REST, leaf_end)
        if not line.startswith(_LEAF) or leaf_end < 0 or proof_end < 0 or not line.isascii():
            return None
        leaf = line[len(_LEAF) : leaf_end].decode().replace('\\"', '"')
        proof = line[leaf_end + len(_PROOF) : proof_end].decode()
        try:
            rest, _ = _read_json("{" + line[proof_end + 2 :].decode())
        except ValueError:
            return None
        if "\\" in leaf or not isinstance(rest.get("origin_key"), str | None):
            return None
        return Event(
            leaf, proof[1:-1].split('","') if proof else [], rest.get("origin_key"), rest.get("ip"),
            rest.get("user_agent"), rest.get("held") is True,
        )

    def _parsed(self, line: bytes) -> Event:
        found = self._json(line)
        if type(found) is not dict or found.keys() != _KEYS:
            raise Malformed("the line is no event")
        event = Event(**found)
        if (
            type(event.leaf) is not str
            or type(event.proof) is not list
            or any(type(part) is not str for part in event.proof)
            or not isinstance(event.origin_key, str | None)
            or type(event.held) is not bool
            or not _is_utf8(event.leaf)
        ):
            raise Malformed("the line is no event")
        return event

    def differing(self, line: bytes, event: Event) -> str | None:
        """The first key whose value differs."""
        found = self._json(line)
        return next((name for name in found if name not in _KEYS or found[name] != getattr(event, name)), None)


_LEAF, _PROOF, _REST = b'{"leaf":"', b'","proof":[', b'],"origin_key":'
_KEYS = {"leaf", "proof", "origin_key", "ip", "user_agent", "held"}
_quoted = json.encoder.encode_basestring_ascii


def _or_null(text: str | None) -> str:
    return "null" if text is None else _quoted(text)


class Csv(Format):
    """Comma-separated values in UTF-8 (RFC 4180, but with line feeds), for people and spreadsheets.

    Every cell is quoted. One that a spreadsheet would calculate gets an apostrophe first, also behind a character that
    some spreadsheets take for the end of a cell; control characters are shown as spaces. The leaf has the exact values.
    """

    comment = b"# "

    def __init__(self) -> None:
        self.titles = _row(_COLUMNS)

    def spell_event(self, event: Event) -> bytes:
        """The event's cells, all of them from its leaf but for the proof and the origin."""
        return _row([defused(column(event)) for column in _COLUMNS.values()])

    def read_event(self, line: bytes) -> Event:
        """The event by the cells that prove it."""
        cells = dict(zip(_COLUMNS, self._cells(line), strict=True))
        leaf, proof, origin_key = (cells[name].removeprefix("'") for name in ("leaf", "proof", "origin_key"))
        try:
            text = b64decode(leaf, validate=True).decode()
        except ValueError as error:
            raise Malformed("the leaf is no base64") from error
        return Event(text, proof.split(" ") if proof else [], origin_key or None, held=cells["held"] == _HELD)

    def differing(self, line: bytes, event: Event) -> str | None:
        """The first column whose cell differs."""
        right = self._cells(self.spell_event(event))
        cells = zip(_COLUMNS, self._cells(line), right, strict=True)
        return next((name for name, cell, other in cells if cell != other), None)

    def _cells(self, line: bytes) -> list[str]:
        try:
            cells = next(csv.reader([line.decode()], strict=True))
        except (csv.Error, UnicodeDecodeError, StopIteration) as error:
            raise Malformed("the line is no CSV") from error
        if len(cells) != len(_COLUMNS):
            raise Malformed("the line does not have a cell for each column")
        return cells

    def _harmless(self, text: str) -> str:
        # All of these stand in strings: JSON has none of them elsewhere behind a comma.
        return _FORMULA.sub(lambda match: f"{match[1]}\\u{ord(match[2]):04x}", text)


#: What makes a spreadsheet calculate, at the beginning of a cell or where some program might see one begin.
_FORMULA = re.compile(r'((?:^|[,;|\t])[\s"]*)([=+\-@＝＋－＠])')
#: Most cells are of this kind, and have nothing to defuse.
_NEAT = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 _:./=+-]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def defused(text: str) -> str:
    """A cell that shows a text and calculates nothing."""
    if _NEAT.fullmatch(text):
        return text
    return _FORMULA.sub(r"\1'\2", _CONTROL.sub(" ", text))


def _row(cells: Iterable[str]) -> bytes:
    return ('"' + '","'.join([cell.replace('"', '""') for cell in cells]) + '"\n').encode(errors="replace")


def _of_leaf(name: str) -> Callable[[Event], str]:
    def column(event: Event) -> str:
        value = event.fields.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return " ".join(map(str, value))
        return "" if value is None else _dumps(value)

    return column


def _time(microseconds: int) -> str:
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds") + "Z"


def _class(event: Event) -> tuple[int, int]:
    """The OCSF class and activity."""
    class_uid, activity_id = event.fields["ocsf"]
    return class_uid, activity_id


#: What stands in the column of the same name.
_HELD: Final = "held"
_COLUMNS: Final[dict[str, Callable[[Event], str]]] = {
    "seq": _of_leaf("seq"),
    "org_seq": _of_leaf("org_seq"),
    "id": _of_leaf("id"),
    "time": lambda event: _time(event.fields["at"]),
    "action": _of_leaf("action"),
    "outcome": lambda event: "success" if event.fields.get("ok") else "failure",
    "org": _of_leaf("org"),
    "store": _of_leaf("store"),
    # That a person did it goes without saying in a leaf.
    "actor_kind": lambda event: event.fields.get("actor_kind", "user"),
    "actor": _of_leaf("actor"),
    "actor_name": _of_leaf("actor_name"),
    "subject_kind": _of_leaf("subject_kind"),
    "subject": _of_leaf("subject"),
    "concerned_kind": _of_leaf("concerned_kind"),
    "concerned": _of_leaf("concerned"),
    "session": _of_leaf("session"),
    "factor": _of_leaf("factor"),
    "ip": lambda event: event.ip or "",
    "user_agent": lambda event: event.user_agent or "",
    "feature": _of_leaf("feature"),
    "changed": _of_leaf("changed"),
    "request": _of_leaf("request"),
    "trace": _of_leaf("trace"),
    "class": lambda event: str(_class(event)[0]),
    "activity": lambda event: str(_class(event)[1]),
    "logged": lambda event: _time(event.fields["at"] + event.fields["lag"]),
    "expiry": _of_leaf("expiry"),
    "held": lambda event: _HELD if event.held else "",
    "leaf": lambda event: b64encode(event.leaf.encode()).decode(),
    "proof": lambda event: " ".join(event.proof),
    "origin_key": lambda event: event.origin_key or "",
}

JSON_LINES: Final = JsonLines()
CSV: Final = Csv()


def recognised(line: bytes) -> Format:
    """The format of a file that begins with this line; raises UnknownExport."""
    for spelling in (JSON_LINES, CSV):
        if line.startswith(spelling.comment + b'{"lotpro_audit_export":'):
            return spelling
    raise UnknownExport("this is no export of the log")


class Writer:
    """An export's lines, one after another."""

    def __init__(self, spelling: Format, header: Header) -> None:
        self._spelling, self._header = spelling, header
        self._hash, self._count = sha256(), 0

    def begin(self) -> bytes:
        """The lines before the first event."""
        return self._hashed(self._spelling.spell_header(self._header) + self._spelling.titles)

    def event(self, event: Event) -> bytes:
        """An event's line; events come in the order of their `org_seq`."""
        self._count += 1
        return self._hashed(self._spelling.spell_event(event))

    def end(self) -> bytes:
        """The closing line; raises ValueError when the header promised another number of events."""
        if self._count != self._header.count:
            raise ValueError("the export does not have as many events as its header says")
        return self._spelling.spell_end(self._count, self._hash.hexdigest())

    def _hashed(self, lines: bytes) -> bytes:
        self._hash.update(lines)
        return lines


def _is_utf8(text: str) -> bool:
    """Whether a text can be written: JSON can spell halves of characters."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_uuid(text: Any) -> bool:
    try:
        return bool(str(UUID(text)) == text)
    except (ValueError, AttributeError, TypeError):
        return False


def _is_day(text: Any) -> bool:
    try:
        return bool(date.fromisoformat(text).isoformat() == text)
    except (ValueError, TypeError):
        return False
