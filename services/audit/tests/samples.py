"""A small log in memory and exports of it, written as the service writes them."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lotpro_audit.events import leaf
from lotpro_audit.events.leaf import Leaf
from lotpro_audit.exports.format import CSV, Csv, Event, Format, Gap, Header, Held, Writer, fits
from lotpro_audit.tree import domain
from lotpro_audit.tree.notes import ORIGIN, Checkpoint, SigningKey

SIGNER = SigningKey(b64encode(bytes(range(32))).decode())
STRANGER = SigningKey(b64encode(bytes(32)).decode())
MADE = 1_795_000_000_000_000
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
    "=cmd|' /C calc'!A0; +1, \"quoted\" \\ and ünïcode",
    "@SUM(1);=1\ttab\nline",
    "",
)


def uuid(*name: object) -> str:
    """The same id for the same name."""
    return str(UUID(bytes=sha256(repr(name).encode()).digest()[:16]))


ORG, OTHER_ORG, NOBODYS = uuid("org", 0), uuid("org", 1), "00000000-0000-0000-0000-000000000000"
_ORGS = (ORG, OTHER_ORG, ORG, None)


class Sample:
    """A log of two organisations and of nobody, whose events take turns: every other one is `ORG`'s.

    `rewritten` is the `seq` of an event that somebody made another one of; `ORG`'s two events of `swapped` got each
    other's number in the organisation.
    """

    def __init__(self, size: int, *, rewritten: int | None = None, swapped: tuple[int, int] = (0, 0)) -> None:
        self.leaves: list[bytes] = []
        self.events: list[Event] = []
        heads: dict[str | None, int] = {}
        for seq in range(size):
            org = _ORGS[seq % len(_ORGS)]
            heads[org] = heads.get(org, 0) + 1
            org_seq = {swapped[0]: swapped[1], swapped[1]: swapped[0]}.get(heads[org], heads[org])
            self._add(seq, org_seq, org, "forge" if seq == rewritten else ("sell", "view")[seq % 3 % 2])
        self.hashes = [domain.leaf_hash(content) for content in self.leaves]
        self._tiles = domain.grow_tiles(0, self.hashes, {})

    def _add(self, seq: int, org_seq: int, org: str | None, verb: str) -> None:
        key = sha256(b"key" + seq.to_bytes(8)).digest()
        ip, agent = f"203.0.113.{seq % 250}", AGENTS[seq % 7 % len(AGENTS)]
        sealed = AESGCM(key).encrypt(bytes(12), f"{ip}\n{agent}".encode(), None) if seq % 11 != 5 else b""
        content = leaf.write(
            Leaf(
                seq=seq, org_seq=org_seq, id=uuid("event", seq), org_id=org or "",
                store_id=uuid("store", seq % 3) if org else "", occurred_us=MADE - 10**9 + seq * 1_000_003,
                action=f"inventory:vehicle:{verb}", success=seq % 5 != 0, actor_id=uuid("person", seq % 4),
                subject_id=uuid("vehicle", seq), concerned_id="", session_id=uuid("session", seq % 9),
                ip_index=hmac.digest(b"", ip.encode(), "sha256")[:8],
                logged_us=MADE - 10**9 + seq * 1_000_003 + 250_000, actor_kind="user" if seq % 6 else "service",
                subject_kind="vehicle", class_uid=6003, activity_id=1, feature="/inventory",
                request_id={4: "=1+1", 6: '"quoted"'}.get(seq % 17, "abc-123"),
                trace_id=sha256(bytes([seq % 256])).hexdigest()[:32], changed_fields=("price", "stock_unit"),
                origin=sealed,
            )
        )
        self.leaves.append(content)
        shown = (b64encode(key).decode(), ip, agent) if sealed else (None, None, None)
        self.events.append(Event(content.decode(), [], *shown))

    @property
    def size(self) -> int:
        return len(self.leaves)

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = self.size if size is None else size
        return Checkpoint(ORIGIN, size, domain.hash_of(domain.Range(0, size), self._tiles))

    def consistency(self, old: int, new: int) -> dict[str, Any]:
        path = [domain.hash_of(part, self._tiles) for part in domain.consistency(old, new)]
        return {"old": old, "new": new, "path": [b64encode(part).decode() for part in path]}

    def proof(self, seq: int, size: int | None = None) -> list[str]:
        subtrees = domain.inclusion(seq, self.size if size is None else size)
        return [b64encode(domain.hash_of(part, self._tiles)).decode() for part in subtrees]

    def export(
        self,
        spelling: Format,
        *,
        org: str = ORG,
        filter: dict[str, Any] | None = None,
        span: tuple[int, int] | None = None,
        gaps: Sequence[Gap] = (),
        size: int | None = None,
        shredded: Collection[int] = (),
        held: Collection[int] = (),
        signer: SigningKey = SIGNER,
    ) -> list[bytes]:
        """The lines of an export; `shredded` are numbers (`org_seq`) of events whose keys are gone, `held` those of
        events that only a hold keeps."""
        size = self.size if size is None else size
        own = [event for event in self.events[:size] if (event.fields.get("org", NOBODYS)) == org]
        first, last = span or (1, len(own))
        note = signer.sign(self.checkpoint(size))
        runs = tuple(Held(number, number) for number in sorted(held))
        header = Header(org, filter, first, last, 0, MADE, note, tuple(gaps), runs)
        chosen = [
            event
            for event in own
            if first <= event.fields["org_seq"] <= last
            and not any(gap.first <= event.fields["org_seq"] <= gap.last for gap in gaps)
            and fits(header, event)
        ]
        writer = Writer(spelling, signed(replace(header, count=len(chosen)), signer))
        lines = writer.begin().splitlines(keepends=True)
        for event in sorted(chosen, key=lambda event: event.fields["org_seq"]):
            shown = replace(
                event, proof=self.proof(event.fields["seq"], size), held=event.fields["org_seq"] in held
            )
            if event.fields["org_seq"] in shredded:
                shown = replace(shown, origin_key=None, ip=None, user_agent=None)
            lines.append(writer.event(shown))
        return [*lines, writer.end()]


def signed(header: Header, signer: SigningKey = SIGNER) -> Header:
    """The header with the note in which a log says what it says."""
    return replace(header, note=signer.sign_text(header.statement(signer.verifier.name)))


def closed(spelling: Format, lines: Sequence[bytes], *, count: int | None = None) -> list[bytes]:
    """Lines with a closing line that fits them: what somebody writes who knows the format as well as we do."""
    events = len(lines) - 1 - bool(spelling.titles)
    return [*lines, spelling.spell_end(events if count is None else count, sha256(b"".join(lines)).hexdigest())]


def changed(spelling: Format, line: bytes, **values: Any) -> bytes:
    """An event's line with something else in it, spelled as the log would."""
    event = spelling.read_event(line)
    if isinstance(spelling, Csv):
        event = _with_origin(event)
    return spelling.spell_event(replace(event, **values))


def _with_origin(event: Event) -> Event:
    if event.origin_key is None:
        return event
    sealed = b64decode(event.fields["origin"])
    ip, _, agent = AESGCM(b64decode(event.origin_key)).decrypt(bytes(12), sealed, None).decode().partition("\n")
    return replace(event, ip=ip, user_agent=agent)


def first_event(spelling: Format) -> int:
    """Where the first event's line is."""
    return 2 if spelling is CSV else 1
