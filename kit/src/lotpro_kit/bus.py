"""Azure Service Bus: sending events to topics and handling them from subscriptions. The only user of its SDK."""

import asyncio
import json
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from azure.core.credentials_async import AsyncTokenCredential
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, TransportType
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusError
from google.protobuf import descriptor_pool
from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import Message

from lotpro.options.v1 import options_pb2
from lotpro_kit import protojson, telemetry

#: Azure detaches links after 10 idle minutes; a receive that waits less than that keeps the link its own.
WAIT_SECONDS = 60
#: Messages that the link holds ready, locked to us; handlers at work side by side. Both keep a message well under its
#: lock of 60 s.
PREFETCH = 50
AT_ONCE = 16
#: So short a wait that the SDK answers with what its buffer holds and does not read the socket.
AT_HAND_SECONDS = 1e-6
MAX_DELIVERIES = 10
#: Events in one message, where their contract allows bursts (CloudEvents 1.0, JSON batch format): a message costs the
#: SDK a millisecond at each end, whatever is in it. Well below the 256 KB of a message.
BURST, BURST_BYTES = 100, 150_000
BURST_CONTENT = "application/cloudevents-batch+json"
#: How long the one who reads bursts lets events gather, in seconds, and how many it takes at once.
GATHER_SECONDS = 0.005
MOST_AT_ONCE = 500
#: How long the SDK reads from a silent link before it looks around. Its own 0.2 s keep an idle service busy; giving a
#: message back waits for the read to end, and closing for two.
QUIET_SECONDS = 0.5
#: A receiver is made anew after an error, with this doubling pause.
MAX_PAUSE_SECONDS = 30

log = telemetry.logger(__name__)


class NotSent(Exception):
    """The bus did not take the events; none of the batch may be assumed sent."""


class Unreadable(Exception):
    """A message that is no event of ours; it goes to the dead letters."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event on its way: CloudEvents 1.0 attributes and a protobuf-JSON body."""

    id: UUID
    type: str
    source: str
    time: datetime
    body: str
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known of an event besides its body."""

    id: UUID
    type: str
    source: str
    time: datetime
    attempt: int


Handler = Callable[[Any, Delivery], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Consumer:
    """The handlers of one subscription, by the event's message class. Other event types there are passed over."""

    topic: str
    handlers: Mapping[type[Message], Handler]


#: Handles many events at once; answers for each None, or why it is none that can be handled. What it raises is about
#: all of them: they come again.
BurstHandler = Callable[[Sequence[tuple[Any, Delivery]]], Awaitable[Sequence[Unreadable | None]]]


@dataclass(frozen=True, slots=True)
class BurstConsumer:
    """The handler of a subscription whose events may come in bursts, MOST_AT_ONCE and one burst more at a time.

    It is begun anew while it is still at work on what came before. Events are only received inside of `turn`: where one
    process at a time may write, the others wait there.
    """

    topic: str
    message: type[Message]
    handle: BurstHandler
    turn: Callable[[], AbstractAsyncContextManager[None]]


class Bus:
    """One service's connections to its namespace; close it when done."""

    def __init__(
        self, *, namespace: str, credential: AsyncTokenCredential, endpoint: str = "", ca_bundle: str = "",
    ) -> None:
        """`endpoint` (`sb://host:port`) and `ca_bundle` say where the namespace is reached when not at its own name."""
        where: dict[str, Any] = {}
        if endpoint:
            where["custom_endpoint_address"] = endpoint
        if ca_bundle:
            where["connection_verify"] = ca_bundle
        self._client = ServiceBusClient(
            fully_qualified_namespace=namespace,
            credential=credential,
            transport_type=TransportType.Amqp,
            retry_total=2,
            **where,
        )

    def sender(self) -> "Sender":
        return Sender(self._client)

    def receiver(self, topic: str, subscription: str, *, prefetch: int = PREFETCH) -> ServiceBusReceiver:
        # Told here and not to the client, whose own the SDK overrides with its default for each receiver. The SDK's
        # keep-alive is off: a receiver of ours reads all the time, and a second reader would wake it every second, read
        # what is its, and hold it up for a second when it closes.
        return self._client.get_subscription_receiver(
            topic, subscription, prefetch_count=prefetch, socket_timeout=QUIET_SECONDS, keep_alive=0
        )

    async def close(self) -> None:
        await self._client.close()


