"""The one who writes the log: a batch a transaction, a dense sequence, a signed checkpoint after every batch."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from lotpro_audit.events import domain, origins
from lotpro_audit.events.domain import EventOutOfRange, EventUnreadable, SecurityEvent
from lotpro_audit.events.leaf import NOBODY, subject
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import batch, repository
from lotpro_audit.sequencer.batch import Batch, Keys
from lotpro_audit.tree import service as tree_service
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
CLOSE_SECONDS = 2.0
#: How many addresses' indexes are remembered; some thousand dealerships' people come from a few each.
ADDRESSES = 16_384
#: Notified when something was written, for whoever follows the log.
LOGGED = repository.LOGGED

Refusal = EventUnreadable | EventOutOfRange


class NotLeading(Unavailable):
    """This process is not the one who writes the log at the moment."""


@dataclass(slots=True)
class _Leader:
    """What the leader knows, true as long as its connections live.

    While one batch is written the next one is prepared: what is known here is ahead of the database by a batch.
    """

    #: Writes, and holds the lock by which this one leads;
    writer: Driver
    #: reads what the next batch needs.
    reader: Driver
    tree: Tree
    #: The last number of each organisation's sequence, by its id as events name it.
    heads: dict[str, int] = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    #: Places of events, and data keys by whose they are, of batches that are being written.
    places: dict[UUID, int] = field(default_factory=dict)
    keys: dict[str, SubjectKey] = field(default_factory=dict)
    preparing: asyncio.Lock = field(default_factory=asyncio.Lock)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def expect(self, made: Batch, opened: Keys, new_keys: Collection[str]) -> None:
        """A batch will be written next."""
        self.tree = made.growth.tree
        self.heads |= made.heads
        self.places |= {event_id: seq for event_id, seq, _ in made.claims}
        self.keys |= {text: opened[text] for text in new_keys}

    def settle(self, made: Batch, new_keys: Collection[str]) -> None:
        """The batch was written: the database knows all of it."""
        self.days |= made.rows.keys()
        for event_id, *_ in made.claims:
            del self.places[event_id]
        for text in new_keys:
            del self.keys[text]


@dataclass(frozen=True, slots=True)
class Written:
    """An event's place in the log."""

    seq: int


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What becomes of events that came: an answer to each, and the batch of those that are new, if any.

    `keys` are data keys that had to be made, by whose they are as events name it, as they are to be stored.
    """

    answers: list[Written | Refusal]
    batch: Batch | None
    keys: dict[str, bytes]


class Sequencer:
    """Writes events while it leads. One a process; `lead` waits until no other one does."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports
        ip_index = lru_cache(ADDRESSES)(partial(origins.ip_index, ports.blind_index))
        self._maker = batch.Maker(ip_index, ports.checkpoint_key)
        self._leader: _Leader | None = None

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[None]:
        """Be the leader inside. Waits for the turn; raises LogDamaged, and whatever a lost database raises."""
        async with AsyncExitStack() as stack:
            # Closing the writer gives the lock back.
            writer, reader = [await self._connect(stack) for _ in range(2)]
            try:
                self._leader = _Leader(writer, reader, await tree_service.lead(writer, self._ports))
                yield
            finally:
                self._leader = None

    async def _connect(self, stack: AsyncExitStack) -> Driver:
        connection = await self._database.connect(**_KEEPALIVE)
        stack.push_async_callback(connection.close, timeout=CLOSE_SECONDS)
        return connection

    async def follow_intake(self) -> None:
        """Write what comes by gRPC, to whichever process, until cancelled; raises NotLeading when the lead is lost."""
        leader = self._leader
        if leader is None:
            raise NotLeading
        stirred = asyncio.Event()
        leader.writer.add_termination_listener(lambda _: stirred.set())
        async with leader.preparing:
            await leader.reader.add_listener(repository.CHANNEL, lambda *_: stirred.set())
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
        self._check_leads(leader)
        async with leader.preparing:
            waiting = await repository.waiting(leader.reader, MOST_AT_ONCE)
        unwrap = self._ports.keyring.unwrap
        await self.append([_read(unwrap(content, context=INTAKE)) for _, content in waiting])
        async with leader.preparing:
            await repository.forget_waiting(leader.reader, [event_id for event_id, _ in waiting])
        return len(waiting) == MOST_AT_ONCE

    async def append(self, events: Sequence[SecurityEvent]) -> list[Written | Refusal]:
        """Write events in their order, each once however often it comes; answers each one's place, or why it has none.

        All that are new are written in one transaction, or none is; while they are, the next ones may come. Raises
        NotLeading, Deposed, and the driver's errors: after one of these nobody knows whether the events were written,
        so they must come again, to whoever leads then.
        """
        leader = self._leader
        if leader is None:
            raise NotLeading
        async with leader.preparing:
            prepared = await self._prepare(leader, events)
            # Before the next ones are prepared, for batches are written in their order.
            with self._leading_on(prepared):
                await leader.writing.acquire()
        try:
            self._check_leads(leader)
            with self._leading_on(prepared):
                await _write(leader, prepared)
        finally:
            leader.writing.release()
        return prepared.answers

    def _check_leads(self, leader: _Leader) -> None:
        if self._leader is not leader or leader.writer.is_closed():
            raise NotLeading

    @contextmanager
    def _leading_on(self, prepared: _Prepared) -> Iterator[None]:
        """Lead on only when what was prepared is written.

        If not, nobody knows what the connection holds, nor whether a commit arrived, and what comes next was prepared
        to come after it: begin anew.
        """
        try:
            yield
        except BaseException:
            if prepared.batch is not None:
                self._leader = None
            raise

    async def _prepare(self, leader: _Leader, events: Sequence[SecurityEvent]) -> _Prepared:
        """What becomes of events; from here on the leader knows those that are new as written."""
        now = self._ports.clock()
        days = _days(events, now=now)
        # Those that are being written are asked for first: when that ends meanwhile, the database has them.
        places = dict(leader.places)
        places |= await repository.claimed(leader.reader, [event.id for event in events])
        fresh = {
            event.id: (event, day)
            for event, day in zip(events, days, strict=True)
            if isinstance(day, date) and event.id not in places
        }
        keys: dict[str, bytes] = {}
        made = None
        if fresh:
            opened, keys = await self._keys(leader, {batch.key_of(event) for event, _ in fresh.values()})
            heads = await _heads(leader, {event.org_id for event, _ in fresh.values()})
            made = self._maker.make(list(fresh.values()), tree=leader.tree, heads=heads, keys=opened, now=now)
            leader.expect(made, opened, keys)
            places |= leader.places
        answers = [
            Written(places[event.id]) if isinstance(day, date) else day
            for event, day in zip(events, days, strict=True)
        ]
        return _Prepared(answers, made, keys)

    async def _keys(self, leader: _Leader, named: set[str]) -> tuple[dict[str, SubjectKey], dict[str, bytes]]:
        """The data keys of people and organisations; and those that had to be made, as they are to be stored."""
        keyring = self._ports.keyring
        keys = {text: leader.keys[text] for text in named & leader.keys.keys()}
        unknown = named - keys.keys()
        for owner, wrapped in (await repository.wrapped_keys(leader.reader, unknown)).items():
            keys["" if owner == NOBODY else str(owner)] = keyring.open_key(owner, wrapped)
        made = {}
        for text in unknown - keys.keys():
            keys[text], made[text] = keyring.new_key(subject(text))
        return keys, made


