"""A broker of these tests' own, with entities that each test picks by name, reached with a SAS key."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from lotpro_kit import testing

SAS_KEY = "key-of-this-test"
SUBSCRIPTION = "reader"


def sql(expression: str) -> dict[str, Any]:
    """A rule with an SQL filter."""
    return {"Name": "sql", "Properties": {"FilterType": "Sql", "SqlFilter": {"SqlExpression": expression}}}


def correlation(**conditions: Any) -> dict[str, Any]:
    """A rule with a correlation filter."""
    return {
        "Name": "correlation", "Properties": {"FilterType": "Correlation", "CorrelationFilter": conditions},
    }


def topic(name: str, *rules: dict[str, Any], properties: dict[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    """A topic with one subscription; `own` are the subscription's properties."""
    subscription = {"Name": SUBSCRIPTION, "Properties": own, "Rules": list(rules)}
    return {"Name": name, "Properties": properties or {}, "Subscriptions": [subscription]}


PLAIN = (
    "single", "batch", "complete", "abandon", "bury", "defer", "renew", "schedule", "peek", "destructive", "refused",
    "large", "order", "crash", "garbage", "closing",
)
CONFIG = {
    "UserConfig": {
        "Namespaces": [
            {
                "Name": "tests",
                "Queues": [],
                "Topics": [
                    *(topic(name) for name in PLAIN),
                    topic("expiring", LockDuration="PT5S"),
                    topic("renewing", LockDuration="PT5S"),
                    topic("once", properties={
                        "RequiresDuplicateDetection": True, "DuplicateDetectionHistoryTimeWindow": "PT10M",
                    }),
                    topic("thrice", MaxDeliveryCount=3),
                    topic("mortal", DeadLetteringOnMessageExpiration=True),
                    topic("forgetful", DeadLetteringOnMessageExpiration=False),
                    topic("correlated", correlation(Label="sale", Properties={"store": "north"})),
                    topic("filtered", sql("store = 'north' AND sys.Label IN ('sale', 'return')")),
                ],
            }
        ],
        "Logging": {"Type": "Console"},
    }
}


@dataclass(frozen=True, slots=True)
class Bus:
    """A running broker and its folder."""

    process: testing.Process
    folder: Path

    @property
    def port(self) -> int:
        return int(self.process.ready["port"])

    def client(self, key: str = SAS_KEY) -> ServiceBusClient:
        """A client as Microsoft's emulator documents it, that gives up at once when it is refused."""
        return ServiceBusClient.from_connection_string(
            f"Endpoint=sb://localhost:{self.port};SharedAccessKeyName=RootManageSharedAccessKey;"
            f"SharedAccessKey={key};UseDevelopmentEmulator=true;",
            retry_total=0,
        )


def start(folder: Path, config: dict[str, Any] = CONFIG, port: int = 0) -> Bus:
    """Start a broker on a folder, new or used before."""
    (folder / "config.json").write_text(json.dumps(config))
    process = testing.start(
        "lotpro_localcloud.servicebus", "--state", str(folder), "--config", str(folder / "config.json"),
        "--sas-key", SAS_KEY, "--port", str(port), log=folder / "broker.log",
    )
    return Bus(process, folder)


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """The broker that all tests here share; each uses a topic of its own."""
    running = start(tmp_path_factory.mktemp("servicebus"))
    yield running
    running.process.stop()


@pytest.fixture(scope="session")
async def client(bus: Bus) -> AsyncIterator[ServiceBusClient]:
    """A client with the right key."""
    async with bus.client() as opened:
        yield opened
        await asyncio.gather(*_closing)


def reader(client: ServiceBusClient, name: str, **options: Any) -> ServiceBusReceiver:
    """A receiver on a topic's one subscription."""
    return client.get_subscription_receiver(name, SUBSCRIPTION, **options)


#: What is being closed beside the tests that come after.
_closing: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def receiving(client: ServiceBusClient, name: str, **options: Any) -> AsyncIterator[ServiceBusReceiver]:
    """A receiver for a while. It gives back what it holds at once; the second that it then sleeps is not waited for."""
    receiver = reader(client, name, **options)
    await receiver.__aenter__()
    try:
        yield receiver
    finally:
        _closing.add(asyncio.create_task(receiver.close()))


@asynccontextmanager
async def sending(client: ServiceBusClient, name: str) -> AsyncIterator[ServiceBusSender]:
    """A sender for a while; the second that the SDK sleeps before it is closed is not waited for."""
    sender = client.get_topic_sender(name)
    await sender.__aenter__()
    try:
        yield sender
    finally:
        _closing.add(asyncio.create_task(sender.close()))
