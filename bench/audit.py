"""Audit: its writer alone and from the bus; queries, verification and exports of a large log; a day that goes."""

import asyncio
import base64
import json
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import uvloop
from starlette.types import ASGIApp, Message

from bench import figure
from bench.stack import Stack, handled_at, running_stack
from lotpro.security.v1 import events_pb2
from lotpro_audit import app
from lotpro_audit.db import RETENTION
from lotpro_audit.events import days
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.exports import service as exports
from lotpro_audit.exports.domain import Format, State
from lotpro_audit.exports.jobs import Exporter
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import repository as writing
from lotpro_audit.sequencer.service import Sequencer
from lotpro_audit.settings import Settings
from lotpro_audit.verification import service as verification
from lotpro_kit import auth, crypto, ids, service, telemetry, testing
from lotpro_kit.caller import Caller, Origin, system

#: The large log, and how many events a transaction of its writer takes (the most there may be).
ROWS, BATCH = int(os.environ.get("ROWS", "5000000")), 500
#: Events of each measured run of the writer and of the bare COPY beside it.
RUN = 50_000
DAYS = 5
#: What the smallest server that is sold for millions of rows gives them.
BUFFERS = "1GB"
ORGANISATIONS = [str(uuid4()) for _ in range(200)]
STORES = {org: [str(uuid4()) for _ in range(5)] for org in ORGANISATIONS}
PEOPLE = {org: [str(uuid4()) for _ in range(40)] for org in ORGANISATIONS}
SESSIONS = {person: str(uuid4()) for people in PEOPLE.values() for person in people}
#: The addresses an organisation's people come from: its stores' and some phones'.
ADDRESSES = {
    org: [f"203.{number % 256}.{place}.{number // 256}" for place in range(10)]
    for number, org in enumerate(ORGANISATIONS)
}
BROWSERS = [
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    for system in ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7") for version in (139, 140, 141)
]
ACTIONS = (
    ("inventory:vehicle:list", "", 60), ("inventory:vehicle:update", "vehicle", 15),
    ("inventory:vehicle:sell", "vehicle", 3), ("identity:session:create", "", 12), ("identity:session:step_up", "", 3),
    ("inventory:customer:view", "customer", 7),
)
QUERIES = 300
#: Events a second through the bus, and for how long.
FROM_BUS, BUS_SECONDS = 2500, 10


@dataclass(slots=True)
class Clock:
    """A clock that can be set."""

    now: datetime | None = None

    def __call__(self) -> datetime:
        return self.now or datetime.now(UTC)


@dataclass(slots=True)
class Log:
    """Audit's parts on a PostgreSQL of the benchmark's own, with fsync."""

    runtime: service.Runtime[Settings]
    ports: Ports
    sequencer: Sequencer
    clock: Clock
    postgres: testing.Postgres


@asynccontextmanager
async def _running_log() -> AsyncIterator[Log]:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        process = testing.start(
            "lotpro_localcloud.postgres", "--state", str(state / "pg"), "--shared-buffers", BUFFERS,
            log=state / "postgres.log",
        )
        password = (state / "pg" / "superuser-password").read_text()
        server = testing.Postgres(int(process.ready["port"]), password, process)
        await asyncio.to_thread(testing.wait_for_postgres, server.port)
        clock = Clock()
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        runtime = await testing.open_runtime(
            app.SERVICE, server, testing.Signer(), sealing_key=key, checkpoint_key=key,
            # Nothing answers there: a log is led without its anchors as well.
            blob_url="https://localhost:1/blob",
        )
        runtime.clock = clock
        ports = app.ports(runtime)
        sequencer = Sequencer(runtime.database, ports)
        try:
            async with sequencer.lead():
                yield Log(runtime, ports, sequencer, clock, server)
        finally:
            await runtime.close()
            process.stop()


def _events(count: int, at: datetime, dice: random.Random) -> list[SecurityEvent]:
    """What a dealer group's people do, believably distributed, within the minute before a moment."""
    actions = dice.choices(ACTIONS, [weight for *_, weight in ACTIONS], k=count)
    made = []
    for action, kind, _ in actions:
        org = dice.choice(ORGANISATIONS)
        person = dice.choice(PEOPLE[org])
        made.append(
            SecurityEvent(
                id=ids.new(), occurred_at=at - timedelta(seconds=dice.random() * 60), action=action,
                success=dice.random() > 0.02, actor_kind="user", actor_id=person, subject_kind=kind,
                subject_id=str(UUID(int=dice.getrandbits(128))) if kind else "", org_id=org,
                store_id=dice.choice(STORES[org]), session_id=SESSIONS[person],
                request_id=str(UUID(int=dice.getrandbits(128))), trace_id=f"{dice.getrandbits(128):032x}",
                changed_fields=("price",) if action.endswith("update") else (),
                origin=Origin(dice.choice(ADDRESSES[org]), dice.choice(BROWSERS)),
            )
        )
    return made


