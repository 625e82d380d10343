"""Events leave a service in the transaction that made them true: a row here, then the relay sends it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    Delete,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Update,
    Uuid,
    bindparam,
    func,
    insert,
    select,
)

from lotpro.options.v1 import options_pb2
from lotpro_kit import bus, ids, telemetry, wake
from lotpro_kit.caller import system
from lotpro_kit.db import Database, Session, Statement, fetch

CHANNEL = "outbox"
BATCH = 100
#: Under load, what is committed within so many seconds is sent together; after a pause an event is sent at once.
REST_SECONDS = 0.02
#: Doubling backoff of a row that could not be sent: 1 s, 2 s, ... capped at one hour.
MAX_BACKOFF_SECONDS = 3600

log = telemetry.logger(__name__)


def table(metadata: MetaData) -> Table:
    """The outbox in a service's metadata."""
    return Table(
        "outbox",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("topic", String(64), nullable=False),
        Column("type", String(128), nullable=False),
        Column("body", Text, nullable=False),
        Column("traceparent", String(64), nullable=False, server_default=""),
        Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


def topic_of(event: Message) -> str:
    """The topic an event travels on: its own option, else the service in its package `lotpro.<service>.v1`."""
    own: str = event.DESCRIPTOR.GetOptions().Extensions[options_pb2.topic]
    return own or event.DESCRIPTOR.file.package.split(".")[1]


_OUTBOX = table(MetaData())
_PUT = insert(_OUTBOX).from_select(
    ["id", "topic", "type", "body", "traceparent"],
    select(
        func.unnest(bindparam("event_ids", type_=ARRAY(Uuid))),
        func.unnest(bindparam("event_topics", type_=ARRAY(Text))),
        func.unnest(bindparam("event_types", type_=ARRAY(Text))),
        func.unnest(bindparam("event_bodies", type_=ARRAY(Text))),
        bindparam("traceparent", type_=Text),
    ),
)


class Writes:
    """Statements that write, and the events that become true with them, in one round trip.

    All of them see what was there before any of them, and no two may write the same row. Their parameters are
    `bindparam`s.
    """

    def __init__(self, **statements: Insert | Update | Delete) -> None:
        ctes = (statement.cte(name) for name, statement in {**statements, "put": _PUT}.items())
        self._statement = Statement(select(func.pg_notify(CHANNEL, "")).add_cte(*ctes))

    async def make(self, session: Session, *events: Message, **parameters: object) -> None:
        """Write, and record the events; they are sent after the transaction's commit, at least once each."""
        await self._statement.all(
            session,
            event_ids=[ids.new() for _ in events],
            event_topics=[topic_of(event) for event in events],
            event_types=[event.DESCRIPTOR.full_name for event in events],
            event_bodies=[
                json.dumps(MessageToDict(event, preserving_proto_field_name=True), separators=(",", ":"))
                for event in events
            ],
            traceparent=telemetry.traceparent(),
            **parameters,
        )


_NOTHING_ELSE = Writes()


async def put(session: Session, *events: Message) -> None:
    """Record events that become true when the transaction commits; they are sent after that, at least once each."""
    await _NOTHING_ELSE.make(session, *events)


@dataclass(frozen=True, slots=True)
class _Row:
    id: UUID
    topic: str
    type: str
    body: str
    traceparent: str
    occurred_at: datetime


class Relay:
    """Sends committed outbox rows to their topics, at least once, not ordered; a sent row is deleted."""

    def __init__(self, database: Database, sender: bus.Sender, *, source: str) -> None:
        self._database = database
        self._sender = sender
        self._source = source

    async def run(self) -> None:
        """Relay until cancelled; a lost database or bus is waited for."""
        await wake.Loop(self._database, channel=CHANNEL, work=self.drain, rest=REST_SECONDS).run()

    async def drain(self) -> None:
        """Send what is committed now."""
        while await self._send_batch():
            pass

    async def _send_batch(self) -> bool:
        """Send up to BATCH due rows; True when there may be more to do right now."""
        async with self._database.begin(system(scope="relay")) as session:
            rows = [_Row(*row) for row in await fetch(session, _DUE, BATCH)]
            if not rows:
                return False
            failed = await self._send(rows)
            sent = [row.id for row in rows if row.id not in failed]
            if sent:
                await fetch(session, _SENT, sent)
            if failed:
                await fetch(session, _POSTPONE, list(failed), MAX_BACKOFF_SECONDS)
            return len(rows) == BATCH and not failed

    async def _send(self, rows: Sequence[_Row]) -> set[UUID]:
        """Send rows topic by topic; answer the ids that could not be sent."""
        failed: set[UUID] = set()
        for topic in {row.topic for row in rows}:
            of_topic = [row for row in rows if row.topic == topic]
            try:
                await self._sender.send(topic, [self._outgoing(row) for row in of_topic])
            except bus.NotSent as error:
                log.warning("events not sent", topic=topic, count=len(of_topic), error=str(error))
                failed.update(row.id for row in of_topic)
        return failed

    def _outgoing(self, row: _Row) -> bus.Outgoing:
        return bus.Outgoing(
            id=row.id, type=row.type, source=self._source, time=row.occurred_at, body=row.body,
            traceparent=row.traceparent,
        )


_DUE = (
    "SELECT id, topic, type, body, traceparent, occurred_at FROM outbox WHERE next_attempt_at <= now()"
    " ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"
)
_SENT = "DELETE FROM outbox WHERE id = ANY($1::uuid[])"
_POSTPONE = (
    "UPDATE outbox SET attempts = attempts + 1,"
    " next_attempt_at = clock_timestamp() + make_interval(secs => least(power(2, least(attempts, 12)), $2))"
    " WHERE id = ANY($1::uuid[])"
)
