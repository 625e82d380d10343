"""Selling a vehicle, and seeing sales."""

import asyncio
from uuid import uuid4

import pytest

from services.inventory.tests import factories
from services.inventory.tests.conftest import CUSTOMERS, SALES, VEHICLES, Dealer


async def test_a_sale_names_seller_customer_and_price_and_is_announced_without_personal_data(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle()
    async with dealer.client("sales") as client:
        sold = await client.post(
            f"{VEHICLES}/{vehicle['id']}:sell", json=factories.sale_body(), headers={"if-match": '"v1"'}
        )
        assert sold.status_code == 201, sold.text
        sale = sold.json()
        assert sale["seller_id"] == str(dealer.user_id)
        assert sale["price"] == {"amount": 1_200_000, "currency": "USD"}
        seen = (await client.get(f"{VEHICLES}/{vehicle['id']}")).json()
        assert (seen["state"], seen["version"]) == ("sold", 2)
        customer = (await client.get(f"{CUSTOMERS}/{sale['customer_id']}")).json()
        assert (customer["name"], customer["email"], customer["phone"]) == (
            "Dana Fields", "Dana.Fields@example.com", "+13035550142"
        )
        assert (await client.get(f"{SALES}/{sale['id']}")).json() == sale
        assert (await client.get(SALES)).json()["items"] == [sale]
    (event,) = await dealer.events("VehicleSold")
    assert event == {
        "org_id": str(dealer.org_id), "store_id": str(dealer.store_id), "vehicle_id": vehicle["id"],
        "sale_id": sale["id"], "customer_id": sale["customer_id"], "seller_id": str(dealer.user_id), "version": "2",
    }
    records = {record["action"]: record for record in await dealer.events("SecurityEvent")}
    assert records["inventory:vehicle:sell"]["concerned_id"] == sale["customer_id"]
    assert {"inventory:customer:add", "inventory:customer:view", "inventory:sale:view"} <= records.keys()
    said = str(await dealer.events("")) + str(records)
    for personal in ("Dana", "dana", "5550142"):
        assert personal not in said


async def test_of_fifty_sellers_at_once_one_wins_and_the_others_leave_nothing_behind(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle()
    async with dealer.client("sales") as client:
        answers = await asyncio.gather(
            *(
                client.post(
                    f"{VEHICLES}/{vehicle['id']}:sell",
                    json=factories.sale_body(customer={"name": f"Buyer {number}", "email": f"b{number}@example.com"}),
                    headers={"if-match": '"v1"', "idempotency-key": f"seller-{number}"},
                )
                for number in range(50)
            )
        )
        won = [answer for answer in answers if answer.status_code == 201]
        lost = [answer for answer in answers if answer.status_code != 201]
        assert len(won) == 1
        assert {(answer.status_code, answer.json()["code"]) for answer in lost} == {
            (409, "inventory.vehicle_already_sold")
        }
        assert len((await client.get(SALES)).json()["items"]) == 1
        (customer,) = (await client.get(CUSTOMERS)).json()["items"]
        assert customer["id"] == won[0].json()["customer_id"]
    assert len(await dealer.events("VehicleSold")) == 1
    assert len(await dealer.events("CustomerAdded")) == 1


async def test_a_repeated_sale_with_its_key_gets_the_same_answer(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle()
    async with dealer.client("sales") as client:
        headers = {"if-match": '"v1"', "idempotency-key": "sale-1"}
        path = f"{VEHICLES}/{vehicle['id']}:sell"
        first = await client.post(path, json=factories.sale_body(), headers=headers)
        again = await client.post(path, json=factories.sale_body(), headers=headers)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        without = await client.post(path, json=factories.sale_body(), headers={"if-match": '"v1"'})
        assert (without.status_code, without.json()["code"]) == (409, "inventory.vehicle_already_sold")


async def test_a_sale_needs_the_present_version_and_a_state_that_can_be_sold(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle(state="incoming")
    path = f"{VEHICLES}/{vehicle['id']}"
    async with dealer.client("manager") as client:
        assert (await client.post(f"{path}:sell", json=factories.sale_body())).status_code == 428
        refused = await client.post(f"{path}:sell", json=factories.sale_body(), headers={"if-match": '"v1"'})
        assert (refused.status_code, refused.json()["code"]) == (409, "inventory.vehicle_transition_refused")
        await client.patch(path, json={"state": "intake"}, headers={"if-match": '"v1"'})
        stale = await client.post(f"{path}:sell", json=factories.sale_body(), headers={"if-match": '"v1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "request.stale")
    assert await dealer.events("VehicleSold") == []


async def test_a_sold_vehicles_price_stands_and_it_can_be_delivered(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle()
    await dealer.sell(vehicle)
    path = f"{VEHICLES}/{vehicle['id']}"
    async with dealer.client("manager") as client:
        refused = await client.patch(path, json={"price": None}, headers={"if-match": '"v2"'})
        assert (refused.status_code, refused.json()["code"]) == (409, "inventory.vehicle_already_sold")
        delivered = await client.patch(path, json={"state": "delivered"}, headers={"if-match": '"v2"'})
        assert delivered.json()["state"] == "delivered"


async def test_a_known_customer_of_the_store_can_buy_and_one_of_another_store_cannot(dealer: Dealer) -> None:
    first, second, away = (
        await dealer.add_vehicle(), await dealer.add_vehicle(), await dealer.add_vehicle(dealer.other_store_id)
    )
    sale = await dealer.sell(first)
    known = {"id": sale["customer_id"]}
    async with dealer.client("org_owner", store_id="*") as client:
        refused = await client.post(
            f"{VEHICLES}/{away['id']}:sell", json=factories.sale_body(customer=known), headers={"if-match": '"v1"'}
        )
        assert refused.status_code == 404
        assert (await client.get(f"{VEHICLES}/{away['id']}")).json()["state"] == "frontline"
    assert (await dealer.sell(second, customer=known))["customer_id"] == sale["customer_id"]


async def test_a_customer_with_the_same_name_and_address_is_not_recorded_twice(dealer: Dealer) -> None:
    first = await dealer.sell(await dealer.add_vehicle())
    again = await dealer.sell(
        await dealer.add_vehicle(), customer={"name": "DANA FIELDS", "email": "dana.fields@example.com"}
    )
    partner = await dealer.sell(
        await dealer.add_vehicle(), customer={"name": "Robin Fields", "email": "dana.fields@example.com"}
    )
    assert again["customer_id"] == first["customer_id"]
    assert partner["customer_id"] != first["customer_id"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"customer": {}},
        {"customer": {"id": "x"}},
        {"customer": {"name": ""}},
        {"customer": {"name": "A", "email": "nobody"}},
        {"customer": {"name": "A", "phone": "12"}},
        {"customer": {"name": "A", "surname": "B"}},
        {"price": None},
        {"price": {"amount": "1", "currency": "USD"}},
    ],
)
async def test_a_sale_of_the_wrong_shape_is_refused_and_nothing_is_half_written(
    dealer: Dealer, body: dict[str, object]
) -> None:
    vehicle = await dealer.add_vehicle()
    async with dealer.client("sales") as client:
        whole = factories.sale_body(**body) if body else {}
        refused = await client.post(f"{VEHICLES}/{vehicle['id']}:sell", json=whole, headers={"if-match": '"v1"'})
        assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid")
        assert (await client.get(f"{VEHICLES}/{vehicle['id']}")).json()["version"] == 1


async def test_sales_are_paged(dealer: Dealer) -> None:
    made = [await dealer.sell(await dealer.add_vehicle()) for _ in range(3)]
    async with dealer.client("sales") as client:
        first = (await client.get(SALES, params={"limit": 2})).json()
        rest = (await client.get(SALES, params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert (await client.get(SALES, params={"store_id": str(uuid4())})).json()["items"] == []
    assert [sale["id"] for sale in first["items"] + rest["items"]] == [sale["id"] for sale in reversed(made)]
    assert rest["next_cursor"] is None