class Sender:
    """Sends to topics, keeping one link per topic."""

    def __init__(self, client: ServiceBusClient) -> None:
        self._client = client
        self._links: dict[str, ServiceBusSender] = {}

    async def send(self, topic: str, events: Sequence[Outgoing]) -> None:
        """Send all events in as few batches as fit; raises NotSent when the bus did not confirm every one."""
        try:
            link = self._links.get(topic) or self._links.setdefault(topic, self._client.get_topic_sender(topic))
            batch = await link.create_message_batch()
            for message in _messages(events):
                try:
                    batch.add_message(message)
                except MessageSizeExceededError:
                    await link.send_messages(batch)
                    batch = await link.create_message_batch()
                    batch.add_message(message)
            await link.send_messages(batch)
        except (ServiceBusError, OSError, ValueError) as error:
            await self._drop(topic)
            raise NotSent(type(error).__name__) from error

    async def _drop(self, topic: str) -> None:
        link = self._links.pop(topic, None)
        if link is not None:
            await _close(link)

    async def close(self) -> None:
        for topic in list(self._links):
            await self._drop(topic)


def _messages(events: Sequence[Outgoing]) -> Iterator[ServiceBusMessage]:
    """Events as messages: each one its own, but for those that may travel in bursts."""
    burst: list[Outgoing] = []
    size = 0
    for event in events:
        if not _travels_in_bursts(event.type):
            yield _message(event)
            continue
        if burst and (len(burst) == BURST or size + len(event.body) > BURST_BYTES):
            yield _burst(burst)
            burst, size = [], 0
        burst.append(event)
        size += len(event.body)
    if burst:
        yield _burst(burst)


@cache
def _travels_in_bursts(event_type: str) -> bool:
    try:
        options = descriptor_pool.Default().FindMessageTypeByName(event_type).GetOptions()
    except KeyError:
        return False
    return bool(options.Extensions[options_pb2.bursts])


def _burst(events: Sequence[Outgoing]) -> ServiceBusMessage:
    """One message of several events; its id is the first one's. One alone goes as every event does."""
    if len(events) == 1:
        return _message(events[0])
    entries = ",".join(
        f'{{"specversion":"1.0","id":"{event.id}","type":"{event.type}","source":"{event.source}"'
        f',"time":"{event.time.isoformat()}","traceparent":"{event.traceparent}","data":{event.body}}}'
        for event in events
    )
    return ServiceBusMessage(f"[{entries}]", message_id=str(events[0].id), content_type=BURST_CONTENT)


def _message(event: Outgoing) -> ServiceBusMessage:
    properties: dict[str | bytes, Any] = {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": str(event.id),
        "cloudEvents:type": event.type,
        "cloudEvents:source": event.source,
        "cloudEvents:time": event.time.isoformat(),
    }
    if event.traceparent:
        properties["cloudEvents:traceparent"] = event.traceparent
    return ServiceBusMessage(
        event.body, message_id=str(event.id), content_type="application/json", application_properties=properties,
    )


