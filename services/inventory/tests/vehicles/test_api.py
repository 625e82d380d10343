"""Taking vehicles in, seeing, finding and changing them."""

from uuid import uuid4

import pytest

from services.inventory.tests import factories
from services.inventory.tests.conftest import VEHICLES, Dealer


async def test_a_vehicle_added_by_vin_is_decoded_and_announced(dealer: Dealer) -> None:
    async with dealer.client("manager") as client:
        body = factories.vehicle_body(dealer.store_id, vin=" 1hgcm82633a004352 ")
        added = await client.post(VEHICLES, json=body)
        assert added.status_code == 201, added.text
        assert added.headers["etag"] == '"v1"'
        vehicle = added.json()
        seen = await client.get(f"{VEHICLES}/{vehicle['id']}")
    known = {name: vehicle[name] for name in ("vin", "year", "make", "model", "trim", "body", "state", "stock_number")}
    assert known == {
        "vin": "1HGCM82633A004352", "year": 2003, "make": "Honda", "model": "Accord", "trim": "EX-V6",
        "body": "Coupe", "state": "frontline", "stock_number": "3A004352",
    }
    assert seen.json() == vehicle
    assert seen.headers["etag"] == '"v1"'
    (event,) = await dealer.events("VehicleAdded")
    assert event == {
        "org_id": str(dealer.org_id), "store_id": str(dealer.store_id), "vehicle_id": vehicle["id"], "version": "1"
    }
    (record,) = await dealer.events("SecurityEvent")
    assert (record["action"], record["subject_id"]) == ("inventory:vehicle:add", vehicle["id"])


@pytest.mark.parametrize(
    ("vin", "code"),
    [
        ("1HGCM82633A00435", "inventory.vin_malformed"),
        ("1HGCM82633A0043521", "inventory.vin_malformed"),
        ("1HGCM82633AOO4352", "inventory.vin_malformed"),
        ("1HGCM82633A00435é", "inventory.vin_malformed"),
        ("1HGCM82633A004353", "inventory.vin_check_digit"),
        ("WVWZZZ1JZXW000001", "inventory.vin_check_digit"),
        ("11111111111111111", "inventory.vin_unknown"),
    ],
)
async def test_a_bad_vin_is_refused_with_its_reason(dealer: Dealer, vin: str, code: str) -> None:
    async with dealer.client("manager") as client:
        refused = await client.post(VEHICLES, json=factories.vehicle_body(dealer.store_id, vin=vin))
        assert (refused.status_code, refused.json()["code"]) == (422, code)
        assert (await client.get(VEHICLES)).json()["items"] == []
    assert await dealer.events("VehicleAdded") == []


async def test_a_european_vin_comes_in_with_a_reason_that_goes_on_record(dealer: Dealer) -> None:
    reason = "Grey import, VIN read from the frame."
    vehicle = await dealer.add_vehicle(vin="WVWZZZ1JZXW000001", override_reason=reason)
    assert vehicle["make"] == "Volkswagen"
    (record,) = await dealer.events("SecurityEvent")
    assert record["changed_fields"] == ["override_reason"]
    assert reason not in str(record)


async def test_a_reason_that_was_not_needed_is_no_override(dealer: Dealer) -> None:
    await dealer.add_vehicle(override_reason="Just in case it is wrong.")
    (record,) = await dealer.events("SecurityEvent")
    assert "changed_fields" not in record


