"""What notifications asks of inventory: the facts of a sale."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import grpc.aio

from lotpro.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from lotpro_kit import rpc


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale and its vehicle, without the customer. `price_amount` in minor units; `year` 0 when not known."""

    vin: str
    stock_number: str
    year: int
    make: str
    model: str
    price_amount: int
    price_currency: str
    sold_at: datetime


class Inventory(Protocol):
    """Inventory, as far as notifications needs it."""

    async def sale(self, org_id: UUID, sale_id: UUID) -> Sale:
        """A sale of the organisation; raises NotFound, and Unavailable when inventory is away."""
        ...


class InventoryOverGrpc:
    """Inventory's own gRPC service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = inventory_pb2_grpc.InventoryServiceStub(channel)

    async def sale(self, org_id: UUID, sale_id: UUID) -> Sale:
        with rpc.calling("inventory"):
            found = await self._stub.GetSale(inventory_pb2.GetSaleRequest(org_id=str(org_id), sale_id=str(sale_id)))
        return Sale(
            vin=found.vin,
            stock_number=found.stock_number,
            year=found.year,
            make=found.make,
            model=found.model,
            price_amount=found.price_amount,
            price_currency=found.price_currency,
            sold_at=found.sold_time.ToDatetime(UTC),
        )