async def _fill(log: Log, dice: random.Random) -> bool:
    """The large log, a day after the other; the figures are of its last run, beside a bare COPY of the same rows."""
    day = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    old = day - timedelta(days=182)
    moments = [old, *(day - timedelta(days=back) for back in range(DAYS - 1, 0, -1))]
    each = (ROWS - RUN) // len(moments)
    begun = time.monotonic()
    for number, moment in enumerate(moments):
        log.clock.now = moment
        for done in range(0, each, BATCH * 20):
            events = _events(min(BATCH * 20, each - done), moment, dice)
            await _append(log, events)
            written = number * each + done + len(events)
            sys.stderr.write(f"\r{written:,} of {ROWS:,} events, {written / (time.monotonic() - begun):,.0f} a second ")
    sys.stderr.write("\n")
    log.clock.now = None
    events = _events(RUN, datetime.now(UTC) - timedelta(seconds=1), dice)
    # What is to be written came from elsewhere and is nothing the writer's collector would go through.
    service.calm_collector()
    begun, before = time.perf_counter(), time.process_time()
    samples = await _append(log, events)
    elapsed, used = time.perf_counter() - begun, time.process_time() - before
    limit = await _bare_copy(log)
    size = await _bytes_a_row(log)
    note = f"500 a transaction, in a log of {ROWS:,}, {BUFFERS} of shared buffers; p50..p99 in ms a batch;" \
        " limit: COPY of the same rows without tree, claims, keys and indexes; the writer itself used" \
        f" {used / elapsed:.0%} of a core"
    return all([
        figure.report(
            "audit_append", RUN / elapsed, "events/s", bar=20_000, better="higher", samples=samples, limit=limit,
            note=note,
        ),
        figure.report(
            "audit_bytes_a_row", size, "bytes", bar=1200, better="lower", n=ROWS,
            note="the whole database: rows, indexes, claims, tiles, checkpoints",
        ),
    ])


async def _append(log: Log, events: list[SecurityEvent]) -> list[float]:
    """Write events as the bus's consumer does, a batch prepared while one is written; milliseconds a batch."""
    batches = iter([events[first : first + BATCH] for first in range(0, len(events), BATCH)])
    samples: list[float] = []

    async def write() -> None:
        for batch in batches:
            at = time.perf_counter()
            await log.sequencer.append(batch)
            samples.append((time.perf_counter() - at) * 1000)

    await asyncio.gather(write(), write())
    return samples


async def _connect(log: Log) -> asyncpg.Connection:
    url = log.postgres.admin_url
    return await asyncpg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database="audit"
    )


async def _bare_copy(log: Log) -> float:
    """The same rows copied in as large transactions into a table without anything, rows a second."""
    connection = await _connect(log)
    columns = ", ".join(writing.COLUMNS)
    rows = await connection.fetch(f"SELECT {columns} FROM events ORDER BY seq DESC LIMIT {RUN}")
    await connection.execute(f"CREATE TABLE bare AS SELECT {columns} FROM events LIMIT 0")
    begun = time.perf_counter()
    for first in range(0, RUN, BATCH):
        await connection.copy_records_to_table(
            "bare", records=[tuple(row) for row in rows[first : first + BATCH]], columns=writing.COLUMNS
        )
    elapsed = time.perf_counter() - begun
    await connection.execute("DROP TABLE bare")
    await connection.close()
    return RUN / elapsed


async def _bytes_a_row(log: Log) -> float:
    connection = await _connect(log)
    await connection.execute("VACUUM ANALYZE")
    size = await connection.fetchval("SELECT pg_database_size('audit')")
    empty = await connection.fetchval("SELECT pg_database_size('postgres')")
    await connection.close()
    return float(size - empty) / ROWS


