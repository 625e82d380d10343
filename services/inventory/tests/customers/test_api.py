"""Recording, finding and seeing customers, whose data is never stored in clear."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from lotpro_kit.caller import system
from services.inventory.tests.conftest import CUSTOMERS, Dealer

DANA = {"name": "Dana Fields", "email": "Dana.Fields@Example.com", "phone": "303-555-0142"}


async def test_a_customer_is_stored_encrypted_and_found_by_address_within_the_store(dealer: Dealer) -> None:
    body = DANA | {"store_id": str(dealer.store_id)}
    async with dealer.client("sales") as client:
        added = await client.post(CUSTOMERS, json=body, headers={"idempotency-key": "c"})
        assert added.status_code == 201, added.text
        customer = added.json()
        assert (customer["email"], customer["phone"]) == ("Dana.Fields@example.com", "+13035550142")
        found = await client.post(f"{CUSTOMERS}:find", json={"email": "dana.fields@example.com"})
        assert found.json()["items"] == [customer]
        assert (await client.post(f"{CUSTOMERS}:find", json={"email": "x@example.com"})).json()["items"] == []
    async with dealer.client("sales", store_id=dealer.other_store_id) as neighbour:
        assert (await neighbour.post(f"{CUSTOMERS}:find", json={"email": DANA["email"]})).json()["items"] == []
    async with dealer.runtime.database.begin(system(dealer.org_id)) as session:
        row = (await session.execute(text("SELECT * FROM customers"))).one()
    assert b"Dana" not in row.name
    assert b"example" not in row.email
    assert b"0142" not in row.phone


async def test_the_same_address_has_another_digest_in_another_store(dealer: Dealer) -> None:
    async with dealer.client("org_owner", store_id="*") as client:
        for store_id in (dealer.store_id, dealer.other_store_id):
            added = await client.post(CUSTOMERS, json=DANA | {"store_id": str(store_id)})
            assert added.status_code == 201
        found = await client.post(f"{CUSTOMERS}:find", json={"email": DANA["email"]})
        assert len(found.json()["items"]) == 2
    async with dealer.runtime.database.begin(system(dealer.org_id)) as session:
        digests = (await session.execute(text("SELECT DISTINCT email_index FROM customers"))).all()
    assert len(digests) == 2


async def test_every_look_at_customers_is_recorded(dealer: Dealer) -> None:
    async with dealer.client("manager") as client:
        customer = (await client.post(CUSTOMERS, json=DANA | {"store_id": str(dealer.store_id)})).json()
        await client.get(f"{CUSTOMERS}/{customer['id']}")
        await client.get(CUSTOMERS)
    records = await dealer.events("SecurityEvent")
    assert [record["action"] for record in records] == [
        "inventory:customer:add", "inventory:customer:view", "inventory:customer:list"
    ]
    assert records[1]["concerned_id"] == customer["id"]
    assert records[1]["actor_id"] == str(dealer.user_id)


async def test_an_erased_customers_row_stays_without_the_person(dealer: Dealer) -> None:
    async with dealer.client("manager") as client:
        customer = (await client.post(CUSTOMERS, json=DANA | {"store_id": str(dealer.store_id)})).json()
        async with dealer.runtime.database.begin(system(dealer.org_id)) as session:
            await session.execute(
                text("DELETE FROM data_keys WHERE subject_id = CAST(:id AS uuid)"), {"id": customer["id"]}
            )
        seen = (await client.get(f"{CUSTOMERS}/{customer['id']}")).json()
    assert (seen["id"], seen["name"], seen["email"], seen["phone"]) == (customer["id"], None, None, None)


@pytest.mark.parametrize("role", ["porter", "viewer", "compliance"])
async def test_those_who_trade_with_nobody_see_no_customer(dealer: Dealer, role: str) -> None:
    async with dealer.client("manager") as client:
        customer = (await client.post(CUSTOMERS, json=DANA | {"store_id": str(dealer.store_id)})).json()
    async with dealer.client(role) as client:
        for answer in (
            await client.get(f"{CUSTOMERS}/{customer['id']}"),
            await client.get(CUSTOMERS),
            await client.post(f"{CUSTOMERS}:find", json={"email": DANA["email"]}),
            await client.post(CUSTOMERS, json=DANA | {"store_id": str(dealer.store_id)}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")


async def test_customers_are_paged_and_filtered_by_store(dealer: Dealer) -> None:
    async with dealer.client("org_owner", store_id="*") as client:
        for number in range(3):
            await client.post(CUSTOMERS, json={"name": f"Buyer {number}", "store_id": str(dealer.store_id)})
        first = (await client.get(CUSTOMERS, params={"limit": 2})).json()
        rest = (await client.get(CUSTOMERS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
        names = [customer["name"] for customer in first["items"] + rest["items"]]
        assert names == ["Buyer 2", "Buyer 1", "Buyer 0"]
        elsewhere = await client.get(CUSTOMERS, params={"store_id": str(dealer.other_store_id)})
        assert elsewhere.json()["items"] == []
        assert (await client.get(f"{CUSTOMERS}/{uuid4()}")).status_code == 404
        assert (await client.get(f"{CUSTOMERS}/nonsense")).status_code == 404


async def test_bad_contact_data_is_named_and_never_repeated(dealer: Dealer) -> None:
    async with dealer.client("sales") as client:
        refused = await client.post(
            CUSTOMERS, json={"store_id": str(dealer.store_id), "name": " ", "email": "zoe@", "phone": "zoe"}
        )
    assert refused.status_code == 422
    pointers = {item["pointer"] for item in refused.json()["errors"]}
    assert pointers == {"/body/name", "/body/email", "/body/phone"}
    assert "zoe" not in refused.text
