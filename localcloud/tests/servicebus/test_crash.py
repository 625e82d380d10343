"""The broker dies under load, again and again: nothing acknowledged is lost, nothing completed comes back."""

import asyncio
import gc
from functools import partial
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusError

from localcloud.tests.servicebus.conftest import reader, start
from lotpro_kit.testing import eventually

CRASHES = 3
#: Enough that each crash comes in the middle of sending and settling.
STEPS = 60
FAULTS = (ServiceBusError, OSError, ValueError, RuntimeError, AttributeError)


class Load:
    """A sender and a receiver, and what the broker has confirmed to them."""

    def __init__(self) -> None:
        self.number = 0
        self.acknowledged: set[str] = set()
        #: Whoever asks and hears nothing cannot know: these may be gone or come again.
        self.completing: set[str] = set()
        self.completed: set[str] = set()
        self.returned: set[str] = set()

    async def has_sent(self, count: int) -> bool:
        return len(self.acknowledged) >= count

    async def send(self, client: ServiceBusClient) -> None:
        """Send one by one until the broker is gone."""
        async with client.get_topic_sender("crash") as sender:
            while True:
                self.number += 1
                await sender.send_messages(ServiceBusMessage(str(self.number)))
                self.acknowledged.add(str(self.number))

    async def receive(self, client: ServiceBusClient) -> None:
        """Complete every second message that comes until the broker is gone, and give back the others."""
        async with reader(client, "crash") as receiver:
            while True:
                for message in await receiver.receive_messages(max_message_count=5, max_wait_time=5):
                    body = str(message)
                    if body in self.completed:
                        self.returned.add(body)
                    if int(body) % 2:
                        self.completing.add(body)
                        await receiver.complete_message(message)
                        self.completed.add(body)


async def crash(folder: Path, load: Load) -> None:
    """Kill a broker that is sent to and received from."""
    bus = start(folder)
    try:
        client = bus.client()
        work = [asyncio.ensure_future(load.send(client)), asyncio.ensure_future(load.receive(client))]
        goal = len(load.acknowledged) + STEPS
        await eventually(partial(load.has_sent, goal), every=0.005)
        bus.process.kill()
        for task in work:
            try:
                await asyncio.wait_for(task, 10)
            except (*FAULTS, TimeoutError):
                continue
        await client.close()
    finally:
        bus.process.stop()


async def all_of(folder: Path) -> set[str]:
    """Everything that a broker on this folder still holds."""
    bus = start(folder)
    left: set[str] = set()
    try:
        async with bus.client() as client, reader(client, "crash") as receiver:
            while found := await receiver.receive_messages(max_message_count=100, max_wait_time=0.5):
                for message in found:
                    left.add(str(message))
                    await receiver.complete_message(message)
    finally:
        bus.process.stop()
    return left


# The SDK forgets the sockets of connections that broke. They are collected before the test ends, when nothing holds
# them any more: later they would be another test's warnings.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_no_acknowledged_message_is_lost_and_no_completed_one_returns(tmp_path: Path) -> None:
    load = Load()
    for _ in range(CRASHES):
        await crash(tmp_path, load)
    assert load.completed
    left = await all_of(tmp_path)
    gc.collect()
    assert load.acknowledged - load.completing - left == set()
    assert left & load.completed == set()
    assert load.returned == set()
