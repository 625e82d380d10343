"""The news of a sale: to every owner by e-mail, and to the phones of those who have one."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx

from lotpro.identity.v1 import events_pb2 as identity_events
from lotpro.inventory.v1 import events_pb2
from lotpro.privacy.v1 import events_pb2 as privacy_events
from lotpro_kit import testing
from lotpro_notifications.messages.domain import AT_ONCE, Channel, Lane, State
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery

PHONE = "+15005550009"


def sold(notifications: Notifications, *, sale_id: UUID | None = None) -> events_pb2.VehicleSold:
    return events_pb2.VehicleSold(
        org_id=str(notifications.org_id),
        sale_id=str(sale_id or notifications.inventory.add_sale(notifications.org_id)),
        customer_id=str(uuid4()),
        version=1,
    )


def add_owners(notifications: Notifications, *phones: str) -> list[UUID]:
    owners = [notifications.identity.add_person(phone=phone) for phone in phones]
    notifications.identity.owners[str(notifications.org_id)] = [str(owner) for owner in owners]
    return owners


async def test_every_owner_gets_an_email_and_those_with_a_phone_an_sms(notifications: Notifications) -> None:
    with_phone, without = add_owners(notifications, PHONE, "")
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(sold(notifications), caused)
        messages = await notifications.settled(caused)
    assert sorted((message.channel, message.user_id, message.state) for message in messages) == sorted(
        [("email", with_phone, "sent"), ("email", without, "sent"), ("sms", with_phone, "sent")]
    )
    for owner in (with_phone, without):
        (letter,) = notifications.providers.letters_to(f"{owner}@example.com")
        assert letter["subject"] == "Sold: 2020 Honda Accord"
        assert "USD 25,995.00" in letter["content"][0]["value"]
        assert "A-17" in letter["content"][1]["value"]
    assert notifications.providers.texts_to(PHONE) == [
        "lotPro: 2020 Honda Accord (stock A-17) was sold for USD 25,995.00."
    ]


async def test_a_repeated_event_tells_nobody_twice(notifications: Notifications) -> None:
    (owner,) = add_owners(notifications, "")
    caused = delivery()
    event = sold(notifications)
    async with notifications.sending():
        await notifications.handle(event, caused)
        await notifications.handle(event, caused)
        await notifications.settled(caused)
    assert len(notifications.providers.letters_to(f"{owner}@example.com")) == 1


async def test_an_organisation_without_reachable_owners_gets_nothing(notifications: Notifications) -> None:
    notifications.identity.owners[str(notifications.org_id)] = [str(uuid4())]
    caused = delivery()
    await notifications.handle(sold(notifications, sale_id=uuid4()), caused)
    assert await notifications.of_event(caused) == []


async def test_a_number_that_twilio_refuses_fails_for_good_with_its_code(notifications: Notifications) -> None:
    add_owners(notifications, PHONE)
    notifications.providers.answers += [
        lambda request: httpx.Response(400, json={"code": 21610, "message": "unsubscribed", "status": 400})
        if "Messages.json" in request.url.path
        else httpx.Response(202)
    ] * 20  # what other tests left in the queue takes some of them
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(sold(notifications), caused)
        messages = {message.channel: message for message in await notifications.settled(caused)}
    assert messages[Channel.EMAIL].state == "sent"
    assert (messages[Channel.SMS].state, messages[Channel.SMS].reason) == ("failed", "notifications.sms_rejected_21610")
    assert messages[Channel.SMS].attempts == 1
    failed = await testing.events(notifications.runtime.database, containing=str(messages[Channel.SMS].id))
    assert failed[0][1]["reason"] == "notifications.sms_rejected_21610"


async def test_mail_that_sendgrid_rejects_fails_for_good(notifications: Notifications) -> None:
    (owner,) = add_owners(notifications, "")
    notifications.providers.meant_for = f"{owner}@example.com"
    notifications.providers.answers.append(lambda _: httpx.Response(400, json={"errors": [{"message": "bad"}]}))
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(sold(notifications), caused)
        (message,) = await notifications.settled(caused)
    assert (message.state, message.reason, message.attempts) == ("failed", "notifications.mail_rejected", 1)


async def test_the_providers_wait_is_honoured(notifications: Notifications) -> None:
    (owner,) = add_owners(notifications, "")
    notifications.providers.meant_for = f"{owner}@example.com"
    notifications.providers.answers.append(lambda _: httpx.Response(429, headers={"retry-after": "120"}))
    caused = delivery()
    began = notifications.clock()
    async with notifications.sending():
        await notifications.handle(sold(notifications), caused)

        async def waiting() -> bool:
            (message,) = await notifications.of_event(caused)
            return message.state == "queued" and message.attempts == 1

        await testing.eventually(waiting)
    (message,) = await notifications.of_event(caused)
    assert message.next_attempt_at >= began + timedelta(seconds=120)
    assert message.reason == "notifications.provider_busy"


async def test_an_alert_that_is_too_old_is_not_sent(notifications: Notifications) -> None:
    add_owners(notifications, PHONE)
    caused = delivery(occurred_at=notifications.clock() - timedelta(hours=2))
    async with notifications.sending():
        await notifications.handle(sold(notifications), caused)
        states = {message.channel: message.state for message in await notifications.settled(caused)}
    assert states == {"email": "sent", "sms": "expired"}


async def test_a_sale_of_another_organisation_is_not_told(notifications: Notifications) -> None:
    add_owners(notifications, "")
    elsewhere = notifications.inventory.add_sale(uuid4())
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(sold(notifications, sale_id=elsewhere), caused)
        (message,) = await notifications.settled(caused)
    assert message.state == "failed"
    assert notifications.providers.asked == 0


async def test_who_opened_a_privacy_request_hears_that_it_is_answered_and_nothing_of_the_answer(
    notifications: Notifications,
) -> None:
    opener = notifications.identity.add_person(name="Casey Compliance")
    request_id = uuid4()
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(
            privacy_events.RequestAnswered(
                org_id=str(notifications.org_id), request_id=str(request_id), opened_by=str(opener), kind="access"
            ),
            caused,
        )
        (message,) = await notifications.settled(caused)
    assert message.state == "sent"
    (letter,) = notifications.providers.letters_to(f"{opener}@example.com")
    assert letter["subject"] == "A privacy request is answered"
    assert f"http://localhost:8080/privacy/requests/{request_id}" in letter["content"][0]["value"]


async def test_news_that_wait_for_a_silent_provider_take_no_place_from_codes(notifications: Notifications) -> None:
    add_owners(notifications, *[""] * 30)
    news, code = delivery(), delivery()
    challenge_id, _, _ = notifications.identity.add_code(expires_at=notifications.clock() + timedelta(minutes=10))
    notifications.providers.silent_for = "Sold:"
    async with notifications.sending():
        await notifications.handle(sold(notifications), news)

        async def full() -> bool:
            states = [message.state for message in await notifications.of_event(news)]
            return states.count(State.SENDING) == AT_ONCE[Lane.TRANSACTIONAL]

        await testing.eventually(full)
        await notifications.handle(identity_events.CodeRequested(challenge_id=str(challenge_id)), code)
        (message,) = await notifications.settled(code)
        assert message.state == "sent"
        notifications.providers.voice.set()
        assert {message.state for message in await notifications.settled(news)} == {"sent"}
