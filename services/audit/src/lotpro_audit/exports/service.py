"""Use cases of exports: opening, making, handing out and forgetting them."""

import asyncio
import json
import zlib
from base64 import b64encode
from binascii import b2a_base64
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from lotpro_audit.events import leaf, origins, wire
from lotpro_audit.events import service as events
from lotpro_audit.events.domain import Filter
from lotpro_audit.events.service import Event, Page
from lotpro_audit.exports import domain, repository
from lotpro_audit.exports import format as lines
from lotpro_audit.exports.domain import ExportNotReady, ExportUnknown, Format, LogIncomplete, State, TooManyExports
from lotpro_audit.exports.format import Gap, Header, Held
from lotpro_audit.holds import service as holds
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.tree import service as tree_service
from lotpro_audit.tree.proofs import Prover
from lotpro_audit.verification.domain import Run, read_runs, runs_of, write_runs
from lotpro_kit import errors, ids, telemetry
from lotpro_kit.caller import Caller, system
from lotpro_kit.crypto import SubjectKey
from lotpro_kit.db import Database, Session

#: Row-level security lets this scope see whose exports wait.
WORK = "exports"
#: Events of a chunk, about 1 MB of text; where held events stand among others, as many of each.
AT_ONCE = 500
#: Exports that are made at a time, in all processes together.
RUNNING = 2
#: While chunks are only read again, the lease is renewed this often.
_RENEW_AFTER = 50
#: Proofs hardly compress, and leaves well at any level: the fastest one.
_COMPRESSION = 1
_FILTER = "exports.filter"

_SPELLINGS = {Format.JSONL: lines.JSON_LINES, Format.CSV: lines.CSV}

log = telemetry.logger(__name__)


