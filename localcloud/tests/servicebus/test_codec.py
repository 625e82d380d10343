"""AMQP values survive the way over the wire, and bytes that are none are refused without harm."""

import socket
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from localcloud.tests.servicebus.conftest import Bus, receiving, sending
from lotpro_localcloud.servicebus import codec, management, message

scalars: some.SearchStrategy[Any] = some.one_of(
    some.none(), some.booleans(), some.integers(-(2**63), 2**63 - 1), some.text(), some.binary(), some.uuids(),
    some.floats(allow_nan=False), some.integers(0, 2**32 - 1).map(codec.UInt),
    some.integers(0, 2**64 - 1).map(codec.ULong), some.integers(0, 255).map(codec.UByte),
    some.integers(-(2**31), 2**31 - 1).map(codec.Int), some.integers(-(2**63), 2**63 - 1).map(codec.Timestamp),
    some.text(some.characters(max_codepoint=127)).map(codec.Symbol),
)
values: some.SearchStrategy[Any] = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=300) | some.dictionaries(some.text(), inner, max_size=20),
    max_leaves=50,
)
HEADERS = (b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00", b"")
OPENING = HEADERS[0] + codec.frame(0, codec.performative(0x10, "fuzz", None)) + codec.frame(
    0, codec.performative(0x11, None, codec.UInt(0), codec.UInt(1), codec.UInt(1))
)


@given(values)
@settings(max_examples=200, deadline=None)
def test_a_value_comes_back_as_it_went(value: Any) -> None:
    encoded = codec.encode(value)
    assert codec.decode(encoded) == (value, len(encoded))


@given(values, some.data())
@settings(max_examples=100, deadline=None)
def test_a_value_cut_short_is_refused(value: Any, data: some.DataObject) -> None:
    encoded = codec.encode(value)
    length = data.draw(some.integers(0, len(encoded) - 1))
    with pytest.raises(codec.Malformed):
        codec.decode(encoded[:length])


@given(some.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_no_bytes_raise_anything_but_malformed(data: bytes) -> None:
    for read in (codec.decode, codec.fields_with_bytes, message.parse, message.batched, management.read):
        try:
            read(data)
        except codec.Malformed:
            continue


def test_a_list_that_claims_more_than_its_frame_holds_is_refused() -> None:
    with pytest.raises(codec.Malformed):
        codec.decode(b"\xd0\x00\x00\x00\x08\xff\xff\xff\xff")
    with pytest.raises(codec.Malformed):
        codec.decode(b"\xf0\x00\x00\x00\x09\x7f\xff\xff\xff\x40")
    with pytest.raises(codec.Malformed):
        codec.decode(b"\x00" * 5_000)


@given(
    some.sampled_from((*HEADERS, OPENING)),
    some.lists(some.one_of(
        some.binary(max_size=100),
        some.binary(max_size=60).map(lambda body: codec.frame(0, body)),
        some.tuples(some.integers(0x10, 0x18), some.lists(scalars, max_size=8)).map(
            lambda pair: codec.frame(0, codec.performative(pair[0], *pair[1]))
        ),
    ), max_size=6),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_on_its_port_ends_at_most_that_connection(bus: Bus, head: bytes, pieces: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", bus.port), timeout=5) as connection:
        try:
            connection.sendall(head + b"".join(pieces))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        except ConnectionError:
            pass
    assert bus.process.popen.poll() is None


async def test_after_garbage_the_broker_serves_and_has_logged_no_fault(bus: Bus, client: ServiceBusClient) -> None:
    with socket.create_connection(("127.0.0.1", bus.port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connection.recv(1) != b"G"
    async with sending(client, "garbage") as sender, receiving(client, "garbage") as receiver:
        await sender.send_messages(ServiceBusMessage("fine"))
        (found,) = await receiver.receive_messages(max_wait_time=10)
        await receiver.complete_message(found)
    assert "Traceback" not in (bus.folder / "broker.log").read_text()
