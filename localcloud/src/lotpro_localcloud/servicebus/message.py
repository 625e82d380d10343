"""A Service Bus message: split where the broker must read or write, otherwise the sender's own bytes."""

from dataclasses import dataclass
from typing import Any

from lotpro_localcloud.servicebus import codec
from lotpro_localcloud.servicebus.codec import Symbol, Timestamp, UInt

HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, PROPERTIES, APPLICATION, DATA = 0x70, 0x71, 0x72, 0x73, 0x74, 0x75
BATCH_FORMAT = 0x80013700


@dataclass(slots=True)
class Parsed:
    """The parts of an encoded message that the broker uses; `rest` is everything from the properties on."""

    time_to_live: int | None
    annotations: dict[Any, Any]
    message_id: str
    subject: str | None
    correlation_id: str | None
    application: dict[str, Any]
    rest: bytes

    @property
    def scheduled(self) -> float | None:
        """When it is to be enqueued, in seconds since 1970, or None for now."""
        at = self.annotations.get("x-opt-scheduled-enqueue-time")
        return int(at) / 1000 if at is not None else None


def parse(data: bytes) -> Parsed:
    """Read an encoded message; raises Malformed."""
    at, rest_from = 0, len(data)
    header: list[Any] = []
    annotations: dict[Any, Any] = {}
    properties: list[Any] = []
    application: dict[str, Any] = {}
    while at < len(data):
        descriptor, value, end = codec.section(data, at)
        if descriptor == HEADER:
            header = value
        elif descriptor == ANNOTATIONS:
            annotations = value
        elif descriptor >= PROPERTIES:
            rest_from = min(rest_from, at)
            if descriptor == PROPERTIES:
                properties = value
            elif descriptor == APPLICATION:
                application = {str(key): item for key, item in value.items()}
        at = end
    return Parsed(
        time_to_live=_item(header, 2),
        annotations=dict(annotations),
        message_id=_text(_item(properties, 0)) or "",
        subject=_text(_item(properties, 3)),
        correlation_id=_text(_item(properties, 5)),
        application=application,
        rest=data[rest_from:],
    )


def batched(data: bytes) -> list[bytes]:
    """The messages inside a message of the batch format, one per data section; raises Malformed."""
    messages, at = [], 0
    while at < len(data):
        descriptor, value, at = codec.section(data, at)
        if descriptor == DATA:
            messages.append(value)
    return messages


def _item(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else None if value is None else str(value)


def delivered(
    rest: bytes,
    *,
    delivery_count: int,
    time_to_live: int | None,
    sequence: int,
    enqueued: float,
    locked_until: float | None,
    state: int = 0,
    dead_letter_source: str | None = None,
) -> bytes:
    """The bytes a receiver gets: our header and annotations before the sender's own sections."""
    annotations: dict[Any, Any] = {
        Symbol("x-opt-sequence-number"): sequence,
        Symbol("x-opt-enqueued-time"): Timestamp(enqueued * 1000),
        Symbol("x-opt-enqueue-sequence-number"): sequence,
        Symbol("x-opt-message-state"): codec.Int(state),
    }
    if locked_until is not None:
        annotations[Symbol("x-opt-locked-until")] = Timestamp(locked_until * 1000)
    if dead_letter_source:
        annotations[Symbol("x-opt-deadletter-source")] = dead_letter_source
    ttl = UInt(time_to_live) if time_to_live is not None else None
    header = codec.performative(HEADER, True, None, ttl, None, UInt(delivery_count))
    return header + b"\x00\x53" + bytes([ANNOTATIONS]) + codec.encode(annotations) + rest


def with_application(rest: bytes, more: dict[str, str]) -> bytes:
    """The same sections with application properties added (dead-letter reason and description)."""
    out, at, done = b"", 0, False
    while at < len(rest):
        value, end = codec.decode(rest, at)
        if value.descriptor == APPLICATION:
            out += b"\x00\x53" + bytes([APPLICATION]) + codec.encode(value.value | more)
            done = True
        else:
            if value.descriptor > APPLICATION and not done:
                out += b"\x00\x53" + bytes([APPLICATION]) + codec.encode(dict(more))
                done = True
            out += rest[at:end]
        at = end
    return out
