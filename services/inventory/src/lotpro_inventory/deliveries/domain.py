"""What a delivery is, when it can start by the clocks on the store's wall, and what can be wrong with it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from lotpro_kit import errors


@dataclass(frozen=True, slots=True)
class Delivery:
    """The hand-over of a sold vehicle; `starts_at` in UTC, `time_zone` the store's when it was scheduled."""

    id: UUID
    org_id: UUID
    store_id: UUID
    sale_id: UUID
    vehicle_id: UUID
    customer_id: UUID
    starts_at: datetime
    time_zone: str
    scheduled_by: UUID
    created_at: datetime
    version: int

    @property
    def starts_at_local(self) -> datetime:
        """The same moment as the store's clocks show it."""
        return self.starts_at.astimezone(ZoneInfo(self.time_zone))


class DeliveryTimeAmbiguous(errors.Invalid):
    """The clocks go back that night, so the wall shows this time twice."""

    code = "inventory.delivery_time_ambiguous"
    message = "The store's clocks show this time twice. Send it with its offset from UTC."


class DeliveryTimeDoesNotExist(errors.Invalid):
    """The clocks go forward that night and skip this time."""

    code = "inventory.delivery_time_does_not_exist"
    message = "The store's clocks skip this time."


class DeliveryInThePast(errors.Invalid):
    """Only what lies ahead can be scheduled."""

    code = "inventory.delivery_in_the_past"
    message = "A delivery must start in the future."


class VehicleNotSold(errors.Conflict):
    """Only a sold vehicle is delivered."""

    code = "inventory.vehicle_not_sold"
    message = "This vehicle has not been sold."


class DeliveryAlreadyScheduled(errors.Conflict):
    """The sale has its delivery."""

    code = "inventory.delivery_already_scheduled"
    message = "The delivery of this vehicle has been scheduled."


def moment(stated: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC that a stated time means: one without offset is read off the wall in `zone`.

    Raises DeliveryTimeAmbiguous and DeliveryTimeDoesNotExist.
    """
    if stated.tzinfo is not None:
        return stated.astimezone(UTC)
    earlier = stated.replace(tzinfo=zone, fold=0)
    later = stated.replace(tzinfo=zone, fold=1)
    if earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != stated.replace(fold=0):
        raise DeliveryTimeDoesNotExist
    if earlier.utcoffset() != later.utcoffset():
        raise DeliveryTimeAmbiguous
    return earlier.astimezone(UTC)
