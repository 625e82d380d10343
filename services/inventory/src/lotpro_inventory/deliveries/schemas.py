"""HTTP shapes of deliveries: no customer, because those who prepare a vehicle see none."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from lotpro_inventory.deliveries import domain
from lotpro_kit import api


class ScheduleDelivery(api.Body):
    """When a sold vehicle is handed over."""

    vehicle_id: UUID
    starts_at: datetime = Field(
        description="RFC 3339. Without an offset it is the store's local time.", examples=["2027-03-02T16:30:00"]
    )


class Delivery(api.Answer):
    """A hand-over."""

    id: UUID
    store_id: UUID
    vehicle_id: UUID
    sale_id: UUID
    starts_at: datetime = Field(description="UTC.", examples=["2027-03-02T23:30:00Z"])
    starts_at_local: datetime = Field(description="By the store's clocks.", examples=["2027-03-02T16:30:00-07:00"])
    time_zone: str = Field(description="IANA zone of the store.", examples=["America/Denver"])
    scheduled_by: UUID
    created_at: datetime
    version: int = Field(examples=[1])


class DeliveryPage(api.Answer):
    """Deliveries, the soonest first, and where the list goes on."""

    items: list[Delivery]
    next_cursor: str | None = Field(description="Send as `cursor` for the next page; null on the last.")


def delivery(row: domain.Delivery) -> Delivery:
    """A delivery as it is answered."""
    return Delivery(**{name: getattr(row, name) for name in Delivery.model_fields})