async def test_an_open_vin_is_in_stock_once_per_store_and_may_come_back_after_its_sale(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle()
    async with dealer.client("org_owner", store_id="*") as client:
        body = factories.vehicle_body(dealer.store_id, vin=vehicle["vin"], stock_number="OTHER-1")
        refused = await client.post(VEHICLES, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "inventory.vin_in_stock")
    elsewhere = await dealer.add_vehicle(dealer.other_store_id, vin=vehicle["vin"])
    assert elsewhere["stock_number"] == vehicle["stock_number"]
    await dealer.sell(vehicle)
    again = await dealer.add_vehicle(vin=vehicle["vin"])
    assert again["stock_number"] == f"{vehicle['stock_number']}-2"


async def test_a_stock_number_is_given_once_per_store(dealer: Dealer) -> None:
    await dealer.add_vehicle(stock_number="A1")
    async with dealer.client("manager") as client:
        refused = await client.post(VEHICLES, json=factories.vehicle_body(dealer.store_id, stock_number="A1"))
        assert (refused.status_code, refused.json()["code"]) == (409, "inventory.stock_number_taken")
    await dealer.add_vehicle(dealer.other_store_id, stock_number="A1")


async def test_cost_is_seen_only_by_those_who_may(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle()
    assert vehicle["cost"] == {"amount": 900_000, "currency": "USD"}
    for role in ("sales", "porter", "viewer"):
        async with dealer.client(role) as client:
            seen = await client.get(f"{VEHICLES}/{vehicle['id']}")
            assert seen.status_code == 200
            assert seen.json()["cost"] is None
            assert (await client.get(VEHICLES)).json()["items"][0]["cost"] is None
    async with dealer.client("manager") as client:
        assert (await client.get(f"{VEHICLES}/{vehicle['id']}")).json()["cost"] == vehicle["cost"]


async def test_a_store_is_learnt_from_identity_when_its_event_has_not_come(dealer: Dealer) -> None:
    await dealer.add_vehicle()
    await dealer.add_vehicle()
    assert dealer.identity.asked.count(dealer.org_id) == 1


async def test_a_store_that_identity_does_not_know_or_the_caller_does_not_reach_is_not_found(dealer: Dealer) -> None:
    async with dealer.client("org_owner", store_id="*") as client:
        assert (await client.post(VEHICLES, json=factories.vehicle_body(uuid4()))).status_code == 404
    async with dealer.client("manager") as client:
        body = factories.vehicle_body(dealer.other_store_id)
        assert (await client.post(VEHICLES, json=body)).status_code == 404
    async with dealer.client("org_owner", org_id=uuid4(), store_id="*") as stranger:
        assert (await stranger.post(VEHICLES, json=factories.vehicle_body(dealer.store_id))).status_code == 404


async def test_the_list_filters_searches_and_goes_on_where_it_stopped(dealer: Dealer) -> None:
    hondas = [await dealer.add_vehicle(stock_number=f"H{number}") for number in range(5)]
    ford = await dealer.add_vehicle(vin="1FTFW1ET7DFC10312", state="recon", override_reason="Read from the frame.")
    away = await dealer.add_vehicle(dealer.other_store_id)
    async with dealer.client("org_owner", store_id="*") as client:

        async def found(**wanted: str) -> list[str]:
            answer = await client.get(VEHICLES, params=wanted)
            assert answer.status_code == 200, answer.text
            return [item["id"] for item in answer.json()["items"]]

        newest_first = [away["id"], ford["id"], *(honda["id"] for honda in reversed(hondas))]
        assert await found() == newest_first
        assert await found(store_id=str(dealer.other_store_id)) == [away["id"]]
        assert await found(state="recon") == [ford["id"]]
        assert await found(make="ford") == [ford["id"]]
        assert await found(q="F-150") == [ford["id"]]
        assert await found(q=hondas[2]["vin"][-8:].lower()) == [hondas[2]["id"]]
        assert await found(q=hondas[2]["vin"]) == [hondas[2]["id"]]
        assert await found(q="h3") == [hondas[3]["id"]]
        assert await found(q="2003 accord", store_id=str(dealer.store_id)) == newest_first[2:]
        assert await found(q="accord", state="recon") == []
        assert await found(q="%") == []
        assert await found(q="one two three four five six") == []
        for wanted in ({}, {"q": "honda"}, {"make": "Honda"}):
            pages, cursor = [], None
            while True:
                onwards = {"cursor": cursor} if cursor else {}
                page = await client.get(VEHICLES, params=wanted | {"limit": "2"} | onwards)
                pages += [item["id"] for item in page.json()["items"]]
                cursor = page.json()["next_cursor"]
                if cursor is None:
                    break
            assert pages == (newest_first if not wanted else [item for item in newest_first if item != ford["id"]])
        first = (await client.get(VEHICLES, params={"limit": 2})).json()["next_cursor"]
        refused = await client.get(VEHICLES, params={"limit": 2, "state": "recon", "cursor": first})
        assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid_cursor")
        assert (await client.get(VEHICLES, params={"cursor": "zz"})).status_code == 422
        assert (await client.get(VEHICLES, params={"limit": 201})).status_code == 422
    async with dealer.client("viewer", store_id=dealer.other_store_id) as client:
        assert await found() == [away["id"]]
        assert await found(q="honda") == [away["id"]]
        assert await found(q="honda", store_id=str(dealer.store_id)) == []


async def test_a_change_needs_the_version_it_was_made_for(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle()
    path = f"{VEHICLES}/{vehicle['id']}"
    async with dealer.client("manager") as client:
        assert (await client.patch(path, json={"color": "Red"})).status_code == 428
        changed = await client.patch(
            path, json={"color": None, "mileage": 81_300, "state": "recon"}, headers={"if-match": '"v1"'}
        )
        assert changed.status_code == 200, changed.text
        assert changed.headers["etag"] == '"v2"'
        stale = await client.patch(path, json={"color": "Red"}, headers={"if-match": '"v1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "request.stale")
        seen = (await client.get(path)).json()
    assert seen == vehicle | {
        "color": None, "mileage": 81_300, "state": "recon", "version": 2, "updated_at": seen["updated_at"]
    }
    (event,) = await dealer.events("VehicleUpdated")
    assert (event["vehicle_id"], event["version"]) == (vehicle["id"], "2")
    record = (await dealer.events("SecurityEvent"))[-1]
    assert record["changed_fields"] == ["color", "mileage", "state"]


@pytest.mark.parametrize(
    "body",
    [
        {"vin": "1HGCM82633A004352"},
        {"state": "gone"},
        {"state": None},
        {"stock_number": None},
        {"price": {"amount": -1, "currency": "USD"}},
        {"price": {"amount": 1.5, "currency": "USD"}},
        {"price": {"amount": 1, "currency": "usd"}},
        {"price": {"amount": 1, "currency": "USD", "note": "x"}},
        {"mileage": "many"},
        {"mileage": -1},
    ],
)
async def test_a_change_of_the_wrong_shape_is_refused(dealer: Dealer, body: dict[str, object]) -> None:
    vehicle = await dealer.add_vehicle()
    async with dealer.client("manager") as client:
        path = f"{VEHICLES}/{vehicle['id']}"
        refused = await client.patch(path, json=body, headers={"if-match": '"v1"'})
        assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid")
        assert (await client.get(path)).json() == vehicle


async def test_states_go_only_the_ways_of_the_table(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle(state="incoming")
    path = f"{VEHICLES}/{vehicle['id']}"
    async with dealer.client("manager") as client:
        for state in ("frontline", "sold", "delivered"):
            refused = await client.patch(path, json={"state": state}, headers={"if-match": '"v1"'})
            assert (refused.status_code, refused.json()["code"]) == (409, "inventory.vehicle_transition_refused")
        for version, state in enumerate(("intake", "recon", "frontline", "hold", "pending", "frontline"), start=1):
            moved = await client.patch(path, json={"state": state}, headers={"if-match": f'"v{version}"'})
            assert (moved.status_code, moved.json()["state"]) == (200, state)
        body = factories.vehicle_body(dealer.store_id, state="sold")
        assert (await client.post(VEHICLES, json=body)).status_code == 409


async def test_the_same_idempotency_key_adds_one_vehicle(dealer: Dealer) -> None:
    body = factories.vehicle_body(dealer.store_id)
    async with dealer.client("manager") as client:
        first = await client.post(VEHICLES, json=body, headers={"idempotency-key": "k"})
        again = await client.post(VEHICLES, json=body, headers={"idempotency-key": "k"})
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert len((await client.get(VEHICLES)).json()["items"]) == 1
