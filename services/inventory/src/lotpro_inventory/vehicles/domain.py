"""What a vehicle is, and what can be wrong with one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lotpro_inventory import money
from lotpro_inventory.money import Currency, Money
from lotpro_inventory.vehicles.states import State
from lotpro_kit import errors


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A stay of a car in a store's stock. `mileage` in miles; amounts in minor units; times in UTC."""

    id: UUID
    org_id: UUID
    store_id: UUID
    vin: str
    stock_number: str
    state: State
    year: int | None
    make: str | None
    model: str | None
    trim: str | None
    body: str | None
    color: str | None
    mileage: int | None
    price_amount: int | None
    price_currency: Currency | None
    cost_amount: int | None
    cost_currency: Currency | None
    override_reason: str | None
    added_by: UUID
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def price(self) -> Money | None:
        """What is asked for it."""
        return money.from_columns(self.price_amount, self.price_currency)

    @property
    def cost(self) -> Money | None:
        """What the store paid for it; only for those who may see it."""
        return money.from_columns(self.cost_amount, self.cost_currency)


class VinMalformed(errors.Invalid):
    """Not 17 letters and digits, or with I, O or Q, which are in no VIN."""

    code = "inventory.vin_malformed"
    message = "A VIN has 17 letters and digits, without I, O and Q."


class VinCheckDigit(errors.Invalid):
    """The ninth character is not the check digit: mistyped, or a car not made for North America."""

    code = "inventory.vin_check_digit"
    message = "The VIN's check digit is wrong. If the car really carries this VIN, say why in override_reason."


class VinUnknown(errors.Invalid):
    """The check digit is right, but no maker ever assigned such a VIN."""

    code = "inventory.vin_unknown"
    message = "No maker is known for this VIN. If the car really carries it, say why in override_reason."


class VinInStock(errors.Conflict):
    """The store has a vehicle with this VIN that is not sold."""

    code = "inventory.vin_in_stock"
    message = "A vehicle with this VIN is in this store's stock already."


class StockNumberTaken(errors.Conflict):
    """Another vehicle of the store has or had this stock number."""

    code = "inventory.stock_number_taken"
    message = "Another vehicle of this store has this stock number."


class VehicleAlreadySold(errors.Conflict):
    """Somebody was faster."""

    code = "inventory.vehicle_already_sold"
    message = "This vehicle has been sold."
