"""The word that an alert on an organisation's log was raised: to its people of the alert's roles, once."""

from uuid import UUID, uuid4

from lotpro.audit.v1 import events_pb2
from lotpro_notifications.messages.domain import Channel, Lane
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery


def raised(notifications: Notifications, *, alert_id: UUID, roles: list[str], count: int = 7) -> events_pb2.AlertRaised:
    return events_pb2.AlertRaised(
        org_id=str(notifications.org_id), alert_id=str(alert_id), raised_id=str(uuid4()), count=count, minutes=10,
        recipient_roles=roles,
    )


def add_people(notifications: Notifications) -> dict[str, UUID]:
    roles = ("org_owner", "compliance", "sales")
    people = {role: notifications.identity.add_person(name="Jo Reader") for role in roles}
    org_id = str(notifications.org_id)
    notifications.identity.owners[org_id] = [str(people["org_owner"])]
    # The owner reads the log as well: one message all the same.
    notifications.identity.others[org_id] = {
        "compliance": [str(people["compliance"]), str(people["org_owner"])], "sales": [str(people["sales"])],
    }
    return people


async def test_people_of_the_alerts_roles_get_one_email_each_and_nobody_else(notifications: Notifications) -> None:
    people, alert_id, caused = add_people(notifications), uuid4(), delivery()
    event = raised(notifications, alert_id=alert_id, roles=["org_owner", "compliance"])
    async with notifications.sending():
        for _ in range(2):
            await notifications.handle(event, caused)
        messages = await notifications.settled(caused)
    assert sorted((message.user_id, message.channel, message.lane, message.state) for message in messages) == sorted(
        (people[role], Channel.EMAIL, Lane.SECURITY, "sent") for role in ("org_owner", "compliance")
    )
    assert notifications.providers.letters_to(f"{people['sales']}@example.com") == []
    [letter] = notifications.providers.letters_to(f"{people['compliance']}@example.com")
    text, html = (part["value"] for part in letter["content"])
    assert letter["subject"] == "An alert on your security log was raised"
    for content in (text, html):
        assert "Jo Reader" in content
        assert f"http://localhost:8080/security/alerts/{alert_id}" in content
    assert "7 events of the kind it watches for" in text
    # What is shown of it in a list of letters.
    preview = html.partition("display: none")[2].partition("</div>")[0]
    assert "7 events of the kind it watches for" in preview


async def test_one_event_is_told_as_one(notifications: Notifications) -> None:
    people, caused = add_people(notifications), delivery()
    async with notifications.sending():
        await notifications.handle(raised(notifications, alert_id=uuid4(), roles=["org_owner"], count=1), caused)
        await notifications.settled(caused)
    [letter] = notifications.providers.letters_to(f"{people['org_owner']}@example.com")
    assert "1 event of the kind" in letter["content"][0]["value"]


async def test_an_alert_for_roles_that_nobody_has_tells_nobody(notifications: Notifications) -> None:
    add_people(notifications)
    for roles in (["manager"], []):
        caused = delivery()
        await notifications.handle(raised(notifications, alert_id=uuid4(), roles=roles), caused)
        assert await notifications.of_event(caused) == []