class Subscriber:
    """Handles the events of one subscription until stopped: settle after the handler's transaction committed."""

    def __init__(self, bus: Bus, consumer: Consumer, *, subscription: str) -> None:
        self._bus = bus
        self._consumer = consumer
        self._subscription = subscription
        self._types = {message.DESCRIPTOR.full_name: message for message in consumer.handlers}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Receive and handle until `stop`; a broken link is replaced after a pause."""
        pause = 0.5
        while not self._stopping.is_set():
            receiver = self._bus.receiver(self._consumer.topic, self._subscription)
            try:
                async with receiver:
                    pause = 0.5
                    await self._receive(receiver)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("receiver lost", topic=self._consumer.topic, error=type(error).__name__)
                await asyncio.sleep(pause + random.random() * pause)  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, MAX_PAUSE_SECONDS)

    def stop(self) -> None:
        """Finish the batch at hand, then end `run`."""
        self._stopping.set()

    async def _receive(self, receiver: ServiceBusReceiver) -> None:
        """Wait for one message, take along what else lies ready, handle these side by side, settle one after another.

        One at a time, because asking the SDK to wait for several makes it wait 200 ms for the last of them; and
        settled by the one who receives, because SDK calls on the same link that read from it at once hold each other
        up by as much.
        """
        returning: set[asyncio.Task[None]] = set()
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                receiving = asyncio.ensure_future(
                    receiver.receive_messages(max_message_count=1, max_wait_time=WAIT_SECONDS)
                )
                await asyncio.wait({receiving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not receiving.done():
                    receiving.cancel()
                    return
                messages = receiving.result()
                if messages:
                    messages += await receiver.receive_messages(AT_ONCE - 1, max_wait_time=AT_HAND_SECONDS)
                failures = await asyncio.gather(*(self._failure_of(message) for message in messages))
                for message, failure in zip(messages, failures, strict=True):
                    if failure is None:
                        await receiver.complete_message(message)
                    else:
                        task = asyncio.create_task(self._give_back(receiver, message, failure))
                        returning.add(task)
                        task.add_done_callback(returning.discard)
        finally:
            stopping.cancel()
            for task in returning:
                task.cancel()

    async def _failure_of(self, message: ServiceBusReceivedMessage) -> Exception | None:
        """Handle a message; None when that went well."""
        try:
            await self._dispatch(message)
        except Exception as error:
            return error
        return None

    async def _give_back(
        self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage, failure: Exception
    ) -> None:
        """To the dead letters, when it is no event or has failed too often; otherwise back, after a doubling pause."""
        if isinstance(failure, Unreadable):
            await receiver.dead_letter_message(message, reason="unreadable", error_description=str(failure))
            return
        attempt = (message.delivery_count or 0) + 1
        log.warning(
            "event not handled", topic=self._consumer.topic, event_id=str(message.message_id), attempt=attempt,
            error=type(failure).__name__, at=telemetry.place_of(failure),
        )
        if attempt >= MAX_DELIVERIES:
            await receiver.dead_letter_message(
                message, reason="failed", error_description=f"{type(failure).__name__} after {attempt} deliveries"
            )
            return
        await asyncio.sleep(min(0.1 * 2**attempt, 20))
        await receiver.abandon_message(message)

    async def _dispatch(self, message: ServiceBusReceivedMessage) -> None:
        properties = {_text(key): _text(value) for key, value in (message.application_properties or {}).items()}
        event_type = self._types.get(properties.get("cloudEvents:type", ""))
        if event_type is None:
            return
        try:
            delivery = Delivery(
                id=UUID(properties["cloudEvents:id"]),
                type=properties["cloudEvents:type"],
                source=properties.get("cloudEvents:source", ""),
                time=datetime.fromisoformat(properties["cloudEvents:time"]),
                attempt=(message.delivery_count or 0) + 1,
            )
            event = Parse(b"".join(message.body), event_type(), ignore_unknown_fields=True)
        except (KeyError, ValueError, ParseError, json.JSONDecodeError) as error:
            raise Unreadable(type(error).__name__) from error
        handler = self._consumer.handlers[event_type]
        with telemetry.span(f"handle {delivery.type}", traceparent=properties.get("cloudEvents:traceparent", "")):
            await handler(event, delivery)


class BurstSubscriber:
    """Handles what comes to a subscription in bursts until stopped: settled after the handler's transaction committed.

    Whoever cannot handle them now (a lost database) gives everything back and leaves its turn; who has the next turn
    receives them again.
    """

    def __init__(self, bus: Bus, consumer: BurstConsumer, *, subscription: str) -> None:
        self._bus, self._consumer, self._subscription = bus, consumer, subscription
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Wait for the turn, receive and handle until `stop`; what breaks is begun anew after a pause."""
        working: asyncio.Task[None] | None = None
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                working = asyncio.ensure_future(self._take_turn())
                await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    return
                if error := working.exception():
                    log.warning("turn lost", topic=self._consumer.topic, error=type(error).__name__,
                                at=telemetry.place_of(error))
                    await asyncio.sleep(0.5 + random.random())  # noqa: S311 - jitter, not a secret
        finally:
            stopping.cancel()
            if working is not None:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    def stop(self) -> None:
        """Finish what is at hand, then end `run`."""
        self._stopping.set()

    async def _take_turn(self) -> None:
        async with self._consumer.turn():
            receiver = self._bus.receiver(self._consumer.topic, self._subscription, prefetch=MOST_AT_ONCE)
            async with receiver:
                await self._work(receiver)

    async def _work(self, receiver: ServiceBusReceiver) -> None:
        """Receive and handle: while some are handled the next ones that lie ready are read, and begun.

        They are settled by the one who receives, as the SDK needs it, one burst after the other.
        """
        underway: deque[_Burst] = deque()
        try:
            while True:
                if burst := await self._next(receiver, wait=not underway):
                    burst.handling = asyncio.ensure_future(self._consumer.handle(burst.events))
                    underway.append(burst)
                if len(underway) > 1 or not burst:
                    await self._settle(receiver, underway)
        finally:
            # What was begun when the process is told to stop is finished and settled; what falls gives itself back.
            while underway:
                with suppress(Exception):
                    await self._settle(receiver, underway)

    async def _next(self, receiver: ServiceBusReceiver, *, wait: bool) -> "_Burst | None":
        """What lies ready; where nothing is under way, wait for a message and let others gather."""
        patience = WAIT_SECONDS if wait else AT_HAND_SECONDS
        messages = await receiver.receive_messages(max_message_count=1, max_wait_time=patience)
        if not messages:
            return None
        if wait:
            await asyncio.sleep(GATHER_SECONDS)
        burst = _Burst(self._consumer.message)
        while messages:
            burst.add(messages[0])
            if len(burst.events) >= MOST_AT_ONCE:
                break
            messages = await receiver.receive_messages(max_message_count=1, max_wait_time=AT_HAND_SECONDS)
        return burst

    async def _settle(self, receiver: ServiceBusReceiver, underway: "deque[_Burst]") -> None:
        """Wait for the oldest burst and settle its messages, whatever happens meanwhile; raises what its handler does.
        """
        if not underway:
            return
        settling = asyncio.ensure_future(_settled(receiver, underway.popleft()))
        try:
            await asyncio.shield(settling)
        except asyncio.CancelledError:
            await settling
            raise


