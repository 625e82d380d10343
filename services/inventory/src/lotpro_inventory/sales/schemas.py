"""HTTP shapes of sales."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from lotpro_inventory.customers.domain import Contact
from lotpro_inventory.customers.schemas import NewCustomer
from lotpro_inventory.money import Money
from lotpro_inventory.sales import domain
from lotpro_kit import api


class KnownCustomer(api.Body):
    """A customer the store has recorded."""

    id: UUID


class SellVehicle(api.Body):
    """To whom, and for how much."""

    customer: KnownCustomer | NewCustomer = Field(
        examples=[{"name": "Dana Fields", "email": "dana@example.com", "phone": "+13035550142"}]
    )
    price: Money

    def buyer(self) -> UUID | Contact:
        """The customer's id, or the data of a new one."""
        return self.customer.id if isinstance(self.customer, KnownCustomer) else self.customer.contact()


class Sale(api.Answer):
    """A vehicle sold."""

    id: UUID
    store_id: UUID
    vehicle_id: UUID
    customer_id: UUID
    seller_id: UUID
    price: Money
    sold_at: datetime
    version: int = Field(examples=[1])


class SalePage(api.Answer):
    """Sales, the newest first, and where the list goes on."""

    items: list[Sale]
    next_cursor: str | None = Field(description="Send as `cursor` for the next page; null on the last.")


def sale(row: domain.Sale) -> Sale:
    """A sale as it is answered."""
    return Sale(**{name: getattr(row, name) for name in Sale.model_fields})
