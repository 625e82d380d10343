"""AMQP 1.0 types on the wire (OASIS AMQP 1.0, part 1): decoding to plain values, encoding from typed ones."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID


class Malformed(Exception):
    """The bytes are no AMQP."""


class Symbol(str):
    """An AMQP symbol."""

    __slots__ = ()


class UByte(int):
    """An unsigned byte."""


class UInt(int):
    """An unsigned 32-bit integer."""


class ULong(int):
    """An unsigned 64-bit integer."""


class Int(int):
    """A signed 32-bit integer."""


class Timestamp(int):
    """Milliseconds since 1970-01-01 UTC."""


class Raw(bytes):
    """An encoded value, passed on as it is."""


@dataclass(frozen=True, slots=True)
class Described:
    """A value with a descriptor."""

    descriptor: Any
    value: Any


_FIXED: dict[int, tuple[int, Callable[[bytes], Any]]] = {
    0x40: (0, lambda _: None),
    0x41: (0, lambda _: True),
    0x42: (0, lambda _: False),
    0x43: (0, lambda _: UInt(0)),
    0x44: (0, lambda _: ULong(0)),
    0x45: (0, lambda _: []),
    0x50: (1, lambda b: UByte(b[0])),
    0x51: (1, lambda b: struct.unpack("!b", b)[0]),
    0x52: (1, lambda b: UInt(b[0])),
    0x53: (1, lambda b: ULong(b[0])),
    0x54: (1, lambda b: Int(struct.unpack("!b", b)[0])),
    0x55: (1, lambda b: struct.unpack("!b", b)[0]),
    0x56: (1, lambda b: b[0] == 1),
    0x60: (2, lambda b: struct.unpack("!H", b)[0]),
    0x61: (2, lambda b: struct.unpack("!h", b)[0]),
    0x70: (4, lambda b: UInt(int.from_bytes(b, "big"))),
    0x71: (4, lambda b: Int(struct.unpack("!i", b)[0])),
    0x72: (4, lambda b: struct.unpack("!f", b)[0]),
    0x73: (4, lambda b: b.decode("utf-32-be")),
    0x74: (4, bytes),
    0x80: (8, lambda b: ULong(int.from_bytes(b, "big"))),
    0x81: (8, lambda b: struct.unpack("!q", b)[0]),
    0x82: (8, lambda b: struct.unpack("!d", b)[0]),
    0x83: (8, lambda b: Timestamp(struct.unpack("!q", b)[0])),
    0x84: (8, bytes),
    0x94: (16, bytes),
    0x98: (16, lambda b: UUID(bytes=b)),
}
_VARIABLE: dict[int, tuple[int, Callable[[bytes], Any]]] = {
    0xA0: (1, bytes),
    0xB0: (4, bytes),
    0xA1: (1, lambda b: b.decode()),
    0xB1: (4, lambda b: b.decode()),
    0xA3: (1, lambda b: Symbol(b.decode("ascii"))),
    0xB3: (4, lambda b: Symbol(b.decode("ascii"))),
}
_MAX_DEPTH = 32
#: Header, delivery annotations, annotations, properties, application properties, data.
_SECTION_SHAPES = {0x70: list, 0x71: dict, 0x72: dict, 0x73: list, 0x74: dict, 0x75: bytes}


def decode(data: bytes, at: int = 0, depth: int = 0) -> tuple[Any, int]:
    """The value that starts at an offset, and the offset after it; raises Malformed."""
    try:
        return _decode(data, at, depth)
    except (IndexError, struct.error, UnicodeDecodeError, TypeError) as error:
        raise Malformed(type(error).__name__) from error


def _decode(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > _MAX_DEPTH:
        raise Malformed("nested too deeply")
    code = data[at]
    at += 1
    if code == 0x00:
        descriptor, at = _decode(data, at, depth + 1)
        value, at = _decode(data, at, depth + 1)
        return Described(descriptor, value), at
    return _decode_as(code, data, at, depth)


def _decode_as(code: int, data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if fixed := _FIXED.get(code):
        size, make = fixed
        return make(_slice(data, at, size)), at + size
    if variable := _VARIABLE.get(code):
        width, make = variable
        size = int.from_bytes(_slice(data, at, width), "big")
        at += width
        return make(_slice(data, at, size)), at + size
    if code in (0xC0, 0xD0, 0xC1, 0xD1):
        width = 1 if code < 0xD0 else 4
        count = int.from_bytes(_slice(data, at + width, width), "big")
        at += 2 * width
        items = []
        for _ in range(count):
            item, at = _decode(data, at, depth + 1)
            items.append(item)
        if code in (0xC0, 0xD0):
            return items, at
        if count % 2:
            raise Malformed("a map with a key that has no value")
        return dict(zip(map(_hashable, items[::2]), items[1::2], strict=True)), at
    if code in (0xE0, 0xF0):
        width = 1 if code == 0xE0 else 4
        count = int.from_bytes(_slice(data, at + width, width), "big")
        at += 2 * width
        item_code, at = data[at], at + 1
        if item_code == 0x00:
            _, at = _decode(data, at, depth + 1)
            item_code, at = data[at], at + 1
        items = []
        if count > len(data):
            raise Malformed("an array longer than its frame")
        for _ in range(count):
            item, at = _decode_as(item_code, data, at, depth + 1)
            items.append(item)
        return items, at
    raise Malformed(f"type code {code:#x}")


def _hashable(key: Any) -> Any:
    if isinstance(key, list | dict):
        raise Malformed("a map key that is no scalar")
    return key


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise Malformed("cut short")
    return data[at : at + size]


def section(data: bytes, at: int) -> tuple[int, Any, int]:
    """A message's section as (descriptor, value, offset after it); raises Malformed."""
    described, end = decode(data, at)
    if not isinstance(described, Described) or not isinstance(described.descriptor, int):
        raise Malformed("a section without a numeric descriptor")
    shape = _SECTION_SHAPES.get(described.descriptor)
    if shape is not None and not isinstance(described.value, shape):
        raise Malformed(f"section {described.descriptor:#x} with a value of the wrong type")
    return described.descriptor, described.value, end


