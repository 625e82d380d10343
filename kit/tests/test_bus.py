"""Events: committed means sent, sent means handled once, whatever dies in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from kit.tests.conftest import Sample
from kit.tests.sample import app
from lotpro.identity.v1 import events_pb2
from lotpro_kit import bus, ids, outbox, testing
from lotpro_kit.caller import system


@asynccontextmanager
async def running(sample: Sample, broker: testing.Broker, *consumers: bus.Consumer) -> AsyncIterator[None]:
    """A relay of `identity` and subscribers of `billing`, on the real broker."""
    sending, receiving = broker.open_bus("identity"), broker.open_bus("billing")
    sender = sending.sender()
    relay = asyncio.create_task(outbox.Relay(sample.runtime.database, sender, source="lotpro/identity").run())
    subscribers = [bus.Subscriber(receiving, consumer, subscription="billing") for consumer in consumers]
    tasks = [asyncio.create_task(subscriber.run()) for subscriber in subscribers]
    try:
        yield
    finally:
        for subscriber in subscribers:
            subscriber.stop()
        relay.cancel()
        await asyncio.gather(relay, *tasks, return_exceptions=True)
        await sender.close()
        await sending.close()
        await receiving.close()


async def announce(sample: Sample, org_id: UUID) -> None:
    async with sample.runtime.database.begin(system(org_id)) as session:
        await outbox.put(session, events_pb2.StoreOpened(org_id=str(org_id), store_id=str(uuid4())))


async def titles(sample: Sample, org_id: UUID) -> list[str]:
    async with sample.runtime.database.begin(system(org_id)) as session:
        return list((await session.execute(select(app.NOTES.c.title))).scalars())


async def test_a_committed_event_is_handled_in_another_service_and_leaves_the_outbox(
    sample: Sample, broker: testing.Broker
) -> None:
    org_id = uuid4()
    async with running(sample, broker, *sample.parts.consumers):
        await announce(sample, org_id)

        async def handled() -> list[str]:
            return await titles(sample, org_id)

        assert await testing.eventually(handled) == ["opened"]

        async def gone() -> bool:
            return not await testing.events(sample.runtime.database, containing=str(org_id))

        assert await testing.eventually(gone)


async def test_an_event_delivered_twice_is_handled_once(sample: Sample, broker: testing.Broker) -> None:
    org_id, event_id = uuid4(), ids.new()
    consumer = sample.parts.consumers[0]
    handler = consumer.handlers[events_pb2.StoreOpened]
    event = events_pb2.StoreOpened(org_id=str(org_id), store_id=str(uuid4()))
    delivery = bus.Delivery(event_id, event.DESCRIPTOR.full_name, "lotpro/identity", sample.runtime.clock(), 1)
    await asyncio.gather(*(handler(event, delivery) for _ in range(8)))
    assert await titles(sample, org_id) == ["opened"]


async def test_a_failing_handler_gets_the_event_again(sample: Sample, broker: testing.Broker) -> None:
    org_id, attempts = uuid4(), []

    async def fail_twice(event: events_pb2.StoreOpened, delivery: bus.Delivery) -> None:
        if event.org_id == str(org_id):
            attempts.append(delivery.attempt)
            if len(attempts) < 3:
                raise RuntimeError("not yet")

    async with running(sample, broker, bus.Consumer("identity", {events_pb2.StoreOpened: fail_twice})):
        await announce(sample, org_id)

        async def thrice() -> bool:
            return attempts == [1, 2, 3]

        await testing.eventually(thrice)


async def test_rolled_back_events_are_never_sent(sample: Sample) -> None:
    org_id = uuid4()

    async def put_and_fail() -> None:
        async with sample.runtime.database.begin(system(org_id)) as session:
            await outbox.put(session, events_pb2.StoreOpened(org_id=str(org_id)))
            raise KeyError

    with pytest.raises(KeyError):
        await put_and_fail()
    assert await testing.events(sample.runtime.database, containing=str(org_id)) == []


async def test_an_event_that_cannot_be_sent_stays_and_is_postponed(sample: Sample) -> None:
    org_id = uuid4()
    nowhere = bus.Bus(
        namespace="localhost", credential=testing._Credential(sample.signer, "identity"), endpoint="sb://localhost:9"
    )
    sender = nowhere.sender()
    await announce(sample, org_id)
    await outbox.Relay(sample.runtime.database, sender, source="lotpro/identity").drain()
    async with sample.runtime.database.begin(system(scope="relay")) as session:
        found = await session.execute(
            text("SELECT attempts, next_attempt_at > now() AS later FROM outbox WHERE body LIKE :org"),
            {"org": f"%{org_id}%"},
        )
        assert found.one() == (1, True)
    await nowhere.close()


async def test_a_service_may_neither_send_nor_listen_where_it_does_not_belong(
    sample: Sample, broker: testing.Broker
) -> None:
    billing = broker.open_bus("billing")
    event = bus.Outgoing(ids.new(), "lotpro.identity.v1.StoreOpened", "x", sample.runtime.clock(), "{}")
    with pytest.raises(bus.NotSent):
        await billing.sender().send("identity", [event])
    with pytest.raises(Exception, match="No valid claim"):
        async with billing.receiver("identity", "audit") as receiver:
            await receiver.receive_messages(max_wait_time=1)
    await billing.close()
