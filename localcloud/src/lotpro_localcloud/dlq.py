"""`make dlq`: what the running stack's broker could not deliver, and sending it again."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue, TransportType
from azure.servicebus.aio import ServiceBusClient

from lotpro_localcloud import surroundings, topology
from lotpro_localcloud.state import State, read_json

#: A topic's dead letters are looked through in steps of this many.
BATCH = 100


def main(argv: Sequence[str] | None = None) -> int:
    """One line a dead letter: where, event type and id, deliveries, reason. `--redrive` sends each to its topic again.

    Handling is idempotent, so a redriven event that another subscription has handled already does nothing there.
    """
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud dlq")
    parser.add_argument("--state", type=Path, default=surroundings.root() / ".lotpro")
    parser.add_argument("--port", type=int, default=topology.DEFAULT_PORTS["servicebus"])
    parser.add_argument("--redrive", action="store_true", help="send each dead letter to its topic again")
    options = parser.parse_args(argv)
    key = read_json(State(options.state) / "keys.json").get("servicebus-sas-key", "")
    if not topology.listens(options.port):
        sys.stderr.write(f"Nothing listens on port {options.port}: start lotPro with `make run` first.\n")
        return 1
    found = asyncio.run(_each(options.port, key, redrive=options.redrive))
    sys.stdout.write(f"{found} dead letters{' sent again' if options.redrive and found else ''}\n")
    return 0


async def _each(port: int, key: str, *, redrive: bool) -> int:
    connection = (
        f"Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={key};"
        "UseDevelopmentEmulator=true;"
    )
    found = 0
    async with ServiceBusClient.from_connection_string(connection, transport_type=TransportType.Amqp) as client:
        for topic, subscription in subscriptions():
            receiver = client.get_subscription_receiver(topic, subscription, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
            async with receiver, client.get_topic_sender(topic) as sender:
                if not redrive:
                    letters = await receiver.peek_messages(max_message_count=BATCH)
                    found += len(letters)
                    for letter in letters:
                        sys.stdout.write(f"{topic}/{subscription}  {_told(letter)}\n")
                    continue
                while letters := await receiver.receive_messages(max_message_count=BATCH, max_wait_time=1):
                    for letter in letters:
                        await sender.send_messages(_again(letter))
                        await receiver.complete_message(letter)
                        found += 1
                        sys.stdout.write(f"{topic}/{subscription}  {_told(letter)}\n")
    return found


def subscriptions() -> Iterator[tuple[str, str]]:
    """(topic, subscription) of the suite's topology."""
    config = json.loads((surroundings.root() / "infra" / "servicebus.json").read_text(encoding="utf-8"))
    for namespace in config["UserConfig"]["Namespaces"]:
        for topic in namespace["Topics"]:
            for subscription in topic["Subscriptions"]:
                yield topic["Name"], subscription["Name"]


def _told(letter: ServiceBusReceivedMessage) -> str:
    kind = _properties(letter).get("cloudEvents:type", "?")
    why = f"{letter.dead_letter_reason or ''} {letter.dead_letter_error_description or ''}".strip()
    return f"{kind}  {letter.message_id}  deliveries {letter.delivery_count}  {why}"


def _again(letter: ServiceBusReceivedMessage) -> ServiceBusMessage:
    """The same event under a fresh message id, for the topic's duplicate detection would swallow the old one."""
    properties: dict[str | bytes, object] = {
        name: value for name, value in _properties(letter).items() if not name.startswith("DeadLetter")
    }
    return ServiceBusMessage(
        b"".join(letter.body), content_type=letter.content_type, application_properties=properties,  # type: ignore[arg-type] # read back as they were sent
    )


def _properties(letter: ServiceBusReceivedMessage) -> dict[str, object]:
    return {
        key.decode() if isinstance(key, bytes) else str(key): value.decode() if isinstance(value, bytes) else value
        for key, value in (letter.application_properties or {}).items()
    }