class LeaseLost(Exception):
    """Somebody else works on the export by now, or it is gone."""


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it stands, and what was asked for (JSON values by the API's names); None for all events."""

    row: Any
    filter: dict[str, Any] | None


async def open_export(
    session: Session, caller: Caller, ports: Ports, *, spelling: Format, filter: dict[str, Any] | None
) -> UUID:
    """Ask for an export of the organisation's log; answers its id. Raises TooManyExports.

    That it was opened is written into the log before anything is read for it; `opened` waits for that.
    """
    org_id, now = _organisation(caller), ports.clock()
    if await repository.count(session, org_id, now=now) >= domain.MOST_KEPT:
        raise TooManyExports
    export_id = ids.new()
    key = await ports.keyring.for_subject(session, export_id)
    asked = None if filter is None else key.encrypt(json.dumps(filter), context=_FILTER)
    await sequencer.leave(session, ports, _act(caller, ports, "open", export_id, event_id=domain.opening_id(export_id)))
    await repository.add(
        session,
        {
            "id": export_id, "org_id": org_id, "opened_by": caller.user_id, "opened_at": now,
            "expires_at": now + domain.KEPT, "format": spelling, "filter": asked, "state": State.WAITING, "version": 1,
            "error": "", "events": 0, "leased_until": now, "leases": 0, "tries": 0,
        },
    )
    return export_id


async def opened(database: Database, export_id: UUID) -> None:
    """Wait until the log says that an export was opened; raises Unavailable."""
    await sequencer.wait_for(database, domain.opening_id(export_id))


async def get_export(session: Session, caller: Caller, ports: Ports, *, export_id: UUID) -> Export:
    """An export of the organisation; raises ExportUnknown."""
    row = await repository.export(session, _organisation(caller), export_id, now=ports.clock())
    if row is None:
        raise ExportUnknown
    [found] = await _asked(session, ports, [row])
    return found


async def list_exports(
    session: Session, caller: Caller, ports: Ports, *, before: UUID | None, limit: int
) -> list[Export]:
    """The organisation's exports, newest first, and one more than asked for."""
    rows = await repository.exports(
        session, _organisation(caller), now=ports.clock(), before=before, limit=limit + 1
    )
    return await _asked(session, ports, rows)


async def delete_export(
    session: Session, caller: Caller, ports: Ports, *, export_id: UUID, expected: int
) -> None:
    """Destroy an export, finished or not: its key first. Raises ExportUnknown and PreconditionFailed."""
    row = await repository.export(session, _organisation(caller), export_id, now=ports.clock(), lock=True)
    if row is None:
        raise ExportUnknown
    if row.version != expected:
        raise errors.PreconditionFailed
    await _forget(session, ports, export_id)
    await ports.security_log.record(
        session, caller, "audit:export:delete", at=ports.clock(), subject=("export", export_id)
    )


async def download_export(database: Database, caller: Caller, ports: Ports, *, export_id: UUID) -> Export:
    """An export that is finished; raises ExportUnknown, ExportNotReady, and Unavailable.

    That it is handed out stands in the log before anything of it is.
    """
    async with database.begin(caller) as session:
        found = await get_export(session, caller, ports, export_id=export_id)
    if found.row.state != State.DONE:
        raise ExportNotReady
    await sequencer.append_and_wait(database, ports, _act(caller, ports, "download", export_id, event_id=ids.new()))
    return found


async def content_of(database: Database, caller: Caller, ports: Ports, export: Export) -> AsyncIterator[bytes]:
    """The file of a finished export, chunk by chunk; raises Undecryptable when it is deleted meanwhile."""
    async with database.begin(caller) as session:
        key = await ports.keyring.existing(session, export.row.id)
    number = 0
    while (chunk := await _chunk(database, caller, key, export.row, number)) is not None:
        yield chunk
        number += 1
    async with database.begin(caller) as session:
        # Chunks that are not there any more look like the end.
        await ports.keyring.existing(session, export.row.id)


async def expire(session: Session, ports: Ports, *, as_of: datetime, limit: int) -> int:
    """Destroy exports whose time is over, so many at most; answers how many. Needs the scope RETENTION."""
    rows = await repository.expired(session, as_of=as_of, limit=limit)
    for row in rows:
        await _forget(session, ports, row.id)
        await ports.security_log.record(
            session, system(row.org_id), "audit:export:expire", at=ports.clock(), subject=("export", row.id)
        )
    return len(rows)


async def count_expired(session: Session, *, as_of: datetime) -> int:
    """How many exports' time is over. Needs the scope RETENTION."""
    return await repository.count_expired(session, as_of=as_of)


async def lease_next(database: Database, ports: Ports) -> Any:
    """An export to be made, taken for LEASE; None when there is none, or enough are being made."""
    async with database.begin(system(scope=WORK)) as session:
        return await repository.lease(session, now=ports.clock(), lease=domain.LEASE, at_once=RUNNING)


async def next_due(database: Database, ports: Ports) -> datetime | None:
    """When an export that somebody works on is to be taken over, unless they do."""
    async with database.begin(system(scope=WORK)) as session:
        return await repository.next_due(session, now=ports.clock())


async def make(database: Database, ports: Ports, leased: Any, *, at_once: int = AT_ONCE) -> None:
    """Make an export, or go on from its last chunk; whoever dies on the way is followed by the next lease.

    Raises LeaseLost, and whatever a lost database raises.
    """
    maker = _Maker(database, ports, leased, at_once)
    if leased.tries > domain.MOST_TRIES:
        await maker.give_up("audit.export_interrupted")
        return
    try:
        await maker.make()
    except LogIncomplete:
        log.error("an export is not complete: events of the log are missing", export=str(leased.id))
        await maker.give_up("audit.log_incomplete")


class _Stretch(NamedTuple):
    """What comes into one chunk: the places after one of the tree and up to another, and the part of a page there."""

    after: int
    last: int
    page: Page | None


@dataclass(slots=True)
class _Maker:
    """Makes one leased export."""

    database: Database
    ports: Ports
    leased: Any
    at_once: int
    caller: Caller = field(init=False)

    def __post_init__(self) -> None:
        self.caller = system(self.leased.org_id)

    async def make(self) -> None:
        if self.leased.tree_size is None:
            # Nothing is read before the log says that it was asked for.
            await opened(self.database, self.leased.id)
        async with self.database.begin(self.caller) as session:
            key = await self.ports.keyring.existing(session, self.leased.id)
            wanted = self._filter(key)
            done = await repository.chunks(session, self.leased.id)
            if self.leased.tree_size is None:
                self.leased = await self._begin(session)
            after = done[-1].last_seq if done else -1
            asked: dict[str, Any] = {
                "wanted": wanted, "last_org_seq": self.leased.last_org_seq, "after": after, "size": self.at_once,
            }
            pages = await events.pages(session, self.leased.org_id, **asked)
            kept = await holds.pages(session, self.leased.org_id, **asked)
            count = sum(chunk.events for chunk in done)
            total = count + sum(page.events for page in [*pages, *kept])
            await self._change(session, {"total": total, "events": count})
        prover, number = Prover(self.leased.tree_size), len(done)
        for stretch in _stretches(pages, [page.last for page in kept], after):
            number += 1
            count += await self._add_chunk(key, wanted, prover, stretch, number, count)
        await self._finish(key, wanted, number, count)

    def _filter(self, key: SubjectKey) -> Filter:
        if self.leased.filter is None:
            return Filter()
        return _filter_of(json.loads(key.decrypt(self.leased.filter, context=_FILTER)), self.ports)

    async def _begin(self, session: Session) -> Any:
        """Settle what the export is of: the head first, so that the tree has all that is before it."""
        last = await sequencer.head_of(session, self.leased.org_id)
        checkpoint = await tree_service.newest_checkpoint(session)
        values = {"begun_at": self.ports.clock(), "tree_size": checkpoint.size, "last_org_seq": last}
        await self._change(session, values)
        found = await repository.export(session, self.leased.org_id, self.leased.id, now=self.ports.clock())
        if found is None:
            raise LeaseLost
        return found

    async def _change(self, session: Session, values: dict[str, Any]) -> None:
        """Change the export and keep it for another while; raises LeaseLost."""
        until = self.ports.clock() + domain.LEASE
        if not await repository.change(session, self.leased, {"leased_until": until} | values):
            raise LeaseLost

    async def _add_chunk(
        self, key: SubjectKey, wanted: Filter, prover: Prover, stretch: _Stretch, number: int, count: int
    ) -> int:
        """Read a stretch, spell it and store it; answers how many events it had."""
        found = await self._read(wanted, stretch)
        async with self.database.begin(self.caller) as session:
            await tree_service.prepare_proofs(session, prover, [event.leaf.seq for event, _ in found])
        spelling = _SPELLINGS[Format(self.leased.format)]
        # Beside the loop: who writes the log may be waiting for it.
        content = await asyncio.to_thread(_spelled, spelling, found, prover, key, number)
        runs = runs_of(event.leaf.org_seq for event, _ in found)
        held = runs_of(event.leaf.org_seq for event, is_held in found if is_held)
        async with self.database.begin(self.caller) as session:
            await self._change(session, {"events": count + len(found), "tries": 0})
            await repository.add_chunks(
                session, [self._row(number, content, stretch.last, len(found), runs=runs, held=held)]
            )
        return len(found)

    async def _read(self, wanted: Filter, stretch: _Stretch) -> list[tuple[Event, bool]]:
        """The events of a stretch in the tree's order, each with whether only a hold keeps it."""
        asked: dict[str, Any] = {"wanted": wanted, "last_org_seq": self.leased.last_org_seq}
        async with self.database.begin(self.caller) as session:
            rows: Sequence[Any] = []
            if stretch.page is not None:
                rows = await events.rows_of_page(session, self.leased.org_id, stretch.page, **asked)
            # A day's rows are copied before they are dropped: read in this order, none is missed.
            kept = await holds.rows_between(
                session, self.leased.org_id, after=stretch.after, last=stretch.last, **asked
            )
            opened = await events.opened(session, self.ports, [*kept, *rows])
        # What was copied out of a day that has not gone yet is in both, and not held alone.
        found = {event.leaf.seq: (event, at < len(kept)) for at, event in enumerate(opened)}
        return [found[seq] for seq in sorted(found)]

    def _row(
        self, number: int, content: bytes, last_seq: int, count: int, *, runs: Sequence[Run] = (),
        held: Sequence[Run] = (),
    ) -> dict[str, Any]:
        return {
            "export_id": self.leased.id, "org_id": self.leased.org_id, "number": number, "content": content,
            "last_seq": last_seq, "events": count, "runs": write_runs(runs), "held": write_runs(held),
        }

    async def _finish(self, key: SubjectKey, wanted: Filter, number: int, count: int) -> None:
        """Say what the file has, in its first line, and what its lines hash to, in its last. Raises LogIncomplete."""
        spelling = _SPELLINGS[Format(self.leased.format)]
        async with self.database.begin(self.caller) as session:
            header = await self._header(session, wanted, count)
        beginning = spelling.spell_header(header) + spelling.titles
        hashed, size = sha256(beginning), len(beginning)
        for at in range(1, number + 1):
            chunk = await _chunk(self.database, self.caller, key, self.leased, at)
            if chunk is None:
                raise LeaseLost
            hashed.update(chunk)
            size += len(chunk)
            if at % _RENEW_AFTER == 0:
                async with self.database.begin(self.caller) as session:
                    await self._change(session, {"tries": 0})
        end = spelling.spell_end(count, hashed.hexdigest())
        hashed.update(end)
        async with self.database.begin(self.caller) as session:
            await self._change(
                session,
                {
                    "state": State.DONE, "version": self.leased.version + 1, "finished_at": self.ports.clock(),
                    "size": size + len(end), "sha256": hashed.digest(), "total": count, "events": count,
                },
            )
            await repository.add_chunks(
                session,
                [
                    self._row(at, _sealed(key, at, text), self.leased.tree_size, 0)
                    for at, text in ((0, beginning), (number + 1, end))
                ],
            )
            await self._tell(session, success=True)

    async def _header(self, session: Session, wanted: Filter, count: int) -> Header:
        chunks = await repository.chunks(session, self.leased.id)
        done = domain.joined(run for chunk in chunks for run in read_runs(chunk.runs))
        held = domain.joined(run for chunk in chunks for run in read_runs(chunk.held))
        expired = [
            domain.Expired(run.first, run.last, run.day.isoformat())
            for run in await events.expired_runs(session, self.leased.org_id)
        ]
        asked = _leaf_filter(wanted)
        extent_of = domain.complete_extent if asked is None else domain.filtered_extent
        extent = extent_of(done, expired, self.leased.last_org_seq)
        checkpoint = await tree_service.checkpoint_of(session, self.leased.tree_size)
        header = Header(
            org=str(self.leased.org_id), filter=asked, first_org_seq=extent.first,
            last_org_seq=self.leased.last_org_seq, count=count, made=leaf.microseconds(self.leased.begun_at),
            checkpoint=checkpoint.note, gaps=tuple(Gap(*gap) for gap in extent.gaps),
            held=tuple(Held(*run) for run in held),
        )
        signer = self.ports.checkpoint_key()
        return replace(header, note=signer.sign_text(header.statement(signer.verifier.name)))

    async def give_up(self, code: str) -> None:
        """Leave the export as failed, with nothing of its file; raises LeaseLost."""
        async with self.database.begin(self.caller) as session:
            await self._change(
                session,
                {
                    "state": State.FAILED, "version": self.leased.version + 1, "error": code,
                    "finished_at": self.ports.clock(),
                },
            )
            await repository.remove_chunks(session, self.leased.id)
            await self._tell(session, success=False)

    async def _tell(self, session: Session, *, success: bool) -> None:
        await self.ports.security_log.record(
            session, self.caller, "audit:export:finish", at=self.ports.clock(), success=success,
            subject=("export", self.leased.id),
        )


def _stretches(pages: Sequence[Page], held: Sequence[int], after: int) -> list[_Stretch]:
    """Stretches that end where pages of the log do, or (`held`) pages of what is held: one page of each at most."""
    found, ahead = [], deque(pages)
    for last in sorted({*(page.last for page in pages), *held}):
        page = ahead[0] if ahead else None
        found.append(_Stretch(after, last, page and page._replace(after=after, last=last)))
        if page is not None and page.last == last:
            ahead.popleft()
        after = last
    return found


def _organisation(caller: Caller) -> UUID:
    if caller.org_id is None:
        raise errors.NotFound
    return caller.org_id


def _act(caller: Caller, ports: Ports, verb: str, export_id: UUID, *, event_id: UUID) -> Any:
    event = ports.security_log.event(
        caller, f"audit:export:{verb}", at=ports.clock(), subject=("export", export_id)
    )
    return wire.read(event, event_id, ports)


async def _forget(session: Session, ports: Ports, export_id: UUID) -> None:
    """Shred an export, in every copy of the database, and remove it."""
    await ports.keyring.destroy(session, export_id)
    await repository.remove(session, export_id)


async def _asked(session: Session, ports: Ports, rows: Sequence[Any]) -> list[Export]:
    keys = await ports.keyring.existing_many(session, {row.id for row in rows if row.filter is not None})
    return [
        Export(
            row, None if row.filter is None else json.loads(keys[row.id].decrypt(row.filter, context=_FILTER))
        )
        for row in rows
    ]


def _filter_of(asked: dict[str, Any], ports: Ports) -> Filter:
    """A question to the log by what was asked for."""
    named = {name: UUID(asked[name]) for name in ("actor_id", "subject_id", "store_id", "session_id") if name in asked}
    times = {name: datetime.fromisoformat(asked[name]) for name in ("since", "until") if name in asked}
    return Filter(
        actor_id=named.get("actor_id"), subject_id=named.get("subject_id"), store_id=named.get("store_id"),
        session_id=named.get("session_id"), since=times.get("since"), until=times.get("until"),
        action=asked.get("action"),
        ip_index=origins.ip_index(ports.blind_index, asked["ip"]) if "ip" in asked else None,
        success=asked["outcome"] == "success" if "outcome" in asked else None,
    )


def _leaf_filter(wanted: Filter) -> dict[str, Any] | None:
    """A question to the log as a question to its leaves, which the file's header repeats; None for all of them."""
    found = {
        "store": _text(wanted.store_id), "action": wanted.action, "ok": wanted.success, "actor": _text(wanted.actor_id),
        "about": _text(wanted.subject_id), "session": _text(wanted.session_id),
        "ip": None if wanted.ip_index is None else wanted.ip_index.hex(),
        lines.SINCE: None if wanted.since is None else leaf.microseconds(wanted.since),
        lines.UNTIL: None if wanted.until is None else leaf.microseconds(wanted.until),
    }
    return {name: value for name, value in found.items() if value is not None} or None


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _spelled(
    spelling: lines.Format, found: Sequence[tuple[Event, bool]], prover: Prover, key: SubjectKey, number: int
) -> bytes:
    """Events' lines as a chunk."""
    spelled = []
    for event, held in found:
        shown: tuple[str | None, str | None, str | None] = (None, None, None)
        if event.origin_key:
            shown = (b64encode(event.origin_key).decode(), event.origin.ip, event.origin.user_agent)
        proof = [b2a_base64(part, newline=False).decode() for part in prover.path(event.leaf.seq)]
        spelled.append(spelling.spell_event(lines.Event(event.content.decode(), proof, *shown, held=held)))
    return _sealed(key, number, b"".join(spelled))


def _sealed(key: SubjectKey, number: int, text: bytes) -> bytes:
    return key.encrypt_bytes(zlib.compress(text, _COMPRESSION), context=_context(number))


def _context(number: int) -> str:
    """Binds a chunk to its place in the file."""
    return f"export_chunks.content:{number}"


async def _chunk(database: Database, caller: Caller, key: SubjectKey, export: Any, number: int) -> bytes | None:
    """A chunk's text; None when there is no such chunk."""
    async with database.begin(caller) as session:
        content = await repository.content(session, export.org_id, export.id, number)
    return None if content is None else await asyncio.to_thread(_unsealed, key, number, content)


def _unsealed(key: SubjectKey, number: int, content: bytes) -> bytes:
    return zlib.decompress(key.decrypt_bytes(content, context=_context(number)))
