"""The one who writes the log: a batch a transaction, a dense sequence, a signed checkpoint after every batch."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from lotpro_audit.events import domain, leaf, origins
from lotpro_audit.events.domain import EventOutOfRange, EventUnreadable, SecurityEvent
from lotpro_audit.events.leaf import NOBODY, Leaf
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import repository
from lotpro_audit.tree import service as tree_service
from lotpro_audit.tree.domain import leaf_hash
from lotpro_audit.tree.service import Tree
from lotpro_kit.caller import Origin, system
from lotpro_kit.crypto import SubjectKey
from lotpro_kit.db import Database, Driver, Session
from lotpro_kit.errors import Unavailable

#: PostgreSQL gives up a leader whose machine fell silent after idle + count * interval seconds.
_KEEPALIVE = {"tcp_keepalives_idle": "2", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "2"}

#: Intake rows that are written in one transaction, and how often it is looked for those whose notification was lost.
MOST_AT_ONCE = 500
SWEEP_SECONDS = 15.0
#: How long somebody waits for the leader, in seconds, and how often it is looked.
PATIENCE_SECONDS, LOOK_SECONDS = 5.0, 0.02
INTAKE = "intake.event"
#: Notified when something was written, for whoever follows the log.
LOGGED = repository.LOGGED

Refusal = EventUnreadable | EventOutOfRange


class NotLeading(Unavailable):
    """This process is not the one who writes the log at the moment."""


@dataclass(slots=True)
class _Leader:
    """What the leader knows, true as long as its connection lives."""

    connection: Driver
    tree: Tree
    #: The last number of each organisation's sequence, by its id as events name it.
    heads: dict[str, int] = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Written:
    """An event's place in the log."""

    seq: int


@dataclass(slots=True)
class _Batch:
    """New events in their order, their days, and the data keys of whose they are, as events name these."""

    first: int
    now: datetime
    events: list[SecurityEvent] = field(default_factory=list)
    days: list[date] = field(default_factory=list)
    keys: dict[str, SubjectKey] = field(default_factory=dict)

    def add(self, event: SecurityEvent, day: date) -> int:
        """Add an event; answers its place in the tree."""
        self.events.append(event)
        self.days.append(day)
        return self.first + len(self.events) - 1


