"""GetSale: for the services the contract names, inside one organisation."""

from uuid import uuid4

import grpc
import pytest

from lotpro.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from lotpro_kit import testing
from services.inventory.tests.conftest import Dealer


async def test_a_sale_is_told_without_customer_data(dealer: Dealer) -> None:
    vehicle = await dealer.add_vehicle()
    sale = await dealer.sell(vehicle)
    async with testing.serve_rpc(dealer.parts, dealer.runtime, dealer.signer) as channel_as:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel_as("notifications"))
        answer = await stub.GetSale(inventory_pb2.GetSaleRequest(org_id=str(dealer.org_id), sale_id=sale["id"]))
    assert (answer.vin, answer.year, answer.make, answer.model) == (vehicle["vin"], 2003, "Honda", "Accord")
    assert (answer.price_amount, answer.price_currency) == (1_200_000, "USD")
    assert answer.seller_id == str(dealer.user_id)
    assert answer.sold_time.ToDatetime().isoformat()[:19] == sale["sold_at"][:19]


@pytest.mark.parametrize(
    ("caller", "org", "sale", "status"),
    [
        ("audit", "own", "own", grpc.StatusCode.PERMISSION_DENIED),
        ("billing", "other", "own", grpc.StatusCode.NOT_FOUND),
        ("billing", "own", "other", grpc.StatusCode.NOT_FOUND),
        ("billing", "own", "nonsense", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_other_callers_and_other_organisations_get_nothing(
    dealer: Dealer, caller: str, org: str, sale: str, status: grpc.StatusCode
) -> None:
    made = await dealer.sell(await dealer.add_vehicle())
    request = inventory_pb2.GetSaleRequest(
        org_id=str(dealer.org_id if org == "own" else uuid4()),
        sale_id={"own": made["id"], "other": str(uuid4()), "nonsense": "x"}[sale],
    )
    async with testing.serve_rpc(dealer.parts, dealer.runtime, dealer.signer) as channel_as:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await inventory_pb2_grpc.InventoryServiceStub(channel_as(caller)).GetSale(request)
    assert refused.value.code() is status
