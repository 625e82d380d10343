"""Learning stores by identity's events."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from lotpro.identity.v1 import events_pb2
from lotpro_kit import bus, ids
from lotpro_kit.caller import system
from services.inventory.tests import factories
from services.inventory.tests.conftest import Dealer


def delivery(event_id: UUID) -> bus.Delivery:
    kind = events_pb2.StoreOpened.DESCRIPTOR.full_name
    return bus.Delivery(id=event_id, type=kind, source="lotpro/identity", time=datetime.now(UTC), attempt=1)


async def stores(dealer: Dealer) -> dict[UUID, str]:
    async with dealer.runtime.database.begin(system(dealer.org_id)) as session:
        rows = await session.execute(text("SELECT id, time_zone FROM stores"))
        return {row.id: row.time_zone for row in rows}


def handler(dealer: Dealer) -> Any:
    (consumer,) = dealer.parts.consumers
    assert consumer.topic == "identity"
    return consumer.handlers[events_pb2.StoreOpened]


async def test_an_opened_store_is_known_with_its_time_zone_once_however_often_the_event_comes(dealer: Dealer) -> None:
    event = events_pb2.StoreOpened(org_id=str(dealer.org_id), store_id=str(dealer.store_id), version=1)
    event_id = ids.new()
    await handler(dealer)(event, delivery(event_id))
    await handler(dealer)(event, delivery(event_id))
    assert await stores(dealer) == {dealer.store_id: "America/Denver", dealer.other_store_id: "America/New_York"}
    assert dealer.identity.asked.count(dealer.org_id) == 1
    await dealer.add_vehicle()
    assert dealer.identity.asked.count(dealer.org_id) == 1


async def test_a_later_event_brings_the_present_time_zone(dealer: Dealer) -> None:
    event = events_pb2.StoreOpened(org_id=str(dealer.org_id), store_id=str(dealer.store_id), version=1)
    await handler(dealer)(event, delivery(ids.new()))
    dealer.identity.stores[dealer.org_id][dealer.store_id] = "America/Phoenix"
    await handler(dealer)(event, delivery(ids.new()))
    assert (await stores(dealer))[dealer.store_id] == "America/Phoenix"


async def test_a_store_of_one_organisation_is_never_taken_over_by_another(dealer: Dealer) -> None:
    await dealer.add_vehicle()
    stranger = ids.new()
    dealer.identity.stores[stranger] = {dealer.store_id: "Europe/Berlin"}
    async with dealer.client("org_owner", org_id=stranger, store_id="*") as client:
        refused = await client.post(
            "/api/inventory/v1/vehicles", json=factories.vehicle_body(dealer.store_id)
        )
    assert refused.status_code == 404
    assert (await stores(dealer))[dealer.store_id] == "America/Denver"
