"""Use cases of sales."""

from collections.abc import Sequence
from uuid import UUID

from lotpro.inventory.v1 import events_pb2
from lotpro_inventory.customers import service as customers
from lotpro_inventory.customers.domain import Contact
from lotpro_inventory.money import Money
from lotpro_inventory.ports import Ports
from lotpro_inventory.sales import repository
from lotpro_inventory.sales.domain import Sale
from lotpro_inventory.stores import service as stores
from lotpro_inventory.stores.service import organisation_of
from lotpro_inventory.vehicles import service as vehicles
from lotpro_kit import ids, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session
from lotpro_kit.errors import NotFound


async def sell_vehicle(
    *,
    session: Session,
    caller: Caller,
    ports: Ports,
    vehicle_id: UUID,
    expected_version: int,
    customer: UUID | Contact,
    price: Money,
) -> Sale:
    """Sell a vehicle to a customer of its store, known by id or recorded now.

    Of any number of sellers at once, one succeeds and the others leave nothing behind. Raises NotFound (vehicle or
    customer), VehicleAlreadySold, TransitionRefused and PreconditionFailed.
    """
    if caller.user_id is None:
        raise NotFound
    # The vehicle first: its row is the lock that makes all other sellers wait, and fail, before they write anything.
    vehicle = await vehicles.mark_sold(
        session=session, caller=caller, ports=ports, vehicle_id=vehicle_id, expected_version=expected_version
    )
    customer_id = await _buyer(session, caller, ports, vehicle.store_id, customer)
    sale = Sale(
        id=ids.new(), org_id=vehicle.org_id, store_id=vehicle.store_id, vehicle_id=vehicle.id,
        customer_id=customer_id, seller_id=caller.user_id, price_amount=price.amount, price_currency=price.currency,
        sold_at=vehicle.updated_at, version=1,
    )  # fmt: skip
    await repository.add_sale(session, sale)
    await outbox.put(
        session,
        events_pb2.VehicleSold(
            org_id=str(sale.org_id), store_id=str(sale.store_id), vehicle_id=str(vehicle.id), sale_id=str(sale.id),
            customer_id=str(customer_id), seller_id=str(sale.seller_id), version=vehicle.version,
        ),
    )
    await ports.security_log.record(
        session, caller, "inventory:vehicle:sell", at=sale.sold_at, subject=("vehicle", vehicle.id),
        store_id=sale.store_id, concerned=("customer", customer_id),
    )
    return sale


async def _buyer(
    session: Session, caller: Caller, ports: Ports, store_id: UUID, customer: UUID | Contact
) -> UUID:
    if isinstance(customer, UUID):
        return await customers.customer_of_store(
            session=session, caller=caller, store_id=store_id, customer_id=customer
        )
    bought = await customers.find_or_add(
        session=session, caller=caller, ports=ports, store_id=store_id, contact=customer
    )
    return bought.id


async def view_sale(*, session: Session, caller: Caller, ports: Ports, sale_id: UUID) -> Sale:
    """One sale of the caller's stores; that somebody looked is recorded. Raises NotFound."""
    sale = await sale_of_organisation(session=session, org_id=organisation_of(caller), sale_id=sale_id)
    await ports.security_log.record(
        session, caller, "inventory:sale:view", at=ports.clock(), subject=("sale", sale.id), store_id=sale.store_id,
        concerned=("customer", sale.customer_id),
    )
    return sale


async def list_sales(
    *, session: Session, caller: Caller, store_id: UUID | None, before: UUID | None, limit: int
) -> list[Sale]:
    """Sales of the caller's stores, the newest first."""
    return await repository.sales(
        session, org_id=organisation_of(caller), store_ids=stores.reach(caller, store_id), before=before, limit=limit
    )


async def sale_of_organisation(*, session: Session, org_id: UUID, sale_id: UUID) -> Sale:
    """One sale, for the organisation's own services; raises NotFound."""
    sale = await repository.sale(session, org_id=org_id, sale_id=sale_id)
    if sale is None:
        raise NotFound
    return sale


async def sale_of_vehicle(*, session: Session, org_id: UUID, vehicle_id: UUID) -> Sale | None:
    """The sale of a vehicle, or None while it is not sold."""
    return await repository.sale_of_vehicle(session, org_id=org_id, vehicle_id=vehicle_id)


async def sales_to(*, session: Session, org_id: UUID, customer_ids: Sequence[UUID]) -> list[Sale]:
    """Everything these customers bought."""
    return await repository.sales_to(session, org_id=org_id, customer_ids=customer_ids)


async def sales_by(*, session: Session, org_id: UUID, seller_id: UUID) -> list[Sale]:
    """Everything this person sold."""
    return await repository.sales_by(session, org_id=org_id, seller_id=seller_id)
