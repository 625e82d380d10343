"""Azure Service Bus: sending events to topics and handling them from subscriptions. The only user of its SDK."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from azure.core.credentials_async import AsyncTokenCredential
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, TransportType
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusError
from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import Message

from lotpro_kit import telemetry

#: Azure detaches links after 10 idle minutes; a receive that waits less than that keeps the link its own.
WAIT_SECONDS = 60
#: Messages that the link holds ready, locked to us; handlers at work side by side. Both keep a message well under its
#: lock of 60 s.
PREFETCH = 50
AT_ONCE = 16
#: So short a wait that the SDK answers with what its buffer holds and does not read the socket.
AT_HAND_SECONDS = 1e-6
MAX_DELIVERIES = 10
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

    def receiver(self, topic: str, subscription: str) -> ServiceBusReceiver:
        # Told here and not to the client, whose own the SDK overrides with its default for each receiver. The SDK's keep
        # alive is off: a receiver of ours reads all the time, and a second reader would wake it every second, read what
        # is its, and hold it up for a second when it closes.
        return self._client.get_subscription_receiver(
            topic, subscription, prefetch_count=PREFETCH, socket_timeout=QUIET_SECONDS, keep_alive=0
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
            for event in events:
                message = _message(event)
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


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def _close(link: ServiceBusSender) -> None:
    try:
        await link.close()
    except (ServiceBusError, OSError) as error:
        log.info("link did not close cleanly", error=type(error).__name__)