def _days(events: Sequence[SecurityEvent], *, now: datetime) -> list[date | Refusal]:
    """The day of each event, or why it has none."""
    reach = domain.Reach.at(now)
    days: list[date | Refusal] = []
    for event in events:
        try:
            domain.check(event)
            days.append(reach.day_of(event))
        except (EventUnreadable, EventOutOfRange) as refusal:
            days.append(refusal)
    return days


async def _heads(leader: _Leader, organisations: set[str]) -> dict[str, int]:
    """The last number of each organisation's sequence; 0 for one that has none yet."""
    unknown = organisations - leader.heads.keys()
    if unknown:
        found = await repository.heads(leader.reader, [subject(text) for text in unknown])
        leader.heads |= {text: found.get(subject(text), 0) for text in unknown}
    return {text: leader.heads[text] for text in organisations}


async def _write(leader: _Leader, prepared: _Prepared) -> None:
    made, writer = prepared.batch, leader.writer
    if made is None:
        return
    async with writer.transaction():
        for day in made.rows.keys() - leader.days:
            await repository.make_day(writer, day)
        if prepared.keys:
            await repository.add_keys(writer, {subject(text): stored for text, stored in prepared.keys.items()})
        for day, of_day in made.rows.items():
            await repository.copy_day(writer, day, of_day)
        await repository.claim(writer, made.claims)
        await repository.set_heads(writer, {subject(text): last for text, last in made.heads.items()})
        await tree_service.write(writer, made.growth, at=made.now)
    leader.settle(made, prepared.keys)


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
