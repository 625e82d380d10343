"""From another service's commit over the real bus into the log, once; what is no event goes to the dead letters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import text

from lotpro_kit import bus, ids, outbox, testing
from lotpro_kit.caller import system
from services.audit.tests.conftest import Log

TOPIC = "security-events"


@asynccontextmanager
async def running(log: Log, broker: testing.Broker) -> AsyncIterator[bus.Bus]:
    """Audit's relay and its subscription; what other tests left to be sent is not."""
    async with log.runtime.database.begin(system()) as session:
        await session.execute(text("DELETE FROM outbox"))
    link = broker.open_bus("audit")
    sender = link.sender()
    relay = asyncio.create_task(outbox.Relay(log.runtime.database, sender, source="lotpro/audit").run())
    subscriber = bus.subscriber(link, log.consumer, subscription="audit")
    receiving = asyncio.create_task(subscriber.run())
    try:
        yield link
    finally:
        subscriber.stop()
        relay.cancel()
        await asyncio.gather(relay, receiving, return_exceptions=True)
        await sender.close()
        await link.close()


async def test_many_acts_at_once_all_arrive_and_each_stands_once(unled: Log, broker: testing.Broker) -> None:
    log = unled
    acts = [log.act(subject_kind="vehicle", subject_id=str(uuid4())) for _ in range(120)]
    async with running(log, broker), log.client("org_owner") as owner:
        async with log.runtime.database.begin(system()) as session:
            await outbox.put(session, *acts)

        async def all_there() -> bool:
            return len(await log.page(owner, limit=200, action="inventory:vehicle:sell")) >= len(acts)

        await testing.eventually(all_there, within=30)
        shown = await log.page(owner, limit=200, action="inventory:vehicle:sell")
    assert sorted(item["subject"]["id"] for item in shown) == sorted(act.subject_id for act in acts)


async def test_what_is_no_event_of_the_log_goes_to_the_dead_letters_and_holds_up_nobody(
    unled: Log, broker: testing.Broker
) -> None:
    log = unled
    wrong = log.act("not an action", request_id=str(ids.new()))
    old = log.act(at=log.runtime.clock() - timedelta(days=400), request_id=str(ids.new()))
    good = log.act("identity:session:create")
    async with running(log, broker) as link, log.client("org_owner") as owner:
        async with log.runtime.database.begin(system()) as session:
            await outbox.put(session, wrong, old, good)

        async def shown() -> list[str]:
            return [item["action"] for item in await log.page(owner, action="identity:session:create")]

        assert await testing.eventually(shown) == ["identity:session:create"]
        dead: dict[str, str | None] = {}
        async with link.receiver(TOPIC, "audit/$deadletterqueue") as receiver:
            while not {wrong.request_id, old.request_id} <= dead.keys():
                found = await receiver.receive_messages(max_message_count=10, max_wait_time=10)
                assert found, "not among the dead letters"
                for message in found:
                    body = b"".join(message.body).decode()
                    for act in (wrong, old):
                        if act.request_id in body:
                            dead[act.request_id] = message.dead_letter_error_description
                    await receiver.complete_message(message)
        # All three came in one burst, which goes there as a whole: what was good in it is in the log and stands once.
        assert set(dead.values()) == {"2: audit.event_out_of_range, audit.event_unreadable"}
        assert "not an action" not in [item["action"] for item in await log.page(owner)]
