"""Every operation of the HTTP API: refused to the anonymous, empty for other organisations and other stores."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lotpro_inventory import app
from lotpro_kit import service
from services.inventory.tests import factories
from services.inventory.tests.conftest import CUSTOMERS, DELIVERIES, SALES, VEHICLES, Dealer


@dataclass(frozen=True)
class Stock:
    """What the dealer has: one vehicle for sale, one sold and scheduled."""

    vehicle: dict[str, Any]
    sold: dict[str, Any]
    sale: dict[str, Any]
    delivery: dict[str, Any]


@pytest.fixture
async def stock(dealer: Dealer) -> Stock:
    vehicle, sold = await dealer.add_vehicle(), await dealer.add_vehicle()
    sale = await dealer.sell(sold)
    async with dealer.client("sales") as client:
        body = {"vehicle_id": sold["id"], "starts_at": "2099-06-01T10:00:00"}
        delivery = (await client.post(DELIVERIES, json=body)).json()
    return Stock(vehicle, sold, sale, delivery)


Request = tuple[str, str, dict[str, Any] | None]


def requests(dealer: Dealer, stock: Stock) -> dict[str, Request]:
    """A good request for each operation, naming what is this dealer's."""
    contact = {"name": "Eve", "email": "dana.fields@example.com"}
    return {
        "add_vehicle": ("POST", VEHICLES, factories.vehicle_body(dealer.store_id)),
        "view_vehicle": ("GET", f"{VEHICLES}/{stock.vehicle['id']}", None),
        "list_vehicles": ("GET", VEHICLES, None),
        "update_vehicle": ("PATCH", f"{VEHICLES}/{stock.vehicle['id']}", {"color": "Red"}),
        "sell_vehicle": ("POST", f"{VEHICLES}/{stock.vehicle['id']}:sell", factories.sale_body()),
        "add_customer": ("POST", CUSTOMERS, contact | {"store_id": str(dealer.store_id)}),
        "view_customer": ("GET", f"{CUSTOMERS}/{stock.sale['customer_id']}", None),
        "list_customers": ("GET", CUSTOMERS, None),
        "find_customers": ("POST", f"{CUSTOMERS}:find", {"email": "dana.fields@example.com"}),
        "view_sale": ("GET", f"{SALES}/{stock.sale['id']}", None),
        "list_sales": ("GET", SALES, None),
        "schedule_delivery": (
            "POST", DELIVERIES, {"vehicle_id": stock.sold["id"], "starts_at": "2099-06-02T10:00:00"}
        ),
        "view_delivery": ("GET", f"{DELIVERIES}/{stock.delivery['id']}", None),
        "list_deliveries": ("GET", DELIVERIES, None),
    }


async def send(client: httpx.AsyncClient, request: Request) -> httpx.Response:
    method, path, body = request
    return await client.request(method, path, json=body, headers={"if-match": '"v1"'})


def test_every_operation_has_its_request_here(dealer: Dealer, stock: Stock) -> None:
    paths = service.openapi(app.SERVICE)["paths"].values()
    operations = {operation["operationId"] for path in paths for operation in path.values()}
    assert operations == requests(dealer, stock).keys()


async def test_nobody_gets_anything_without_signing_in(dealer: Dealer, stock: Stock) -> None:
    async with dealer.anonymous() as client:
        for name, request in requests(dealer, stock).items():
            refused = await send(client, request)
            assert (refused.status_code, refused.json()["code"]) == (401, "auth.unauthenticated"), name


@pytest.mark.parametrize("where", ["other organisation", "other store"])
async def test_other_organisations_and_stores_find_nothing_and_change_nothing(
    dealer: Dealer, stock: Stock, where: str
) -> None:
    if where == "other organisation":
        outsider = dealer.client("org_owner", org_id=uuid4(), store_id="*")
    else:
        outsider = dealer.client("store_admin", "manager", "sales", store_id=dealer.other_store_id)
    before = await dealer.rows()
    async with outsider as client:
        for name, request in requests(dealer, stock).items():
            answer = await send(client, request)
            if name.startswith(("list_", "find_")):
                assert (answer.status_code, answer.json()["items"]) == (200, []), name
            else:
                assert (answer.status_code, answer.json()["code"]) == (404, "request.not_found"), name
    assert await dealer.rows() == before


async def test_without_a_caller_no_row_exists(dealer: Dealer, stock: Stock) -> None:
    assert await dealer.rows(signed_in=False) == dict.fromkeys(await dealer.rows(), 0)
