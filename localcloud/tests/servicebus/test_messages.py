"""What the real SDK can do with a message: send, settle in each way, lock, schedule, peek, filter."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusError

from localcloud.tests.servicebus.conftest import receiving, sending
from lotpro_kit.testing import eventually

WAIT = 10
#: Long enough that a message which is there would have come.
NOTHING = 0.3


async def send(client: ServiceBusClient, name: str, *bodies: str, **properties: Any) -> None:
    async with sending(client, name) as sender:
        await sender.send_messages([ServiceBusMessage(body, **properties) for body in bodies])


async def one(receiver: ServiceBusReceiver) -> ServiceBusReceivedMessage:
    (found,) = await receiver.receive_messages(max_message_count=1, max_wait_time=WAIT)
    return found


async def past(moment: datetime) -> bool:
    return datetime.now(UTC) > moment


async def nothing(receiver: ServiceBusReceiver) -> bool:
    return not await receiver.receive_messages(max_message_count=1, max_wait_time=NOTHING)


def dead(client: ServiceBusClient, name: str) -> AbstractAsyncContextManager[ServiceBusReceiver]:
    return receiving(client, name, sub_queue=ServiceBusSubQueue.DEAD_LETTER)


async def test_a_message_arrives_with_all_that_its_sender_gave_it(client: ServiceBusClient) -> None:
    message = ServiceBusMessage(
        "grüezi", message_id="id-1", subject="sale", correlation_id="cause", content_type="text/plain",
        application_properties={"text": "ü", "number": 7, "yes": True}, to="there", reply_to="here",
    )
    async with sending(client, "single") as sender, receiving(client, "single") as receiver:
        await sender.send_messages(message)
        found = await one(receiver)
        await receiver.complete_message(found)
    assert (str(found), found.message_id, found.subject, found.correlation_id) == ("grüezi", "id-1", "sale", "cause")
    assert (found.content_type, found.to, found.reply_to, found.delivery_count) == ("text/plain", "there", "here", 0)
    assert found.application_properties == {b"text": b"\xc3\xbc", b"number": 7, b"yes": True}
    assert found.sequence_number
    assert abs(found.enqueued_time_utc - datetime.now(UTC)) < timedelta(seconds=WAIT)


async def test_a_batch_arrives_whole_and_in_order(client: ServiceBusClient) -> None:
    async with sending(client, "batch") as sender, receiving(client, "batch") as receiver:
        batch = await sender.create_message_batch()
        for number in range(50):
            batch.add_message(ServiceBusMessage(str(number)))
        await sender.send_messages(batch)
        found: list[ServiceBusReceivedMessage] = []
        while len(found) < 50:
            found += await receiver.receive_messages(max_message_count=50, max_wait_time=WAIT)
        for message in found:
            await receiver.complete_message(message)
    assert [str(message) for message in found] == [str(number) for number in range(50)]


async def test_a_message_of_many_frames_arrives_whole(client: ServiceBusClient) -> None:
    body = "0123456789" * 70_000
    await send(client, "large", body)
    async with receiving(client, "large") as receiver:
        found = await one(receiver)
        await receiver.complete_message(found)
    assert str(found) == body


async def test_a_completed_message_does_not_come_again(client: ServiceBusClient) -> None:
    await send(client, "complete", "once")
    async with receiving(client, "complete") as receiver:
        await receiver.complete_message(await one(receiver))
        assert await nothing(receiver)


async def test_an_abandoned_message_comes_again_with_its_delivery_counted(client: ServiceBusClient) -> None:
    await send(client, "abandon", "again")
    async with receiving(client, "abandon") as receiver:
        counts = []
        for _ in range(3):
            message = await one(receiver)
            counts.append(message.delivery_count)
            await receiver.abandon_message(message)
        await receiver.complete_message(await one(receiver))
    assert counts == [0, 1, 2]


async def test_a_dead_letter_keeps_its_reason_and_its_properties(client: ServiceBusClient) -> None:
    await send(client, "bury", "dead", message_id="d", application_properties={"store": "north"})
    async with receiving(client, "bury") as receiver, dead(client, "bury") as graves:
        await receiver.dead_letter_message(await one(receiver), reason="unreadable", error_description="no such type")
        found = await one(graves)
        await graves.complete_message(found)
        assert await nothing(receiver)
    assert (found.dead_letter_reason, found.dead_letter_error_description) == ("unreadable", "no such type")
    assert (str(found), found.message_id) == ("dead", "d")
    assert found.application_properties is not None
    assert found.application_properties[b"store"] == b"north"
    assert (found.dead_letter_source or "").lower() == "bury/subscriptions/reader"


async def test_a_deferred_message_comes_only_by_its_number(client: ServiceBusClient) -> None:
    await send(client, "defer", "later")
    async with receiving(client, "defer") as receiver:
        message = await one(receiver)
        await receiver.defer_message(message)
        assert await nothing(receiver)
        assert message.sequence_number is not None
        (found,) = await receiver.receive_deferred_messages([message.sequence_number])
        assert str(found) == "later"
        await receiver.complete_message(found)
        with pytest.raises(ServiceBusError):
            await receiver.receive_deferred_messages([message.sequence_number])


async def test_renewing_moves_the_end_of_a_lock(client: ServiceBusClient) -> None:
    await send(client, "renewing", "mine")
    async with receiving(client, "renewing") as receiver:
        message = await one(receiver)
        first = message.locked_until_utc
        assert first is not None
        await eventually(lambda: past(first - timedelta(seconds=4)))
        renewed = await receiver.renew_message_lock(message)
        assert renewed > first
        await receiver.complete_message(message)


async def test_a_lock_that_ran_out_gives_the_message_to_another(client: ServiceBusClient) -> None:
    await send(client, "expiring", "whose")
    async with receiving(client, "expiring") as slow, receiving(client, "expiring") as other:
        held = await one(slow)
        assert held.locked_until_utc is not None
        assert held.locked_until_utc - datetime.now(UTC) < timedelta(seconds=5.5)
        again = await one(other)
        assert (str(again), again.delivery_count) == ("whose", 1)
        with pytest.raises(MessageLockLostError):
            await slow.complete_message(held)
        await other.complete_message(again)


async def test_a_scheduled_message_comes_when_it_is_due(client: ServiceBusClient) -> None:
    async with sending(client, "schedule") as sender, receiving(client, "schedule") as receiver:
        due = datetime.now(UTC) + timedelta(seconds=2)
        kept, cancelled = await sender.schedule_messages([ServiceBusMessage("kept"), ServiceBusMessage("not")], due)
        assert kept != cancelled
        await sender.cancel_scheduled_messages(cancelled)
        found = await one(receiver)
        assert str(found) == "kept"
        assert datetime.now(UTC) >= due
        await receiver.complete_message(found)
        assert await nothing(receiver)
        with pytest.raises(ServiceBusError):
            await sender.cancel_scheduled_messages(cancelled)


async def test_peeking_takes_nothing_away(client: ServiceBusClient) -> None:
    await send(client, "peek", "a", "b", "c")
    async with receiving(client, "peek") as receiver:
        seen = await receiver.peek_messages(max_message_count=2)
        more = await receiver.peek_messages(max_message_count=5)
        assert [str(message) for message in (*seen, *more)] == ["a", "b", "c"]
        for expected in "abc":
            found = await one(receiver)
            assert (str(found), found.delivery_count) == (expected, 0)
            await receiver.complete_message(found)
        assert await receiver.peek_messages(sequence_number=1) == []


async def test_receive_and_delete_leaves_nothing(client: ServiceBusClient) -> None:
    await send(client, "destructive", "gone")
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    async with receiving(client, "destructive", receive_mode=mode) as receiver:
        assert str(await one(receiver)) == "gone"
    async with receiving(client, "destructive") as receiver:
        assert await nothing(receiver)
        assert await receiver.peek_messages() == []


async def test_a_message_id_that_came_before_is_taken_only_once(client: ServiceBusClient) -> None:
    await send(client, "once", "first", message_id="same")
    await send(client, "once", "second", message_id="same")
    await send(client, "once", "third", message_id="other")
    async with receiving(client, "once") as receiver:
        for expected in ("first", "third"):
            found = await one(receiver)
            assert str(found) == expected
            await receiver.complete_message(found)
        assert await nothing(receiver)


async def test_after_the_last_allowed_delivery_a_message_is_dead(client: ServiceBusClient) -> None:
    await send(client, "thrice", "poison")
    async with receiving(client, "thrice") as receiver, dead(client, "thrice") as graves:
        for _ in range(3):
            await receiver.abandon_message(await one(receiver))
        found = await one(graves)
        await graves.complete_message(found)
        assert await nothing(receiver)
    assert found.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert str(found) == "poison"


async def test_a_message_that_outlives_its_time_is_dead(client: ServiceBusClient) -> None:
    await send(client, "mortal", "short", time_to_live=timedelta(seconds=1))
    async with dead(client, "mortal") as graves, receiving(client, "mortal") as receiver:
        found = await one(graves)
        await graves.complete_message(found)
        assert await nothing(receiver)
    assert (str(found), found.dead_letter_reason) == ("short", "TTLExpiredException")


async def test_a_message_with_a_short_life_dies_although_an_older_one_lives_long(client: ServiceBusClient) -> None:
    await send(client, "mortal", "long")
    await send(client, "mortal", "short", time_to_live=timedelta(seconds=1))
    async with dead(client, "mortal") as graves, receiving(client, "mortal") as receiver:
        found = await one(graves)
        await graves.complete_message(found)
        assert str(found) == "short"
        await receiver.complete_message(await one(receiver))


async def test_where_dead_letters_are_not_wanted_an_expired_message_vanishes(client: ServiceBusClient) -> None:
    await send(client, "forgetful", "short", time_to_live=timedelta(seconds=1))
    async with dead(client, "forgetful") as graves, receiving(client, "forgetful") as receiver:

        async def gone() -> bool:
            return await receiver.peek_messages(sequence_number=1) == []

        await eventually(gone)
        assert await nothing(graves)


async def test_a_correlation_rule_lets_through_only_what_fits_in_all_points(client: ServiceBusClient) -> None:
    await send(client, "correlated", "wrong label", subject="return", application_properties={"store": "north"})
    await send(client, "correlated", "wrong store", subject="sale", application_properties={"store": "south"})
    await send(client, "correlated", "no store", subject="sale")
    await send(client, "correlated", "right", subject="sale", application_properties={"store": "north", "x": 1})
    async with receiving(client, "correlated") as receiver:
        found = await one(receiver)
        await receiver.complete_message(found)
        assert str(found) == "right"
        assert await nothing(receiver)


async def test_an_sql_rule_lets_through_only_what_it_says(client: ServiceBusClient) -> None:
    await send(client, "filtered", "wrong label", subject="loan", application_properties={"store": "north"})
    await send(client, "filtered", "wrong store", subject="sale", application_properties={"store": "south"})
    await send(client, "filtered", "right", subject="return", application_properties={"store": "north"})
    async with receiving(client, "filtered") as receiver:
        found = await one(receiver)
        await receiver.complete_message(found)
        assert str(found) == "right"
        assert await nothing(receiver)


async def test_two_receivers_share_the_messages_and_none_gets_one_twice(client: ServiceBusClient) -> None:
    bodies = [str(number) for number in range(100)]
    await send(client, "order", *bodies)
    found: list[str] = []

    async def work() -> None:
        async with receiving(client, "order") as receiver:
            while len(found) < len(bodies):
                for message in await receiver.receive_messages(max_message_count=10, max_wait_time=NOTHING):
                    found.append(str(message))
                    await receiver.complete_message(message)

    await asyncio.wait_for(asyncio.gather(work(), work()), WAIT)
    assert sorted(found, key=int) == bodies
