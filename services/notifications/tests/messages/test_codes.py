"""Codes and invitations: from identity's event to the person's inbox, with nothing kept on the way."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx
from sqlalchemy import text

from lotpro.identity.v1 import events_pb2
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_notifications.messages.domain import LEASE
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery, timed_out, unreachable


async def test_a_requested_code_reaches_the_inbox_at_once(notifications: Notifications) -> None:
    expires_at = notifications.clock() + timedelta(minutes=10)
    challenge_id, code, address = notifications.identity.add_code(expires_at=expires_at)
    event = events_pb2.CodeRequested(challenge_id=str(challenge_id), user_id=str(uuid4()))
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(event, caused)
        (message,) = await notifications.settled(caused)
    assert (message.state, message.channel, message.provider_id) == ("sent", "email", "mail-1")
    (letter,) = notifications.providers.letters_to(address)
    assert letter["subject"] == "Confirm your e-mail address for lotPro"
    plain, html = (part["value"] for part in letter["content"])
    assert f"code is: {code}" in plain
    assert code in html
    assert letter["from"] == {"email": "no-reply@lotpro.space", "name": "lotPro"}
    assert letter["custom_args"] == {"message_id": str(message.id)}
    assert letter["tracking_settings"]["click_tracking"] == {"enable": False, "enable_text": False}
    sent = await testing.events(notifications.runtime.database, containing=str(message.id))
    assert [kind for kind, _ in sent] == ["lotpro.notifications.v1.MessageSent"]


async def test_the_same_event_sends_one_message_also_in_parallel_and_after_the_inbox_forgot(
    notifications: Notifications,
) -> None:
    challenge_id, _, address = notifications.identity.add_code(expires_at=notifications.clock() + timedelta(minutes=10))
    event = events_pb2.CodeRequested(challenge_id=str(challenge_id))
    caused = delivery()
    async with notifications.sending():
        await asyncio.gather(*(notifications.handle(event, caused) for _ in range(10)))
        await notifications.settled(caused)
        async with notifications.runtime.database.begin(system()) as session:
            await session.execute(text("DELETE FROM inbox WHERE event_id = :id"), {"id": caused.id})
        await notifications.handle(event, caused)
        assert len(await notifications.settled(caused)) == 1
    assert len(notifications.providers.letters_to(address)) == 1


async def test_an_invitation_carries_a_link_whose_token_no_server_sees(notifications: Notifications) -> None:
    expires_at = notifications.clock() + timedelta(days=7)
    challenge_id, token, address = notifications.identity.add_code(
        expires_at=expires_at, purpose="invitation", code="t0ken-Of-Invitation", organisation_name="Smith & Sons <Cars>"
    )
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(events_pb2.CodeRequested(challenge_id=str(challenge_id)), caused)
        await notifications.settled(caused)
    (letter,) = notifications.providers.letters_to(address)
    assert letter["subject"] == "You are invited to Smith & Sons <Cars> on lotPro"
    plain, html = (part["value"] for part in letter["content"])
    assert f"http://localhost:8080/invitations#token={token}" in plain
    assert "Smith &amp; Sons &lt;Cars&gt;" in html
    assert "<Cars>" not in html


async def test_a_code_by_sms_goes_through_twilio(notifications: Notifications) -> None:
    expires_at = notifications.clock() + timedelta(minutes=10)
    challenge_id, code, number = notifications.identity.add_code(
        expires_at=expires_at, purpose="sign_in", channel="sms", address="+15005550001"
    )
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(events_pb2.CodeRequested(challenge_id=str(challenge_id)), caused)
        (message,) = await notifications.settled(caused)
    assert (message.state, message.channel, message.provider_id) == ("sent", "sms", "SM1")
    (body,) = notifications.providers.texts_to(number)
    assert body.startswith(f"{code} is your lotPro code")


async def test_an_alert_by_sms_says_what_happened_and_holds_no_code(notifications: Notifications) -> None:
    challenge_id, code, number = notifications.identity.add_code(
        expires_at=notifications.clock() + timedelta(hours=72), purpose="alert", channel="sms", address="+15005550002",
        topic="phone_changed",
    )
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(
            events_pb2.CodeRequested(challenge_id=str(challenge_id), purpose="alert"), caused
        )
        await notifications.settled(caused)
    (body,) = notifications.providers.texts_to(number)
    assert body.startswith("lotPro: The phone number of your lotPro account was changed.")
    assert code not in body


async def test_a_code_that_expired_or_was_used_is_never_sent(notifications: Notifications) -> None:
    challenge_id, _, _ = notifications.identity.add_code(expires_at=notifications.clock() - timedelta(seconds=1))
    expired, used = delivery(), delivery()
    async with notifications.sending():
        await notifications.handle(events_pb2.CodeRequested(challenge_id=str(challenge_id)), expired)
        await notifications.handle(events_pb2.CodeRequested(challenge_id=str(uuid4())), used)
        fates = [(await notifications.settled(caused))[0] for caused in (expired, used)]
    assert [fate.state for fate in fates] == ["expired", "expired"]
    assert notifications.providers.asked == 0
    failed = await testing.events(notifications.runtime.database, containing=str(fates[0].id))
    assert [kind for kind, _ in failed] == ["lotpro.notifications.v1.MessageFailed"]


async def test_a_code_waits_for_a_provider_that_is_busy_or_away_and_for_identity(notifications: Notifications) -> None:
    challenge_id, _, address = notifications.identity.add_code(expires_at=notifications.clock() + timedelta(minutes=10))
    notifications.identity.away = True
    caused = delivery()
    async with notifications.sending() as sender:

        async def tried(times: int) -> bool:
            notifications.clock.advance(timedelta(seconds=2))
            sender.wake()
            return (await notifications.of_event(caused))[0].attempts >= times

        await notifications.handle(events_pb2.CodeRequested(challenge_id=str(challenge_id)), caused)
        await testing.eventually(lambda: tried(2))
        notifications.providers.meant_for = address
        notifications.providers.answers += [unreachable, lambda _: httpx.Response(503), lambda _: httpx.Response(429)]
        notifications.identity.away = False
        await testing.eventually(lambda: tried(5))

        async def sent() -> bool:
            await tried(0)
            return (await notifications.of_event(caused))[0].state == "sent"

        await testing.eventually(sent)
    assert len(notifications.providers.letters_to(address)) == 1


async def test_a_code_whose_fate_is_unknown_is_not_sent_again(notifications: Notifications) -> None:
    challenge_id, _, address = notifications.identity.add_code(expires_at=notifications.clock() + timedelta(minutes=10))
    notifications.providers.meant_for = address
    notifications.providers.answers.append(timed_out)
    caused = delivery()
    async with notifications.sending() as sender:
        await notifications.handle(events_pb2.CodeRequested(challenge_id=str(challenge_id)), caused)
        (message,) = await notifications.settled(caused)
        assert (message.state, message.reason) == ("unknown", "notifications.outcome_unknown")
        notifications.clock.advance(LEASE * 2)
        sender.wake()
    assert notifications.providers.asked == 1


async def test_neither_code_nor_address_is_in_the_database(notifications: Notifications) -> None:
    expires_at = notifications.clock() + timedelta(minutes=10)
    challenge_id, code, address = notifications.identity.add_code(expires_at=expires_at, code="kX7-not-a-uuid-code")
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(events_pb2.CodeRequested(challenge_id=str(challenge_id)), caused)
        await notifications.settled(caused)
    async with notifications.runtime.database.begin(system(scope="sender")) as session:
        dump = ""
        for table in ("messages", "outbox", "inbox", "idempotency_keys"):
            rows = await session.execute(text(f"SELECT {table}::text FROM {table}"))
            dump += "\n".join(rows.scalars())
    assert str(challenge_id) in dump
    assert code not in dump
    assert address not in dump
