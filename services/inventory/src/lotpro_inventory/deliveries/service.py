"""Use cases of deliveries."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from lotpro.inventory.v1 import events_pb2
from lotpro_inventory.deliveries import domain, repository
from lotpro_inventory.deliveries.domain import Delivery, DeliveryAlreadyScheduled, DeliveryInThePast, VehicleNotSold
from lotpro_inventory.ports import Ports
from lotpro_inventory.sales import service as sales
from lotpro_inventory.stores import service as stores
from lotpro_inventory.stores.service import organisation_of
from lotpro_inventory.vehicles import service as vehicles
from lotpro_kit import ids, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session
from lotpro_kit.errors import NotFound


async def schedule_delivery(
    *, session: Session, caller: Caller, ports: Ports, vehicle_id: UUID, starts_at: datetime
) -> Delivery:
    """Set when a sold vehicle is handed over; `starts_at` without an offset is the store's local time.

    Raises NotFound, VehicleNotSold, DeliveryAlreadyScheduled, DeliveryInThePast, DeliveryTimeAmbiguous and
    DeliveryTimeDoesNotExist.
    """
    if caller.user_id is None:
        raise NotFound
    org_id, now = organisation_of(caller), ports.clock()
    vehicle = await vehicles.vehicle(session=session, caller=caller, vehicle_id=vehicle_id)
    sale = await sales.sale_of_vehicle(session=session, org_id=org_id, vehicle_id=vehicle_id)
    if sale is None:
        raise VehicleNotSold
    zone = await stores.known_store(
        session=session, caller=caller, identity=ports.identity, store_id=vehicle.store_id
    )
    moment = domain.moment(starts_at, zone)
    if moment <= now:
        raise DeliveryInThePast
    delivery = Delivery(
        id=ids.new(), org_id=org_id, store_id=vehicle.store_id, sale_id=sale.id, vehicle_id=vehicle_id,
        customer_id=sale.customer_id, starts_at=moment, time_zone=zone.key, scheduled_by=caller.user_id,
        created_at=now, version=1,
    )  # fmt: skip
    if not await repository.add_delivery(session, delivery):
        raise DeliveryAlreadyScheduled
    await outbox.put(
        session,
        events_pb2.DeliveryScheduled(
            org_id=str(org_id), store_id=str(delivery.store_id), delivery_id=str(delivery.id),
            vehicle_id=str(vehicle_id), customer_id=str(delivery.customer_id), version=delivery.version,
        ),
    )
    await ports.security_log.record(
        session, caller, "inventory:delivery:schedule", at=now, subject=("delivery", delivery.id),
        store_id=delivery.store_id, concerned=("customer", delivery.customer_id),
    )
    return delivery


async def delivery(*, session: Session, caller: Caller, delivery_id: UUID) -> Delivery:
    """One delivery of the caller's stores; raises NotFound."""
    found = await repository.delivery(session, org_id=organisation_of(caller), delivery_id=delivery_id)
    if found is None:
        raise NotFound
    return found


async def list_deliveries(
    *,
    session: Session,
    caller: Caller,
    store_id: UUID | None,
    since: datetime | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Delivery]:
    """Deliveries of the caller's stores, the soonest first, from `since` on."""
    return await repository.deliveries(
        session, org_id=organisation_of(caller), store_ids=stores.reach(caller, store_id), since=since, after=after,
        limit=limit,
    )


async def deliveries_to(*, session: Session, org_id: UUID, customer_ids: Sequence[UUID]) -> list[Delivery]:
    """Everything handed over, or to be handed over, to these customers."""
    return await repository.deliveries_to(session, org_id=org_id, customer_ids=customer_ids)


async def deliveries_by(*, session: Session, org_id: UUID, user_id: UUID) -> list[Delivery]:
    """Every delivery that this person scheduled."""
    return await repository.deliveries_by(session, org_id=org_id, user_id=user_id)