def encode(value: Any) -> bytes:
    """The encoding of a value; a plain int is a long, a plain list a list."""
    if value is None:
        return b"\x40"
    if value is True:
        return b"\x41"
    if value is False:
        return b"\x42"
    return _ENCODERS[type(value)](value)


def _encode_uint(value: int) -> bytes:
    if value == 0:
        return b"\x43"
    return struct.pack("!BB", 0x52, value) if value < 256 else struct.pack("!BI", 0x70, value)


def _encode_ulong(value: int) -> bytes:
    if value == 0:
        return b"\x44"
    return struct.pack("!BB", 0x53, value) if value < 256 else struct.pack("!BQ", 0x80, value)


def _encode_long(value: int) -> bytes:
    return struct.pack("!Bb", 0x55, value) if -128 <= value < 128 else struct.pack("!Bq", 0x81, value)


def _sized(short: int, long: int, body: bytes) -> bytes:
    head = struct.pack("!BB", short, len(body)) if len(body) < 256 else struct.pack("!BI", long, len(body))
    return head + body


def _encode_list(items: list[Any]) -> bytes:
    if not items:
        return b"\x45"
    return _compound(0xC0, 0xD0, len(items), b"".join(map(encode, items)))


def _encode_map(items: dict[Any, Any]) -> bytes:
    return _compound(0xC1, 0xD1, 2 * len(items), b"".join(encode(k) + encode(v) for k, v in items.items()))


def _compound(short: int, long: int, count: int, body: bytes) -> bytes:
    if len(body) < 255 and count < 256:
        return struct.pack("!BBB", short, len(body) + 1, count) + body
    return struct.pack("!BII", long, len(body) + 4, count) + body


def symbols(*names: str) -> Raw:
    """An array of symbols."""
    body = b"".join(struct.pack("!B", len(name)) + name.encode() for name in names)
    return Raw(struct.pack("!BBBB", 0xE0, len(body) + 2, len(names), 0xA3) + body)


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    int: _encode_long,
    float: lambda v: struct.pack("!Bd", 0x82, v),
    str: lambda v: _sized(0xA1, 0xB1, v.encode()),
    bytes: lambda v: _sized(0xA0, 0xB0, v),
    bytearray: lambda v: _sized(0xA0, 0xB0, bytes(v)),
    Symbol: lambda v: _sized(0xA3, 0xB3, v.encode()),
    UByte: lambda v: struct.pack("!BB", 0x50, v),
    UInt: _encode_uint,
    ULong: _encode_ulong,
    Int: lambda v: struct.pack("!Bi", 0x71, v),
    Timestamp: lambda v: struct.pack("!Bq", 0x83, v),
    UUID: lambda v: b"\x98" + v.bytes,
    Raw: bytes,
    list: _encode_list,
    dict: _encode_map,
    Described: lambda v: b"\x00" + encode(v.descriptor) + encode(v.value),
}


def performative(code: int, *fields: Any) -> bytes:
    """A performative or section: a described list under a small descriptor; trailing nulls are left out."""
    kept = list(fields)
    while kept and kept[-1] is None:
        kept.pop()
    return b"\x00\x53" + bytes([code]) + _encode_list(kept)


def fields_with_bytes(data: bytes, at: int = 0) -> tuple[int, list[tuple[Any, bytes]], int]:
    """A described list as (descriptor, [(value, its encoding)], offset after it); raises Malformed."""
    try:
        return _fields_with_bytes(data, at)
    except (IndexError, TypeError, ValueError) as error:
        raise Malformed(type(error).__name__) from error


def _fields_with_bytes(data: bytes, at: int) -> tuple[int, list[tuple[Any, bytes]], int]:
    if data[at] != 0x00:
        raise Malformed("no described type")
    descriptor, at = decode(data, at + 1)
    code = data[at]
    if code == 0x45:
        return int(descriptor), [], at + 1
    if code not in (0xC0, 0xD0):
        raise Malformed("no list")
    width = 1 if code == 0xC0 else 4
    count = int.from_bytes(_slice(data, at + 1 + width, width), "big")
    at += 1 + 2 * width
    fields = []
    for _ in range(count):
        value, end = decode(data, at)
        fields.append((value, data[at:end]))
        at = end
    return int(descriptor), fields, at


def frame(channel: int, body: bytes, kind: int = 0) -> bytes:
    """A frame: AMQP (0) or SASL (1)."""
    return struct.pack("!IBBH", len(body) + 8, 2, kind, channel) + body
