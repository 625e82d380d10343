"""What tests of inventory make: VINs with a right check digit, and bodies of requests."""

import itertools
from typing import Any
from uuid import UUID

from lotpro_inventory.vehicles import vin

_serials = itertools.count(1)


def honda_vin() -> str:
    """Another 2003 Honda Accord EX-V6 coupe each time."""
    number = f"1HGCM826_3A{next(_serials):06}"
    return number.replace("_", vin.check_digit(number.replace("_", "0")))


def vehicle_body(store_id: UUID, **changes: Any) -> dict[str, Any]:
    """A body that add_vehicle takes."""
    return {
        "store_id": str(store_id),
        "vin": honda_vin(),
        "price": {"amount": 1_249_500, "currency": "USD"},
        "cost": {"amount": 900_000, "currency": "USD"},
        "mileage": 81_250,
        "color": "Graphite Pearl",
        **changes,
    }


CUSTOMER = {"name": "Dana Fields", "email": "Dana.Fields@example.com", "phone": "(303) 555-0142"}


def sale_body(**changes: Any) -> dict[str, Any]:
    """A body that sell_vehicle takes."""
    return {"customer": CUSTOMER, "price": {"amount": 1_200_000, "currency": "USD"}, **changes}
