"""What people are told about the end of their accounts, and what is forgotten once they are gone."""

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from lotpro.identity.v1 import events_pb2
from lotpro.inventory.v1 import events_pb2 as inventory_events
from lotpro_kit.caller import system
from lotpro_notifications.db import SCOPE
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery


async def test_a_person_is_warned_by_e_mail_with_the_day_it_happens(notifications: Notifications) -> None:
    person = notifications.identity.add_person(name="Dana Whitfield")
    caused = delivery()
    event = events_pb2.AccountInactivityWarned(user_id=str(person), days_left=7)
    async with notifications.sending():
        for _ in range(2):
            await notifications.handle(event, caused)
        (message,) = await notifications.settled(caused)
    assert (message.state, message.kind, message.lane) == ("sent", "account_inactive", "transactional")
    (letter,) = notifications.providers.letters_to(f"{person}@example.com")
    end = notifications.clock() + timedelta(days=7)
    for part in (part["value"] for part in letter["content"]):
        assert "Dana Whitfield" in part
        assert f"In 7 days, on {end.day} {end:%B %Y}, it will be anonymised" in part


async def test_an_undo_link_carries_a_token_that_no_server_sees(notifications: Notifications) -> None:
    challenge_id, token, address = notifications.identity.add_code(
        expires_at=notifications.clock() + timedelta(days=30), purpose="undo_close", code="t0ken-Of-Undoing"
    )
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(events_pb2.CodeRequested(challenge_id=str(challenge_id)), caused)
        await notifications.settled(caused)
    (letter,) = notifications.providers.letters_to(address)
    assert letter["subject"] == "Your lotPro account is closed"
    for part in (part["value"] for part in letter["content"]):
        assert f"/accounts/reopen#token={token}" in part


async def test_a_person_whose_account_is_deleted_by_an_administrator_is_told(notifications: Notifications) -> None:
    person = notifications.identity.add_person()
    caused = delivery()
    event = events_pb2.AccountDeletionOrdered(user_id=str(person), org_id=str(notifications.org_id))
    async with notifications.sending():
        await notifications.handle(event, caused)
        (message,) = await notifications.settled(caused)
    assert (message.state, message.kind, message.lane) == ("sent", "account_removed", "security")
    (letter,) = notifications.providers.letters_to(f"{person}@example.com")
    assert "privacy@lotpro.space" in letter["content"][0]["value"]


async def test_when_the_address_is_gone_the_message_fails_and_is_not_tried_again(notifications: Notifications) -> None:
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(events_pb2.AccountInactivityWarned(user_id=str(uuid4()), days_left=7), caused)
        (message,) = await notifications.settled(caused)
    assert (message.state, message.reason) == ("failed", "notifications.no_address")


async def test_whoever_is_gone_stands_in_no_row_and_the_organisations_messages_stay(
    notifications: Notifications,
) -> None:
    people = [notifications.identity.add_person(phone="+14025550142") for _ in range(2)]
    org_id = notifications.org_id
    notifications.identity.owners[str(org_id)] = [str(person) for person in people]
    caused = delivery()
    sold = inventory_events.VehicleSold(
        org_id=str(org_id), sale_id=str(notifications.inventory.add_sale(org_id)), customer_id=str(uuid4())
    )
    async with notifications.sending():
        await notifications.handle(sold, caused)
        assert len(await notifications.settled(caused)) == 4
    for person in people:
        await choose(notifications, person)
        for event in (events_pb2.AccountAnonymised, events_pb2.AccountDeleted):
            await notifications.handle(event(user_id=str(person)), delivery())
    found = await notifications.of_event(caused)
    assert [(message.user_id, message.provider_id, message.org_id) for message in found] == [(None, None, org_id)] * 4
    stored = await dump(notifications)
    assert not any(str(person) in stored for person in people)


async def choose(notifications: Notifications, person: UUID) -> None:
    """The person switches something off."""
    token = notifications.signer.user_token(user_id=person, org_id=notifications.org_id, roles={"*": ["org_owner"]})
    async with notifications.client() as client:
        answer = await client.patch(
            "/api/notifications/v1/preferences", json={"sms_alerts": False},
            headers={"authorization": f"Bearer {token}", "if-match": '"v0"'},
        )
    assert answer.status_code == 200, answer.text


async def dump(notifications: Notifications) -> str:
    """Every row of what notifications keeps."""
    async with notifications.runtime.database.begin(system(scope=SCOPE)) as session:
        rows = [
            row for table in ("messages", "preferences")
            for row in (await session.execute(text(f"SELECT t::text FROM {table} t"))).scalars()
        ]
    return "\n".join(rows)
