"""HTTP shapes of vehicles."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from lotpro_inventory.money import Money
from lotpro_inventory.vehicles import domain, service
from lotpro_inventory.vehicles.states import State
from lotpro_kit import api
from lotpro_kit.caller import Caller

StockNumber = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
Word = Annotated[str, Field(min_length=1, max_length=80)]
Year = Annotated[int, Field(strict=True, ge=1900, le=2100)]
#: A car that has been to the moon and back five times has gone fewer miles.
Miles = Annotated[int, Field(strict=True, ge=0, le=3_000_000)]


class AddVehicle(api.Body):
    """A vehicle that comes into stock; year, make, model, trim and body are decoded from its VIN."""

    store_id: UUID
    vin: str = Field(min_length=1, max_length=40, examples=["1HGCM82633A004352"])
    stock_number: StockNumber | None = Field(default=None, examples=["A1042"], description="Else the VIN's last eight.")
    price: Money | None = Field(default=None, description="What is asked for it.")
    cost: Money | None = Field(default=None, description="What the store paid for it.")
    mileage: Miles | None = Field(default=None, examples=[41_250], description="Miles.")
    color: Word | None = Field(default=None, examples=["Graphite Pearl"])
    state: State = Field(default=State.FRONTLINE, examples=["intake"])
    override_reason: Annotated[str, Field(min_length=5, max_length=300)] | None = Field(
        default=None, description="Why a VIN is right whose check digit or maker is not; goes on record.",
        examples=["Grey import from Germany, VIN read from the frame."],
    )

    def intake(self) -> service.Intake:
        """The same for the use case."""
        return service.Intake(**{name: getattr(self, name) for name in type(self).model_fields})


class UpdateVehicle(api.Body):
    """RFC 7396 merge patch: fields left out stay, null removes."""

    stock_number: StockNumber = ""
    state: State = Field(default=State.INCOMING, examples=["recon"])
    price: Money | None = None
    cost: Money | None = None
    mileage: Miles | None = None
    color: Word | None = None
    year: Year | None = None
    make: Word | None = None
    model: Word | None = None
    trim: Word | None = None
    body: Word | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Vehicle(api.Answer):
    """A vehicle in stock. `cost` is there only for those who may see it in this store."""

    id: UUID
    store_id: UUID
    vin: str = Field(examples=["1HGCM82633A004352"])
    stock_number: str = Field(examples=["A1042"])
    state: State = Field(examples=["frontline"])
    year: int | None = Field(examples=[2003])
    make: str | None = Field(examples=["Honda"])
    model: str | None = Field(examples=["Accord"])
    trim: str | None = Field(examples=["EX-V6"])
    body: str | None = Field(examples=["Coupe"])
    color: str | None = Field(examples=["Graphite Pearl"])
    mileage: int | None = Field(examples=[41_250], description="Miles.")
    price: Money | None
    cost: Money | None = None
    added_by: UUID
    created_at: datetime
    updated_at: datetime
    version: int = Field(examples=[1])


class VehiclePage(api.Answer):
    """Vehicles, the newest first, and where the list goes on."""

    items: list[Vehicle]
    next_cursor: str | None = Field(description="Send as `cursor` for the next page; null on the last.")


_SHARED = [name for name in Vehicle.model_fields if name not in ("price", "cost")]


def vehicle(row: domain.Vehicle, caller: Caller) -> Vehicle:
    """A vehicle as this caller may see it."""
    fields: dict[str, Any] = {name: getattr(row, name) for name in _SHARED}
    fields["price"] = row.price
    if _sees_cost(caller, row.store_id):
        fields["cost"] = row.cost
    # Not validated again: it comes from our own table.
    return Vehicle.model_construct(_fields_set=set(fields), **fields)


def _sees_cost(caller: Caller, store_id: UUID) -> bool:
    stores = caller.stores_with("inventory:vehicle:view_cost")
    return stores is None or (stores is not False and store_id in stores)
