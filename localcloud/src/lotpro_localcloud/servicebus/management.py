"""Requests to an entity's `$management`: locks, schedules, peeking, deferred messages, rules."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lotpro_localcloud.servicebus import codec, message
from lotpro_localcloud.servicebus.codec import Described, Int, Symbol, Timestamp, ULong
from lotpro_localcloud.servicebus.entities import Queue, Topic

VALUE, DATA = 0x77, 0x75


@dataclass(frozen=True, slots=True)
class Request:
    """A request: its message id as sent, its application properties and its body."""

    message_id: Any
    properties: dict[str, Any]
    body: Any


def read(data: bytes) -> Request:
    """Read a request message; raises Malformed."""
    message_id, properties, body, at = None, {}, None, 0
    while at < len(data):
        descriptor, value, at = codec.section(data, at)
        if descriptor == message.PROPERTIES and value:
            message_id = value[0]
        elif descriptor == message.APPLICATION:
            properties = {str(key): item for key, item in value.items()}
        elif descriptor in (VALUE, DATA):
            body = value
    return Request(message_id, properties, body)


def encode_answer(request: Request, properties: dict[str, Any], body: Any) -> bytes:
    """A response message, correlated by the request's own message id."""
    return (
        codec.performative(message.PROPERTIES, None, None, None, None, None, request.message_id)
        + codec.encode(Described(ULong(message.APPLICATION), properties))
        + codec.encode(Described(ULong(VALUE), body))
    )


def answer(request: Request, entity: Queue | Topic) -> bytes:
    """Carry out a request; the caller commits the journal before the answer is sent."""
    operation = str(request.properties.get("operation", "")).removeprefix("com.microsoft:")
    body = request.body if isinstance(request.body, dict) else {}
    work = _OPERATIONS.get(operation)
    if work is None:
        return _failed(request, 501, "amqp:not-implemented", f"operation {operation} is not supported")
    return work(request, {str(key): value for key, value in body.items()}, entity)


def _done(request: Request, body: dict[str, Any], status: int = 200) -> bytes:
    return encode_answer(request, {"statusCode": Int(status), "statusDescription": "OK"}, body)


def _failed(request: Request, status: int, condition: str, description: str) -> bytes:
    properties = {"statusCode": Int(status), "statusDescription": description, "errorCondition": Symbol(condition)}
    return encode_answer(request, properties, None)


def _renew(request: Request, body: dict[str, Any], entity: Queue | Topic) -> bytes:
    until = [entity.renew(token) if isinstance(entity, Queue) else None for token in body.get("lock-tokens", ())]
    if not until or None in until:
        return _failed(request, 410, "com.microsoft:message-lock-lost", "The lock on the message was lost.")
    moments = codec.Raw(_timestamps([int(moment * 1000) for moment in until if moment is not None]))
    return _done(request, {"expirations": moments})


def _timestamps(values: list[int]) -> bytes:
    body = b"".join(codec.encode(Timestamp(value))[1:] for value in values)
    return b"\xf0" + (len(body) + 5).to_bytes(4, "big") + len(values).to_bytes(4, "big") + b"\x83" + body


def _longs(values: list[int]) -> bytes:
    body = b"".join(value.to_bytes(8, "big", signed=True) for value in values)
    return b"\xf0" + (len(body) + 5).to_bytes(4, "big") + len(values).to_bytes(4, "big") + b"\x81" + body


def _schedule(request: Request, body: dict[str, Any], entity: Queue | Topic) -> bytes:
    numbers = [entity.put(message.parse(bytes(item["message"]))) for item in body.get("messages", ())]
    return _done(request, {"sequence-numbers": codec.Raw(_longs(numbers))})


def _cancel(request: Request, body: dict[str, Any], entity: Queue | Topic) -> bytes:
    cancelled = [entity.cancel(int(number)) for number in body.get("sequence-numbers", ())]
    if not all(cancelled):
        return _failed(request, 404, "com.microsoft:message-not-found", "There is no such scheduled message.")
    return _done(request, {})


def _peek(request: Request, body: dict[str, Any], entity: Queue | Topic) -> bytes:
    if not isinstance(entity, Queue):
        return _failed(request, 400, "amqp:not-allowed", "A topic cannot be peeked.")
    start, most = int(body.get("from-sequence-number", 0)), int(body.get("message-count", 1))
    found = sorted(number for number in entity.entries if number >= start)[:most]
    if not found:
        return _done(request, {"messages": []}, status=204)
    entries = [entity.entries[number] for number in found]
    return _done(request, {"messages": [{"message": e.encoded(state=1 if e.deferred else 0)} for e in entries]})


def _receive_deferred(request: Request, body: dict[str, Any], entity: Queue | Topic) -> bytes:
    numbers = [int(number) for number in body.get("sequence-numbers", ())]
    taken = [entity.take_deferred(number) if isinstance(entity, Queue) else None for number in numbers]
    if not taken or None in taken:
        return _failed(request, 404, "com.microsoft:message-not-found", "There is no such deferred message.")
    return _done(
        request,
        {"messages": [{"message": e.encoded(state=1), "lock-token": e.token} for e in taken if e is not None]},
    )


def _update_disposition(request: Request, body: dict[str, Any], entity: Queue | Topic) -> bytes:
    status = str(body.get("disposition-status", ""))
    tokens = body.get("lock-tokens", ())
    done = [isinstance(entity, Queue) and _dispose(entity, token, status, body) for token in tokens]
    if not done or not all(done):
        return _failed(request, 410, "com.microsoft:message-lock-lost", "The lock on the message was lost.")
    return _done(request, {})


def _dispose(queue: Queue, token: UUID, status: str, body: dict[str, Any]) -> bool:
    if status == "suspended":
        return queue.bury(
            token, str(body.get("deadletter-reason") or ""), str(body.get("deadletter-description") or "")
        )
    return {"completed": queue.complete, "abandoned": queue.abandon, "defered": queue.defer}[status](token)


_OPERATIONS = {
    "renew-lock": _renew,
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel,
    "peek-message": _peek,
    "receive-by-sequence-number": _receive_deferred,
    "update-disposition": _update_disposition,
}
