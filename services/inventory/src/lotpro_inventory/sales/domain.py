"""What a sale is."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lotpro_inventory.money import Currency, Money


@dataclass(frozen=True, slots=True)
class Sale:
    """Who sold which vehicle to whom, for how much (minor units)."""

    id: UUID
    org_id: UUID
    store_id: UUID
    vehicle_id: UUID
    customer_id: UUID
    seller_id: UUID
    price_amount: int
    price_currency: Currency
    sold_at: datetime
    version: int

    @property
    def price(self) -> Money:
        """What the customer pays."""
        return Money(self.price_amount, self.price_currency)