class Sequencer:
    """Writes events while it leads. One a process; `lead` waits until no other one does."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports
        # A dealership's people come from a few addresses again and again.
        self._ip_index = lru_cache(1024)(partial(origins.ip_index, ports.blind_index))
        self._leader: _Leader | None = None

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[None]:
        """Be the leader inside. Waits for the turn; raises LogDamaged, and whatever a lost database raises."""
        connection = await self._database.connect(**_KEEPALIVE)
        try:
            self._leader = _Leader(connection, await tree_service.lead(connection, self._ports))
            yield
        finally:
            self._leader = None
            # Closing the connection gives the lock back.
            await connection.close(timeout=2)

    async def follow_intake(self) -> None:
        """Write what comes by gRPC, to whichever process, until cancelled; raises NotLeading when the lead is lost."""
        leader = self._leader
        if leader is None:
            raise NotLeading
        stirred = asyncio.Event()
        leader.connection.add_termination_listener(lambda _: stirred.set())
        async with leader.lock:
            await leader.connection.add_listener(repository.CHANNEL, lambda *_: stirred.set())
        while True:
            while await self._drain(leader):
                pass
            # Not wait_for: in Python 3.11 it forgets a cancellation that comes together with the wake-up.
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await stirred.wait()
            stirred.clear()

    async def _drain(self, leader: _Leader) -> bool:
        """Write the oldest waiting events; whether there may be more."""
        if self._leader is not leader or leader.connection.is_closed():
            raise NotLeading
        async with leader.lock:
            waiting = await repository.waiting(leader.connection, MOST_AT_ONCE)
        unwrap = self._ports.keyring.unwrap
        await self.append([_read(unwrap(content, context=INTAKE)) for _, content in waiting])
        async with leader.lock:
            await repository.forget_waiting(leader.connection, [event_id for event_id, _ in waiting])
        return len(waiting) == MOST_AT_ONCE

    async def append(self, events: Sequence[SecurityEvent]) -> list[Written | Refusal]:
        """Write events in their order, each once however often it comes; answers each one's place, or why it has none.

        All that are new are written in one transaction, or none is. Raises NotLeading, Deposed, and the driver's
        errors: after one of these nobody knows whether the events were written, so they must come again, to whoever
        leads then.
        """
        leader = self._leader
        if leader is None:
            raise NotLeading
        async with leader.lock:
            return await self._append(leader, events)

    async def _append(self, leader: _Leader, events: Sequence[SecurityEvent]) -> list[Written | Refusal]:
        now = self._ports.clock()
        reach = domain.Reach.at(now)
        refused: dict[int, Refusal] = {}
        days: list[date | None] = []
        for at, event in enumerate(events):
            day = None
            try:
                domain.check(event)
                day = reach.day_of(event)
            except (EventUnreadable, EventOutOfRange) as refusal:
                refused[at] = refusal
            days.append(day)
        known = await repository.claimed(leader.connection, [event.id for event in events])
        places = {event_id: Written(seq) for event_id, seq in known.items()}
        batch = _Batch(first=leader.tree.size, now=now)
        for event, day in zip(events, days, strict=True):
            if day is not None and event.id not in places:
                places[event.id] = Written(batch.add(event, day))
        if batch.events:
            await self._write(leader, batch)
        return [refused[at] if at in refused else places[event.id] for at, event in enumerate(events)]

    async def _write(self, leader: _Leader, batch: _Batch) -> None:
        connection = leader.connection
        try:
            async with connection.transaction():
                for day in set(batch.days) - leader.days:
                    await repository.make_day(connection, day)
                batch.keys = await self._keys(connection, {_key_of(event) for event in batch.events})
                heads = await self._heads(leader, {event.org_id for event in batch.events})
                rows, hashes = self._rows(batch, heads)
                for day, of_day in rows.items():
                    await repository.copy_day(connection, day, of_day)
                await repository.claim(
                    connection,
                    [(event.id, seq, event.occurred_at) for seq, event in enumerate(batch.events, batch.first)],
                )
                await repository.set_heads(connection, {org_id or str(NOBODY): last for org_id, last in heads.items()})
                growth = await tree_service.grow(connection, leader.tree, self._ports, hashes, at=batch.now)
        except BaseException:
            # What the connection holds is not known any more, nor is it whether the commit arrived: begin anew.
            self._leader = None
            raise
        tree_service.grown(leader.tree, growth)
        leader.days.update(batch.days)
        leader.heads |= heads

    async def _keys(self, connection: Driver, named: set[str]) -> dict[str, SubjectKey]:
        """The data keys of people and organisations, made where they are missing."""
        keyring = self._ports.keyring
        subjects = {UUID(text) if text else NOBODY: text for text in named}
        wrapped = await repository.wrapped_keys(connection, subjects)
        keys = {subjects[subject]: keyring.open_key(subject, found) for subject, found in wrapped.items()}
        missing = {subject: keyring.new_key(subject) for subject, text in subjects.items() if text not in keys}
        if missing:
            await repository.add_keys(connection, {subject: stored for subject, (_, stored) in missing.items()})
        return keys | {subjects[subject]: key for subject, (key, _) in missing.items()}

    async def _heads(self, leader: _Leader, organisations: set[str]) -> dict[str, int]:
        """The last number of each organisation's sequence; 0 for one that has none yet."""
        unknown = organisations - leader.heads.keys()
        if unknown:
            found = await repository.heads(leader.connection, [text or str(NOBODY) for text in unknown])
            leader.heads |= {text: found.get(text or str(NOBODY), 0) for text in unknown}
        return {text: leader.heads[text] for text in organisations}

    def _rows(
        self, batch: _Batch, heads: dict[str, int]
    ) -> tuple[dict[date, list[tuple[object, ...]]], list[bytes]]:
        """The rows of each day, and the leaves' hashes in their order; moves the heads on."""
        rows: dict[date, list[tuple[object, ...]]] = defaultdict(list)
        hashes = []
        logged_us = leaf.microseconds(batch.now)
        for seq, (event, day) in enumerate(zip(batch.events, batch.days, strict=True), batch.first):
            heads[event.org_id] += 1
            made = self._leaf(event, batch.keys, seq=seq, org_seq=heads[event.org_id], logged_us=logged_us)
            indexed, rest = leaf.parts(made)
            hashes.append(leaf_hash(indexed + rest))
            rows[day].append(_row(event, made, rest))
        return rows, hashes

    def _leaf(
        self, event: SecurityEvent, keys: dict[str, SubjectKey], *, seq: int, org_seq: int, logged_us: int
    ) -> Leaf:
        came = event.origin
        origin = origins.seal(came, keys[_key_of(event)], event.id) if came.ip or came.user_agent else b""
        action, cut = event.action, domain.cut
        # By place, because this is done for every event: by name it takes twice as long.
        return Leaf(
            seq, org_seq, str(event.id), event.org_id, event.store_id, leaf.microseconds(event.occurred_at), action,
            event.success, event.actor_id, event.subject_id, event.concerned_id, event.session_id,
            self._ip_index(came.ip) if came.ip else b"", logged_us, event.actor_kind, event.actor_name,
            event.subject_kind, event.concerned_kind, domain.ocsf(action).class_uid, domain.activity(action),
            cut(event.factor), cut(event.feature), event.duration_ms, cut(event.request_id), cut(event.trace_id),
            event.changed_fields, origin, event.expiry,
        )


