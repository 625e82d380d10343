"""One client's connection: SASL, sessions and links, and what flows over them."""

import asyncio
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from lotpro_localcloud.servicebus import codec, management, message
from lotpro_localcloud.servicebus.access import Denied, Gatekeeper
from lotpro_localcloud.servicebus.codec import Described, Int, Symbol, UByte, UInt, ULong
from lotpro_localcloud.servicebus.entities import Entry, Namespace, Queue, Topic
from lotpro_localcloud.servicebus.store import Journal

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
ACCEPTED, REJECTED, RELEASED, MODIFIED, ERROR = 0x24, 0x25, 0x26, 0x27, 0x1D
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
AMQP_HEADER, SASL_HEADER = b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"
MAX_FRAME = 262_144
MAX_MESSAGE = 1_048_576
SENDER_CREDIT = 1_000
#: The SDK ignores the role of a disposition, so our delivery ids must not meet its own.
FIRST_DELIVERY = 1 << 20
#: What reading well-formed AMQP raises where a field is missing or of another type than the standard says.
_PEER_FAULTS = (
    codec.Malformed, AssertionError, AttributeError, LookupError, OverflowError, TypeError, ValueError, struct.error,
)
EMPTY_FRAME = codec.frame(0, b"")


def error(condition: str, description: str) -> Described:
    """An AMQP error, always with its three fields: the SDK reads the third."""
    return Described(ULong(ERROR), [Symbol(condition), description, {}])


def _state(code: int, *fields: Any) -> codec.Raw:
    return codec.Raw(codec.performative(code, *fields))


@dataclass(slots=True)
class Link:
    """A link as the broker sees it; `path` is the entity's."""

    session: "Session"
    name: str
    handle: int
    path: str
    #: True when the client sends and we receive.
    incoming: bool
    settles_on_send: bool = False
    credit: int = 0
    delivery_count: int = 0
    queue: Queue | None = None
    target: Queue | Topic | None = None
    partial: bytearray = field(default_factory=bytearray)
    partial_head: tuple[int, bytes, int, bool] | None = None
    received: int = 0

    def deliver(self, entry: Entry) -> None:
        """Send a message; the session remembers the lock for its settlement."""
        token = entry.token.bytes_le if entry.token else UUID(int=entry.sequence).bytes_le
        self.session.send(self, entry.encoded(), tag=token, settled=self.settles_on_send, entry=entry)


class Session:
    """A session: its links, and deliveries that wait for settlement."""

    def __init__(self, connection: "Connection", channel: int) -> None:
        self.connection, self.channel = connection, channel
        self.links: dict[int, Link] = {}
        self.next_delivery = FIRST_DELIVERY
        self.unsettled: dict[int, tuple[Queue, UUID]] = {}
        self.incoming = 0

    def answering(self, path: str) -> Link | None:
        """The link over which answers to requests at a path go: requests name no reply address."""
        return next((link for link in self.links.values() if link.path == path and not link.incoming), None)

    def send(self, link: Link, data: bytes, *, tag: bytes, settled: bool, entry: Entry | None = None) -> None:
        """Transfer a message, in as many frames as it takes."""
        delivery = self.next_delivery
        self.next_delivery += 1
        link.credit -= 1
        link.delivery_count += 1
        if entry is not None and entry.token is not None and link.queue is not None:
            self.unsettled[delivery] = (link.queue, entry.token)
        room = self.connection.peer_max_frame - 128
        for at in range(0, max(len(data), 1), room):
            more = at + room < len(data)
            head = codec.performative(
                TRANSFER, UInt(link.handle), UInt(delivery), tag, UInt(0), settled, more or None
            )
            self.connection.write(codec.frame(self.channel, head + data[at : at + room]))