async def _settled(receiver: ServiceBusReceiver, burst: "_Burst") -> None:
    assert burst.handling is not None
    try:
        for place, failure in zip(burst.places, await burst.handling, strict=True):
            if failure is not None:
                burst.failures.setdefault(place, []).append(str(failure))
    except Exception:
        for message in burst.messages:
            await receiver.abandon_message(message)
        raise
    for place, message in enumerate(burst.messages):
        failed = burst.failures.get(place)
        if failed is None:
            await receiver.complete_message(message)
        else:
            await receiver.dead_letter_message(
                message, reason="unreadable", error_description=f"{len(failed)}: {', '.join(sorted(set(failed)))}"
            )


class _Burst:
    """The events of messages, the place of each one's message among them, and what could not be read."""

    def __init__(self, message: type[Message]) -> None:
        self._message = message
        self.messages: list[ServiceBusReceivedMessage] = []
        self.events: list[tuple[Any, Delivery]] = []
        self.places: list[int] = []
        self.failures: dict[int, list[str]] = {}
        self.handling: asyncio.Future[Sequence[Unreadable | None]] | None = None

    def add(self, message: ServiceBusReceivedMessage) -> None:
        place, attempt = len(self.messages), (message.delivery_count or 0) + 1
        self.messages.append(message)
        try:
            entries = list(_entries(message))
        except (KeyError, ValueError, TypeError) as error:
            self.failures[place] = [type(error).__name__]
            return
        for entry in entries:
            try:
                if entry["type"] != self._message.DESCRIPTOR.full_name:
                    continue
                delivery = Delivery(
                    id=UUID(entry["id"]), type=entry["type"], source=entry.get("source", ""),
                    time=datetime.fromisoformat(entry["time"]), attempt=attempt,
                )
                event = protojson.read(self._message, entry["data"])
            except (KeyError, ValueError, TypeError, AttributeError, ParseError) as error:
                self.failures.setdefault(place, []).append(type(error).__name__)
                continue
            self.events.append((event, delivery))
            self.places.append(place)


def _entries(message: ServiceBusReceivedMessage) -> Iterator[dict[str, Any]]:
    """A message's CloudEvents in their JSON format."""
    body = json.loads(b"".join(message.body))
    if message.content_type == BURST_CONTENT:
        yield from body
        return
    properties = {_text(key): _text(value) for key, value in (message.application_properties or {}).items()}
    yield {key.removeprefix("cloudEvents:"): value for key, value in properties.items()} | {"data": body}


def subscriber(
    link: Bus, consumer: Consumer | BurstConsumer, *, subscription: str
) -> Subscriber | BurstSubscriber:
    """What handles a consumer's events."""
    if isinstance(consumer, BurstConsumer):
        return BurstSubscriber(link, consumer, subscription=subscription)
    return Subscriber(link, consumer, subscription=subscription)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def _close(link: ServiceBusSender) -> None:
    try:
        await link.close()
    except (ServiceBusError, OSError) as error:
        log.info("link did not close cleanly", error=type(error).__name__)
