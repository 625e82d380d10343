"""Preferences: everybody's own, and honoured."""

from uuid import UUID, uuid4

import httpx

from lotpro.inventory.v1 import events_pb2
from lotpro_kit import testing
from lotpro_notifications import app
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery

URL = "/api/notifications/v1/preferences"


def client_of(notifications: Notifications, user_id: UUID) -> httpx.AsyncClient:
    token = notifications.signer.user_token(
        user_id=user_id, org_id=notifications.org_id, roles={str(uuid4()): ["porter"]}
    )
    return testing.client(app.SERVICE, notifications.runtime, notifications.parts, token)


async def test_who_turns_alerts_off_gets_the_email_and_no_sms(notifications: Notifications) -> None:
    loud, quiet = (notifications.identity.add_person(phone=f"+1500555{number}") for number in (1001, 1002))
    notifications.identity.owners[str(notifications.org_id)] = [str(loud), str(quiet)]
    async with client_of(notifications, quiet) as client:
        before = await client.get(URL)
        assert (before.json(), before.headers["etag"]) == ({"sms_alerts": True}, '"v0"')
        changed = await client.patch(URL, json={"sms_alerts": False}, headers={"if-match": '"v0"'})
        assert (changed.json(), changed.headers["etag"]) == ({"sms_alerts": False}, '"v1"')
    caused = delivery()
    event = events_pb2.VehicleSold(org_id=str(notifications.org_id), sale_id=str(uuid4()), customer_id=str(uuid4()))
    await notifications.handle(event, caused)
    queued = sorted((message.channel or "", message.user_id) for message in await notifications.of_event(caused))
    assert queued == sorted([("email", loud), ("email", quiet), ("sms", loud)])


async def test_a_change_needs_the_version_it_was_made_for(notifications: Notifications) -> None:
    async with client_of(notifications, uuid4()) as client:
        assert (await client.patch(URL, json={"sms_alerts": False})).status_code == 428
        first, lost = [
            await client.patch(URL, json={"sms_alerts": wanted}, headers={"if-match": '"v0"'})
            for wanted in (False, True)
        ]
        assert (first.status_code, lost.status_code) == (200, 412)
        untouched = await client.patch(URL, json={}, headers={"if-match": '"v1"'})
        assert (untouched.json(), untouched.headers["etag"]) == ({"sms_alerts": False}, '"v2"')
        wrong = await client.patch(URL, json={"sms_alert": True}, headers={"if-match": '"v2"'})
        assert wrong.status_code == 422


async def test_nobody_reads_or_changes_anothers_preferences(notifications: Notifications) -> None:
    async with client_of(notifications, uuid4()) as client:
        await client.patch(URL, json={"sms_alerts": False}, headers={"if-match": '"v0"'})
    async with client_of(notifications, uuid4()) as stranger:
        assert (await stranger.get(URL)).json() == {"sms_alerts": True}
    async with notifications.anonymous() as client:
        assert (await client.get(URL)).status_code == 401
        assert (await client.patch(URL, json={}, headers={"if-match": '"v0"'})).status_code == 401