def _key_of(event: SecurityEvent) -> str:
    """Whose key an event's origin is encrypted under: the person's, so that it can be forgotten with them."""
    return event.actor_id or event.org_id


def _row(event: SecurityEvent, made: Leaf, rest: bytes) -> tuple[object, ...]:
    return (
        event.occurred_at, made.seq, made.org_seq, event.org_id or None, event.store_id or None,
        event.actor_id or None, event.subject_id or None, event.concerned_id or None, event.session_id or None,
        made.ip_index or None, event.success, event.action, rest,
    )


async def append_and_wait(database: Database, ports: Ports, event: SecurityEvent) -> int:
    """Have the leader write an event, whichever process it is; answers its place. The same id again changes nothing.

    Raises EventUnreadable and EventOutOfRange; Unavailable when the leader has not written it in PATIENCE_SECONDS: it
    is safe by then, and will be.
    """
    async with database.begin(system()) as session:
        place = await leave(session, ports, event)
    return place if place is not None else await wait_for(database, event.id)


async def leave(session: Session, ports: Ports, event: SecurityEvent) -> int | None:
    """Leave an event for the leader in the caller's own transaction, so that what it says is true exactly when it is
    said; answers its place when it is in the log already. Raises EventUnreadable and EventOutOfRange.

    Once the transaction has committed the event will be in the log: `wait_for` it before answering.
    """
    domain.check(event)
    domain.day_of(event, now=ports.clock())
    place = await repository.written(session, event.id)
    if place is None:
        await repository.leave(session, {event.id: ports.keyring.wrap(_spelled(event), context=INTAKE)})
    return place


async def wait_for(database: Database, event_id: UUID) -> int:
    """Wait until an event that was left is in the log; answers its place. Raises Unavailable after PATIENCE_SECONDS."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async with database.begin(system()) as session:
                    place = await repository.written(session, event_id)
                if place is not None:
                    return place
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError as error:
        raise Unavailable from error


async def head_of(session: Session, org_id: UUID) -> int:
    """The last number of an organisation's own sequence; 0 when it has none."""
    return await repository.head_of(session, org_id)


async def place_of(session: Session, event_id: UUID) -> Any:
    """Where in the log an event is (`seq`, `occurred_at`); None when it is not in it, or was forgotten."""
    return await repository.place_of(session, event_id)


async def leave_all(session: Session, ports: Ports, events: Sequence[SecurityEvent]) -> None:
    """Leave events for the leader, who writes each of them once, soon after the transaction: nothing waits for it.

    Raises EventUnreadable and EventOutOfRange.
    """
    for event in events:
        domain.check(event)
        domain.day_of(event, now=ports.clock())
    wrap = ports.keyring.wrap
    await repository.leave(session, {event.id: wrap(_spelled(event), context=INTAKE) for event in events})


async def last_numbers(session: Session, organisations: Collection[UUID]) -> dict[UUID, int]:
    """How far each organisation's own sequence is; without those that have no event yet."""
    return await repository.last_numbers(session, organisations)


def _spelled(event: SecurityEvent) -> bytes:
    """An event as it waits in the intake."""
    fields = asdict(event) | {"id": str(event.id), "occurred_at": event.occurred_at.isoformat()}
    return json.dumps(fields).encode()


def _read(content: bytes) -> SecurityEvent:
    """What `_spelled` spelled."""
    fields = json.loads(content)
    return SecurityEvent(
        **fields
        | {
            "id": UUID(fields["id"]), "occurred_at": datetime.fromisoformat(fields["occurred_at"]),
            "changed_fields": tuple(fields["changed_fields"]), "origin": Origin(**fields["origin"]),
        }
    )


async def forget_claims(session: Session, *, as_of: datetime, limit: int) -> int:
    """Drop ids of events that would be refused as too old if they came again; answers how many."""
    before = as_of - domain.retention() - 2 * domain.AHEAD
    return await repository.forget_claims(session, before=before, limit=limit)
