"""The doors: an organisation reads its own messages and nobody else's."""

from uuid import uuid4

import grpc
import pytest

from lotpro.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from lotpro.privacy.v1 import events_pb2 as privacy_events
from lotpro_kit import bus, rpc, testing
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery

URL = "/api/notifications/v1/messages"


async def queue(notifications: Notifications) -> bus.Delivery:
    caused = delivery()
    event = privacy_events.RequestAnswered(
        org_id=str(notifications.org_id), request_id=str(uuid4()), opened_by=str(notifications.identity.add_person())
    )
    await notifications.handle(event, caused)
    return caused


async def test_the_owner_lists_the_organisations_messages_page_by_page(notifications: Notifications) -> None:
    caused = [await queue(notifications) for _ in range(3)]
    ids = [str((await notifications.of_event(one))[0].id) for one in caused]
    async with notifications.client("org_owner") as client:
        first = (await client.get(URL, params={"limit": 2})).json()
        assert [item["id"] for item in first["items"]] == [ids[2], ids[1]]
        rest = (await client.get(URL, params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert ([item["id"] for item in rest["items"]], rest["next_cursor"]) == ([ids[0]], None)
        assert (await client.get(URL, params={"state": "failed"})).json()["items"] == []
        misused = await client.get(URL, params={"cursor": first["next_cursor"], "state": "failed"})
        assert (misused.status_code, misused.json()["code"]) == (422, "request.invalid_cursor")
    item = first["items"][0]
    assert {key: item[key] for key in ("kind", "lane", "channel", "state", "reason", "attempts")} == {
        "kind": "request_answered", "lane": "transactional", "channel": "email", "state": "queued", "reason": None,
        "attempts": 0,
    }


async def test_anonymous_powerless_and_foreign_callers_see_nothing(notifications: Notifications) -> None:
    await queue(notifications)
    async with notifications.anonymous() as client:
        assert (await client.get(URL)).status_code == 401
    async with notifications.client("sales", "store_admin") as client:
        assert (await client.get(URL)).status_code == 403
    async with notifications.client("org_owner", org_id=uuid4()) as client:
        assert (await client.get(URL)).json() == {"items": [], "next_cursor": None}


async def test_identity_asks_how_far_an_events_messages_have_come(notifications: Notifications) -> None:
    caused = await queue(notifications)
    request = notifications_pb2.ListDeliveriesRequest(source_event_id=str(caused.id))
    async with testing.serve_rpc(notifications.parts, notifications.runtime, notifications.signer) as channel_as:
        stub = notifications_pb2_grpc.NotificationsServiceStub(channel_as("identity"))
        (found,) = (await stub.ListDeliveries(request)).deliveries
        assert (found.channel, found.state) == ("email", "queued")
        unknown = notifications_pb2.ListDeliveriesRequest(source_event_id=str(uuid4()))
        assert not (await stub.ListDeliveries(unknown)).deliveries
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await notifications_pb2_grpc.NotificationsServiceStub(channel_as("inventory")).ListDeliveries(request)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_call_without_a_token_is_refused(notifications: Notifications) -> None:
    server = rpc.create_server(notifications.parts.servicers, notifications.runtime.service_tokens)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await notifications_pb2_grpc.NotificationsServiceStub(channel).ListDeliveries(
                notifications_pb2.ListDeliveriesRequest(source_event_id=str(uuid4()))
            )
    await server.stop(None)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
