"""The gRPC door of sales, for the services that write to people about them."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from lotpro.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from lotpro_inventory.sales import service
from lotpro_inventory.vehicles import service as vehicles
from lotpro_kit import rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database


class InventoryRpc(inventory_pb2_grpc.InventoryServiceServicer):
    """InventoryService of the contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetSale(  # noqa: N802 - gRPC's name
        self, request: inventory_pb2.GetSaleRequest, context: Any
    ) -> inventory_pb2.GetSaleResponse:
        """A sale and its vehicle inside one organisation; NOT_FOUND for any other's."""
        org_id, sale_id = rpc.request_id(request.org_id), rpc.request_id(request.sale_id)
        ours = system(org_id)
        async with self._database.begin(ours) as session:
            sale = await service.sale_of_organisation(session=session, org_id=org_id, sale_id=sale_id)
            vehicle = await vehicles.vehicle(session=session, caller=ours, vehicle_id=sale.vehicle_id)
        sold = Timestamp()
        sold.FromDatetime(sale.sold_at)
        return inventory_pb2.GetSaleResponse(
            sale_id=str(sale.id),
            store_id=str(sale.store_id),
            vehicle_id=str(vehicle.id),
            vin=vehicle.vin,
            stock_number=vehicle.stock_number,
            year=vehicle.year or 0,
            make=vehicle.make or "",
            model=vehicle.model or "",
            price_amount=sale.price_amount,
            price_currency=sale.price_currency,
            seller_id=str(sale.seller_id),
            sold_time=sold,
        )
