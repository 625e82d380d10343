"""Scheduling the hand-over of a sold vehicle."""

from datetime import UTC, datetime, timedelta

import pytest

from services.inventory.tests.conftest import DELIVERIES, Dealer


@pytest.fixture
def at_noon(dealer: Dealer) -> Dealer:
    """The dealer on a known day."""
    dealer.clock.now = datetime(2026, 10, 20, 18, 0, tzinfo=UTC)
    return dealer


async def test_a_delivery_is_read_off_the_stores_clocks_and_announced(at_noon: Dealer) -> None:
    vehicle = await at_noon.add_vehicle()
    sale = await at_noon.sell(vehicle)
    async with at_noon.client("sales") as client:
        body = {"vehicle_id": vehicle["id"], "starts_at": "2026-11-02T16:30:00"}
        made = await client.post(DELIVERIES, json=body, headers={"idempotency-key": "d"})
        assert made.status_code == 201, made.text
        again = await client.post(DELIVERIES, json=body)
        assert (again.status_code, again.json()["code"]) == (409, "inventory.delivery_already_scheduled")
    delivery = made.json()
    assert delivery["starts_at"] == "2026-11-02T23:30:00Z"
    assert delivery["starts_at_local"] == "2026-11-02T16:30:00-07:00"
    assert (delivery["time_zone"], delivery["sale_id"]) == ("America/Denver", sale["id"])
    async with at_noon.client("porter") as porter:
        seen = (await porter.get(f"{DELIVERIES}/{delivery['id']}")).json()
        assert seen == delivery
        assert "customer_id" not in seen
        assert (await porter.get(DELIVERIES)).json()["items"] == [delivery]
        assert (await porter.post(DELIVERIES, json=body)).status_code == 403
    (event,) = await at_noon.events("DeliveryScheduled")
    assert (event["delivery_id"], event["customer_id"]) == (delivery["id"], sale["customer_id"])


@pytest.mark.parametrize(
    ("starts_at", "code"),
    [
        ("2026-11-01T01:30:00", "inventory.delivery_time_ambiguous"),
        ("2027-03-14T02:30:00", "inventory.delivery_time_does_not_exist"),
        ("2026-10-20T11:59:00", "inventory.delivery_in_the_past"),
        ("2026-10-20T17:59:00Z", "inventory.delivery_in_the_past"),
        ("tomorrow", "request.invalid"),
    ],
)
async def test_a_time_that_cannot_be_is_refused(at_noon: Dealer, starts_at: str, code: str) -> None:
    vehicle = await at_noon.add_vehicle()
    await at_noon.sell(vehicle)
    async with at_noon.client("sales") as client:
        refused = await client.post(DELIVERIES, json={"vehicle_id": vehicle["id"], "starts_at": starts_at})
        assert (refused.status_code, refused.json()["code"]) == (422, code)
        assert (await client.get(DELIVERIES)).json()["items"] == []


async def test_only_a_sold_vehicle_is_delivered(at_noon: Dealer) -> None:
    vehicle = await at_noon.add_vehicle()
    async with at_noon.client("sales") as client:
        refused = await client.post(
            DELIVERIES, json={"vehicle_id": vehicle["id"], "starts_at": "2026-11-02T16:30:00"}
        )
    assert (refused.status_code, refused.json()["code"]) == (409, "inventory.vehicle_not_sold")


async def test_deliveries_are_listed_the_soonest_first_from_a_moment_on(at_noon: Dealer) -> None:
    made = []
    async with at_noon.client("sales") as client:
        for days in (3, 1, 2):
            vehicle = await at_noon.add_vehicle()
            await at_noon.sell(vehicle)
            starts_at = (at_noon.clock.now + timedelta(days=days)).isoformat()
            answer = await client.post(DELIVERIES, json={"vehicle_id": vehicle["id"], "starts_at": starts_at})
            made.append(answer.json())
        soonest_first = sorted(made, key=lambda delivery: str(delivery["starts_at"]))
        first = (await client.get(DELIVERIES, params={"limit": 2})).json()
        rest = (await client.get(DELIVERIES, params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert first["items"] + rest["items"] == soonest_first
        since = (at_noon.clock.now + timedelta(days=2)).isoformat()
        later = await client.get(DELIVERIES, params={"since": since, "store_id": str(at_noon.store_id)})
        assert later.json()["items"] == soonest_first[1:]
        assert (await client.get(DELIVERIES, params={"since": "2026-10-20T00:00:00"})).status_code == 422