async def _queries(log: Log, dice: random.Random) -> bool:
    """Pages of the log as its readers ask for them, at the HTTP door, with what that costs."""
    parts = app.wire(log.runtime)
    signer = testing.Signer()
    log.runtime.user_tokens = auth.UserTokens(
        signer.user_keys, issuer=testing.ISSUER, audience=testing.AUDIENCE
    )
    door = service.create_app(app.SERVICE, log.runtime, parts)
    with redirect_stdout(sys.stderr):
        telemetry.configure("audit", level=log.runtime.settings.log_level)
    # As the service does when it has begun.
    service.calm_collector()
    commit = await _durable_commit(log)
    results = []
    for name, query in _questions(dice).items():
        samples = []
        for _ in range(QUERIES // 10 + 3):
            org = dice.choice(ORGANISATIONS)
            token = signer.user_token(user_id=uuid4(), org_id=UUID(org), roles={"*": ["compliance"]})
            samples += [await _ask(door, token, query(org)) for _ in range(10)]
        samples = samples[30:]
        results.append(
            figure.report(
                f"audit_query_{name}", figure.percentile(samples, 0.99), "ms", bar=10, better="lower",
                samples=samples, limit=commit,
                note="p99 of pages of 50 at the HTTP door, decrypted, but for the web server's share; limit: p99 of one"
                " durable commit, for looking is logged before it is answered",
            )
        )
    return all(results)


async def _ask(door: ASGIApp, token: str, query: dict[str, str]) -> float:
    """Ask for a page of the log as the web server does; milliseconds until the whole answer is there."""
    answer: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answer.append(message)

    path = "/api/audit/v1/events"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": urlencode(query).encode(), "root_path": "",
        "headers": [(b"host", b"service"), (b"authorization", f"Bearer {token}".encode())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }
    at = time.perf_counter()
    await door(scope, receive, send)
    elapsed = time.perf_counter() - at
    assert answer[0]["status"] == HTTPStatus.OK, answer
    return elapsed * 1000


async def _durable_commit(log: Log) -> float:
    """What it takes to write down anything at all, in milliseconds: p99."""
    connection = await _connect(log)
    await connection.execute("CREATE TABLE commits (number int)")
    samples = []
    for number in range(QUERIES):
        at = time.perf_counter()
        await connection.execute("INSERT INTO commits VALUES ($1)", number)
        samples.append((time.perf_counter() - at) * 1000)
    await connection.execute("DROP TABLE commits")
    await connection.close()
    return figure.percentile(samples, 0.99)


def _questions(dice: random.Random) -> dict[str, Callable[[str], dict[str, str]]]:
    def old(_: str) -> dict[str, str]:
        begin = datetime.now(UTC) - timedelta(days=dice.randrange(1, DAYS))
        return {"since": begin.isoformat(), "until": (begin + timedelta(hours=8)).isoformat()}

    return {
        "newest": lambda org: {},
        "actor": lambda org: {"actor_id": dice.choice(PEOPLE[org])},
        "nobody": lambda org: {"subject_id": str(uuid4())},
        "store": lambda org: {"store_id": dice.choice(STORES[org])},
        "action": lambda org: {"action": "inventory:vehicle:sell"},
        "failures": lambda org: {"outcome": "failure"},
        "session": lambda org: {"session_id": SESSIONS[dice.choice(PEOPLE[org])]},
        "address": lambda org: {"ip": dice.choice(ADDRESSES[org])},
        "period": old,
    }


async def _verification(log: Log) -> bool:
    """Hold the large log against its tree."""
    begun = time.perf_counter()
    found = await verification.verify_log(log.runtime.database, log.ports, as_of=log.clock())
    elapsed = time.perf_counter() - begun
    assert found.damages.count == 0, found.damages.told
    return figure.report(
        "audit_verify", found.events / elapsed, "rows/s", bar=200_000, better="higher", n=found.events,
        note="leaf hashes, columns, sequences, tiles, root and signature",
    )


async def _exports(log: Log) -> bool:
    """One organisation's events, which lie scattered over the large log, with their proofs."""
    database, org_id = log.runtime.database, UUID(ORGANISATIONS[0])
    caller = Caller(kind="user", user_id=uuid4(), org_id=org_id, stores=None)
    following = asyncio.create_task(log.sequencer.follow_intake())
    results = []
    for spelling in Format:
        async with database.begin(caller) as session:
            export_id = await exports.open_export(session, caller, log.ports, spelling=spelling, filter=None)
        await exports.opened(database, export_id)
        begun, before = time.perf_counter(), time.process_time()
        await Exporter(database, log.ports).work()
        elapsed, used = time.perf_counter() - begun, time.process_time() - before
        async with database.begin(caller) as session:
            made = (await exports.get_export(session, caller, log.ports, export_id=export_id)).row
        assert made.state == State.DONE, made.error
        results.append(
            figure.report(
                f"audit_export_{spelling}", made.events / elapsed, "events/s", bar=3000, better="higher", n=made.events,
                note=f"one of {len(ORGANISATIONS)} organisations, {made.size / 1e6:.0f} MB with proofs, compressed and"
                f" encrypted; the worker used {used / elapsed:.0%} of a core",
            )
        )
    following.cancel()
    return all(results)


async def _expiry(log: Log, dice: random.Random) -> bool:
    """A day goes while events keep coming; how long, and how long they waited meanwhile."""
    day: date = (datetime.now(UTC) - timedelta(days=182)).date()
    over = asyncio.Event()
    samples: list[float] = []

    async def keep_writing() -> None:
        while not over.is_set():
            at = time.perf_counter()
            await log.sequencer.append(_events(10, datetime.now(UTC) - timedelta(seconds=1), dice))
            samples.append((time.perf_counter() - at) * 1000)
            await asyncio.sleep(0.05)

    writing_on = asyncio.create_task(keep_writing())
    begun = time.perf_counter()
    database = log.runtime.database
    going = await days.prepare(database, day, now=log.clock())
    assert going is not None
    async with database.begin(system(scope=RETENTION)) as session:
        await days.drop(session, day, log.ports, going=going, now=log.clock())
    elapsed = time.perf_counter() - begun
    over.set()
    await writing_on
    count = going.count
    return all([
        figure.report(
            "audit_expire_day", elapsed, "s", bar=5, better="lower", n=count,
            note=f"a day of {count:,} events: held against the tree, dropped, left for the log to say",
        ),
        figure.report(
            "audit_append_meanwhile", max(samples), "ms", bar=1000, better="lower", samples=samples,
            note="the longest wait of a batch of 10 while the day went; most of it is the verifier's share of the core",
        ),
    ])


async def measure(stack: Stack) -> bool:
    """From the commit in inventory over the bus to the commit in the log, at a steady rate."""
    inventory, audit = await stack.connect("inventory"), await stack.connect("audit")
    public_key = json.loads((stack.running.state / "keys.json").read_text())["audit-sealing-public-key"]
    dice = random.Random(4)
    seals = [
        base64.b64encode(crypto.seal_origin(event.origin, public_key)).decode()
        for event in _events(200, datetime.now(UTC), dice)
    ]
    await _send(inventory, seals, dice, seconds=2)
    committed = await _send(inventory, seals, dice, seconds=BUS_SECONDS)
    handled = await handled_at(audit, committed.keys())
    lost = len(committed) - len(handled)
    assert lost == 0, f"{lost} events never came into the log"
    milliseconds = [(handled[event] - at) * 1000 for event, at in committed.items()]
    elapsed = max(handled.values()) - min(committed.values())
    await inventory.close()
    await audit.close()
    return all([
        figure.report(
            "audit_from_bus", len(committed) / elapsed, "events/s", bar=FROM_BUS * 0.98, better="higher",
            n=len(committed), note=f"committed in inventory at {FROM_BUS}/s, over outbox, relay and bus into the log",
        ),
        figure.report(
            "audit_from_bus_p99", figure.percentile(milliseconds, 0.99), "ms", bar=1000, better="lower",
            samples=milliseconds, note="inventory's commit to audit's commit",
        ),
    ])


_PUT = (
    "INSERT INTO outbox (id, topic, type, body, traceparent)"
    " SELECT id, 'security-events', $3, body, '' FROM unnest($1::uuid[], $2::text[]) AS event (id, body)"
)


async def _send(
    connection: asyncpg.Connection, seals: list[str], dice: random.Random, *, seconds: int
) -> dict[UUID, float]:
    """Commit events at FROM_BUS a second, 25 a transaction; answers each event's id with when it was committed."""
    committed: dict[UUID, float] = {}
    name, each = events_pb2.SecurityEvent.DESCRIPTOR.full_name, 25
    begun = time.perf_counter()
    for number in range(FROM_BUS * seconds // each):
        await asyncio.sleep(max(0.0, begun + number * each / FROM_BUS - time.perf_counter()))
        events = _events(each, datetime.now(UTC), dice)
        bodies = [_body(event, dice.choice(seals)) for event in events]
        async with connection.transaction():
            await connection.execute(_PUT, [event.id for event in events], bodies, name)
            await connection.execute("SELECT pg_notify('outbox', '')")
        at = time.time()
        committed |= {event.id: at for event in events}
    return committed


def _body(event: SecurityEvent, seal: str) -> str:
    fields = replace(event, origin=Origin())
    return json.dumps(
        {
            "action": fields.action, "outcome": "OUTCOME_SUCCESS", "occurred_time": fields.occurred_at.isoformat(),
            "actor_kind": "user", "actor_id": fields.actor_id, "subject_kind": fields.subject_kind,
            "subject_id": fields.subject_id, "org_id": fields.org_id, "store_id": fields.store_id,
            "session_id": fields.session_id, "request_id": fields.request_id, "trace_id": fields.trace_id,
            "changed_fields": list(fields.changed_fields), "sealed_origin": seal,
        }
    )


async def main() -> bool:
    """The writer and a large log on a PostgreSQL of their own; then the bus, on a stack of its own."""
    dice = random.Random(1)
    results = []
    async with _running_log() as log:
        results.append(await _fill(log, dice))
        results.append(await _queries(log, dice))
        results.append(await _verification(log))
        results.append(await _exports(log))
        results.append(await _expiry(log, dice))
    async with running_stack() as stack:
        results.append(await measure(stack))
    return all(results)


if __name__ == "__main__":
    # As the service runs.
    raise SystemExit(0 if uvloop.run(main()) else 1)