class Connection(asyncio.Protocol):
    """The protocol of one TCP connection. All state changes happen on the event loop."""

    def __init__(
        self, namespace: Namespace, journal: Journal, gatekeeper: Gatekeeper, connections: "set[Connection]"
    ) -> None:
        self._namespace, self._journal = namespace, journal
        self._gatekeeper, self._connections = gatekeeper, connections
        self._buffer = bytearray()
        self._headers = 0
        self._transport: asyncio.Transport | None = None
        self._sessions: dict[int, Session] = {}
        self.peer_max_frame = 512
        self._principals: dict[str, float] = {}
        self._heartbeat: asyncio.TimerHandle | None = None
        self._out: list[bytes] = []
        self._flushing = False
        self._cbs_replies: dict[str, Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        if self._heartbeat:
            self._heartbeat.cancel()
        for session in self._sessions.values():
            for link in session.links.values():
                self._unlink(link)
        self._sessions.clear()

    def close(self) -> None:
        """End the connection from our side."""
        if self._transport is not None:
            self.write(codec.frame(0, codec.performative(CLOSE, error("amqp:connection:forced", "the broker stops"))))
            self._flush()
            self._transport.close()

    def write(self, data: bytes) -> None:
        """Queue bytes; everything of one turn of the event loop leaves together."""
        self._out.append(data)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        out, self._out = self._out, []
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            self._read()
        except _PEER_FAULTS as fault:
            self._give_up(fault)

    def _give_up(self, fault: BaseException) -> None:
        """The peer sent what makes no sense: tell it, and end this connection only."""
        self._buffer.clear()
        self.write(codec.frame(0, codec.performative(CLOSE, error("amqp:decode-error", type(fault).__name__))))
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _read(self) -> None:
        buffer = self._buffer
        while len(buffer) >= 8:
            if buffer[:4] == b"AMQP":
                self._on_header(bytes(buffer[:8]))
                del buffer[:8]
                continue
            size = int.from_bytes(buffer[:4], "big")
            if size < 8 or size > MAX_FRAME:
                raise codec.Malformed("a frame of this size")
            if len(buffer) < size:
                return
            frame = bytes(buffer[:size])
            del buffer[:size]
            body = frame[frame[4] * 4 :]
            if not body:
                continue
            if frame[5] == 1:
                self._on_sasl(body)
            else:
                self._on_frame(int.from_bytes(frame[6:8], "big"), body)

    def _on_header(self, header: bytes) -> None:
        if header == SASL_HEADER:
            self.write(SASL_HEADER)
            mechanisms = codec.performative(SASL_MECHANISMS, codec.symbols("ANONYMOUS", "MSSBCBS", "EXTERNAL"))
            self.write(codec.frame(0, mechanisms, kind=1))
        elif header == AMQP_HEADER:
            self.write(AMQP_HEADER)
        else:
            raise codec.Malformed("protocol header")

    def _on_sasl(self, body: bytes) -> None:
        code, _, _ = codec.fields_with_bytes(body)
        if code == SASL_INIT:
            self.write(codec.frame(0, codec.performative(SASL_OUTCOME, UByte(0)), kind=1))

    def _on_frame(self, channel: int, body: bytes) -> None:
        code, pairs, end = codec.fields_with_bytes(body)
        fields = _Fields(pairs)
        if code == OPEN:
            self._on_open(fields)
        elif code == CLOSE:
            self.write(codec.frame(0, codec.performative(CLOSE)))
            self._flush()
            if self._transport is not None:
                self._transport.close()
        elif code == BEGIN:
            self._on_begin(channel)
        elif (session := self._sessions.get(channel)) is None:
            # The SDK may send a detach after it has ended the session.
            return
        elif code == ATTACH:
            self._on_attach(session, fields)
        elif code == FLOW:
            self._on_flow(session, fields)
        elif code == TRANSFER:
            self._on_transfer(session, fields, body[end:])
        elif code == DISPOSITION:
            self._on_disposition(session, fields)
        elif code == DETACH:
            self._on_detach(session, fields)
        elif code == END:
            for link in session.links.values():
                self._unlink(link)
            del self._sessions[channel]
            self.write(codec.frame(channel, codec.performative(END)))

    def _on_open(self, fields: "_Fields") -> None:
        self.peer_max_frame = min(int(fields[2] or MAX_FRAME), MAX_FRAME)
        self.write(
            codec.frame(0, codec.performative(OPEN, "lotpro-servicebus", None, UInt(MAX_FRAME), None, UInt(240_000)))
        )
        if fields[4]:
            self._beat(int(fields[4]) / 2000)

    def _beat(self, every: float) -> None:
        self.write(EMPTY_FRAME)
        self._heartbeat = asyncio.get_running_loop().call_later(every, self._beat, every)

    def _on_begin(self, channel: int) -> None:
        self._sessions[channel] = Session(self, channel)
        answer = codec.performative(
            BEGIN, _ushort(channel), UInt(FIRST_DELIVERY), UInt(2**31 - 1), UInt(2**31 - 1), UInt(255)
        )
        self.write(codec.frame(channel, answer))

    def _on_attach(self, session: Session, fields: "_Fields") -> None:
        name, handle, client_receives = fields[0], int(fields[1]), bool(fields[2])
        source, target = fields[5], fields[6]
        address = _address(source if client_receives else target)
        link = Link(
            session, name, handle, address, incoming=not client_receives,
            settles_on_send=client_receives and fields[3] == 1,
        )
        refusal = self._bind(link)
        answer = [
            name, UInt(handle), not client_receives, fields[3], fields[4],
            fields.raw(5) if refusal is None else None, fields.raw(6) if refusal is None else None,
            None, None, UInt(0) if client_receives else None, ULong(MAX_MESSAGE), None, None,
            {Symbol("com.microsoft:max-message-batch-size"): ULong(MAX_MESSAGE)},
        ]
        self.write(codec.frame(session.channel, codec.performative(ATTACH, *answer)))
        if refusal is not None:
            self.write(codec.frame(session.channel, codec.performative(DETACH, UInt(handle), True, refusal)))
            return
        session.links[handle] = link
        if link.incoming:
            self._grant(link)
        elif link.queue is not None and not link.path.endswith("/$management"):
            link.queue.receivers.append(link)

    def _bind(self, link: Link) -> Described | None:
        """Find the link's entity; an error when there is none or it may not be used."""
        path = link.path
        if path == "$cbs":
            return None
        entity = path.removesuffix("/$management")
        managing = entity != path
        link.queue = self._namespace.source(entity)
        link.target = self._namespace.target(entity)
        if link.queue is None and link.target is None:
            return error("amqp:not-found", f"The messaging entity '{path}' could not be found.")
        now = time.time()
        holders = [holder for holder, ends in self._principals.items() if ends > now]
        sends, listens = self._gatekeeper.may_send, self._gatekeeper.may_listen
        allowed = any(
            (link.incoming and not managing and sends(holder, entity))
            or (not link.incoming and not managing and listens(holder, entity))
            or (managing and (sends(holder, entity) or listens(holder, entity)))
            for holder in holders
        )
        if not allowed:
            return error("amqp:unauthorized-access", f"No valid claim opens '{path}'.")
        if link.incoming and not managing and link.target is None:
            return error("amqp:not-allowed", f"'{path}' takes no messages.")
        if not link.incoming and not managing and link.queue is None:
            return error("amqp:not-allowed", f"'{path}' gives no messages.")
        return None

    def _grant(self, link: Link) -> None:
        link.credit = SENDER_CREDIT
        self.write(
            codec.frame(
                link.session.channel,
                codec.performative(
                    FLOW, UInt(link.session.incoming), UInt(2**31 - 1), UInt(link.session.next_delivery),
                    UInt(2**31 - 1), UInt(link.handle), UInt(link.received), UInt(SENDER_CREDIT),
                ),
            )
        )

    def _on_flow(self, session: Session, fields: "_Fields") -> None:
        if fields[4] is None or (link := session.links.get(int(fields[4]))) is None or link.incoming:
            return
        link.credit = int(fields[5] or 0) + int(fields[6] or 0) - link.delivery_count
        if link.queue is not None and not link.path.endswith("/$management"):
            link.queue.pump()
        if fields[8]:
            link.delivery_count += max(link.credit, 0)
            link.credit = 0
            self.write(
                codec.frame(
                    session.channel,
                    codec.performative(
                        FLOW, UInt(session.incoming), UInt(2**31 - 1), UInt(session.next_delivery), UInt(2**31 - 1),
                        UInt(link.handle), UInt(link.delivery_count), UInt(0), UInt(0), True,
                    ),
                )
            )

    def _on_transfer(self, session: Session, fields: "_Fields", payload: bytes) -> None:
        link = session.links[int(fields[0])]
        session.incoming += 1
        if link.partial_head is None:
            link.partial_head = (int(fields[1] or 0), fields[2] or b"", int(fields[3] or 0), bool(fields[4]))
        link.partial += payload
        if fields[5]:
            return
        delivery, _, kind, settled = link.partial_head
        data, link.partial, link.partial_head = bytes(link.partial), bytearray(), None
        link.received += 1
        link.credit -= 1
        if link.credit < SENDER_CREDIT // 2:
            self._grant(link)
        if link.path == "$cbs":
            self._on_cbs(session, data)
            self._settle(session, delivery, _state(ACCEPTED))
        elif link.path.endswith("/$management"):
            self._run(self._on_management(session, link, data))
            self._settle(session, delivery, _state(ACCEPTED))
        else:
            self._accept(session, link, delivery, kind, settled, data)

    def _accept(self, session: Session, link: Link, delivery: int, kind: int, settled: bool, data: bytes) -> None:
        """Take a message or a batch: acknowledged after the journal's commit, visible after it."""
        target = link.target
        assert target is not None
        if len(data) > MAX_MESSAGE:
            refusal = error("amqp:link:message-size-exceeded", "The message is too large.")
            self._settle(session, delivery, _state(REJECTED, refusal))
            return
        gate = target.gate if isinstance(target, Topic) else target
        parts = message.batched(data) if kind == message.BATCH_FORMAT else [data]
        for parsed in [message.parse(part) for part in parts]:
            if not gate.is_duplicate(parsed.message_id):
                target.put(parsed)
        self._run(self._acknowledge(session, target, delivery, settled))

    async def _acknowledge(self, session: Session, target: Queue | Topic, delivery: int, settled: bool) -> None:
        await self._journal.committed()
        if not settled:
            self._settle(session, delivery, _state(ACCEPTED))
        target.pump()

    def _settle(self, session: Session, delivery: int, state: codec.Raw) -> None:
        answer = codec.performative(DISPOSITION, True, UInt(delivery), UInt(delivery), True, state)
        self.write(codec.frame(session.channel, answer))

    def _on_disposition(self, session: Session, fields: "_Fields") -> None:
        first = int(fields[1])
        last = int(fields[2]) if fields[2] is not None else first
        outcome = fields[4]
        touched: list[Queue] = []
        for delivery in range(first, min(last, first + 10_000) + 1):
            held = session.unsettled.pop(delivery, None)
            if held is None:
                continue
            queue, token = held
            done = _settle_lock(queue, token, outcome)
            touched.append(queue)
            state = _confirmation(fields, outcome) if done else _LOCK_LOST
            self._run(self._confirm(session, delivery, state, queue, settled=bool(fields[3])))

    async def _confirm(self, session: Session, delivery: int, state: codec.Raw, queue: Queue, *, settled: bool) -> None:
        await self._journal.committed()
        if not settled:
            answer = codec.performative(DISPOSITION, False, UInt(delivery), UInt(delivery), True, state)
            self.write(codec.frame(session.channel, answer))
        queue.pump()
        if queue.dead_letters is not None:
            queue.dead_letters.pump()

    def _on_detach(self, session: Session, fields: "_Fields") -> None:
        handle = int(fields[0])
        link = session.links.pop(handle, None)
        if link is not None:
            self._unlink(link)
            self.write(codec.frame(session.channel, codec.performative(DETACH, UInt(handle), bool(fields[1]))))

    def _unlink(self, link: Link) -> None:
        """A receiver is gone: what it holds unsettled goes back when its locks end."""
        if link.queue is not None and link in link.queue.receivers:
            link.queue.receivers.remove(link)

    def _on_cbs(self, session: Session, data: bytes) -> None:
        request = management.read(data)
        token = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        try:
            holder, ends = self._gatekeeper.principal(token)
            self._principals[holder] = ends
            status, description = 202, "Accepted"
        except Denied as denied:
            status, description = 401, str(denied)
        reply = session.answering("$cbs")
        if reply is not None:
            answer = management.encode_answer(
                request, {"status-code": Int(status), "status-description": description}, None
            )
            session.send(reply, answer, tag=session.next_delivery.to_bytes(8, "big"), settled=True)

    async def _on_management(self, session: Session, link: Link, data: bytes) -> None:
        request = management.read(data)
        entity = link.queue or link.target
        assert entity is not None
        answer = management.answer(request, entity)
        await self._journal.committed()
        entity.pump()
        reply = session.answering(link.path)
        if reply is not None:
            session.send(reply, answer, tag=session.next_delivery.to_bytes(8, "big"), settled=True)

    def _run(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if isinstance(fault, _PEER_FAULTS):
            self._give_up(fault)
        elif fault is not None:
            raise fault


def _settle_lock(queue: Queue, token: UUID, outcome: Any) -> bool:
    """Do to a locked message what the outcome says; False when the lock was lost."""
    code = outcome.descriptor if isinstance(outcome, Described) else ACCEPTED
    fields = outcome.value if isinstance(outcome, Described) else []
    actions: dict[int, Callable[[], bool]] = {
        ACCEPTED: lambda: queue.complete(token),
        RELEASED: lambda: queue.abandon(token),
        MODIFIED: lambda: queue.defer(token) if len(fields) > 1 and fields[1] else queue.abandon(token),
        REJECTED: lambda: queue.bury(token, *_reason(fields)),
    }
    return actions[code]()


def _confirmation(fields: "_Fields", outcome: Any) -> codec.Raw:
    """The same outcome back; a rejection without its error, which would be read as a failure to dead-letter."""
    rejected = isinstance(outcome, Described) and outcome.descriptor == REJECTED
    return _state(REJECTED) if rejected else fields.raw(4) or _state(ACCEPTED)


_LOCK_LOST = _state(REJECTED, error("com.microsoft:message-lock-lost", "The lock on the message was lost."))


def _reason(fields: list[Any]) -> tuple[str, str]:
    given = fields[0].value if fields and isinstance(fields[0], Described) else []
    info = given[2] if len(given) > 2 and isinstance(given[2], dict) else {}
    texts = {_plain(key): _plain(value) for key, value in info.items()}
    return texts.get("DeadLetterReason", ""), texts.get("DeadLetterErrorDescription", "")


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _address(terminus: Any) -> str:
    """The entity's path in a source or target: the SDK writes `amqps://host/path` or the bare path."""
    address = terminus.value[0] if isinstance(terminus, Described) and terminus.value else ""
    text = address.decode() if isinstance(address, bytes) else str(address)
    if "://" in text:
        text = text.split("://", 1)[1].partition("/")[2]
    return text.strip("/")


def _ushort(value: int) -> codec.Raw:
    return codec.Raw(b"\x60" + value.to_bytes(2, "big"))


class _Fields:
    """A performative's fields by position; missing ones are None."""

    def __init__(self, pairs: list[tuple[Any, bytes]]) -> None:
        self._pairs = pairs

    def __getitem__(self, index: int) -> Any:
        return self._pairs[index][0] if index < len(self._pairs) else None

    def raw(self, index: int) -> codec.Raw | None:
        return codec.Raw(self._pairs[index][1]) if index < len(self._pairs) else None
