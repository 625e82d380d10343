"""Finding everything about one person inside one organisation."""

from uuid import UUID

from lotpro_inventory.customers import service as customers
from lotpro_inventory.customers.domain import Customer
from lotpro_inventory.deliveries import service as deliveries
from lotpro_inventory.deliveries.domain import Delivery
from lotpro_inventory.participant.domain import PersonalRecord
from lotpro_inventory.ports import Ports
from lotpro_inventory.sales import service as sales
from lotpro_inventory.sales.domain import Sale
from lotpro_inventory.vehicles import service as vehicles
from lotpro_inventory.vehicles.domain import Vehicle
from lotpro_kit.db import Session


async def person_as_customer(
    *, session: Session, ports: Ports, org_id: UUID, customer_id: UUID | None, email: str
) -> list[Customer]:
    """The customer records of a person: the one with this id, and those with its address or this one."""
    return await customers.customers_of_person(
        session=session, ports=ports, org_id=org_id, customer_id=customer_id, email=email or None
    )


async def records_of_customer(*, session: Session, org_id: UUID, found: list[Customer]) -> list[PersonalRecord]:
    """What is kept about somebody who bought or may buy; without the ids of the people who served them."""
    ids = [customer.id for customer in found]
    bought = await sales.sales_to(session=session, org_id=org_id, customer_ids=ids)
    handed_over = await deliveries.deliveries_to(session=session, org_id=org_id, customer_ids=ids)
    return [
        *map(_customer, found),
        *(_sale(sale, third_party=False) for sale in bought),
        *(_delivery(delivery, third_party=False) for delivery in handed_over),
    ]


async def records_of_user(*, session: Session, org_id: UUID, user_id: UUID) -> list[PersonalRecord]:
    """What somebody did as a member of the organisation; where that is about a customer too, it is marked."""
    recorded = await customers.customers_by(session=session, org_id=org_id, user_id=user_id)
    sold = await sales.sales_by(session=session, org_id=org_id, seller_id=user_id)
    scheduled = await deliveries.deliveries_by(session=session, org_id=org_id, user_id=user_id)
    taken_in = await vehicles.vehicles_by(session=session, org_id=org_id, user_id=user_id)
    return [
        *(PersonalRecord("customers", customer_id, {"added_by": str(user_id)}, True) for customer_id in recorded),
        *(_sale(sale, third_party=True) for sale in sold),
        *(_delivery(delivery, third_party=True) for delivery in scheduled),
        *map(_vehicle, taken_in),
    ]


def _customer(customer: Customer) -> PersonalRecord:
    contact = customer.contact
    return PersonalRecord(
        "customers",
        customer.id,
        {
            "store_id": str(customer.store_id),
            "name": contact.name if contact else None,
            "email": contact.email if contact else None,
            "phone": contact.phone if contact else None,
            "created_at": customer.created_at.isoformat(),
        },
        third_party=False,
    )


def _sale(sale: Sale, *, third_party: bool) -> PersonalRecord:
    """A sale with the id of the one it is about: the seller's or the customer's."""
    who = {"seller_id": str(sale.seller_id)} if third_party else {"customer_id": str(sale.customer_id)}
    return PersonalRecord(
        "sales",
        sale.id,
        {
            "store_id": str(sale.store_id),
            "vehicle_id": str(sale.vehicle_id),
            "price_amount": sale.price_amount,
            "price_currency": sale.price_currency,
            "sold_at": sale.sold_at.isoformat(),
            **who,
        },
        third_party,
    )


def _delivery(delivery: Delivery, *, third_party: bool) -> PersonalRecord:
    who = {"scheduled_by": str(delivery.scheduled_by)} if third_party else {"customer_id": str(delivery.customer_id)}
    return PersonalRecord(
        "deliveries",
        delivery.id,
        {
            "store_id": str(delivery.store_id),
            "vehicle_id": str(delivery.vehicle_id),
            "sale_id": str(delivery.sale_id),
            "starts_at": delivery.starts_at.isoformat(),
            "time_zone": delivery.time_zone,
            **who,
        },
        third_party,
    )


def _vehicle(vehicle: Vehicle) -> PersonalRecord:
    return PersonalRecord(
        "vehicles",
        vehicle.id,
        {
            "store_id": str(vehicle.store_id),
            "vin": vehicle.vin,
            "added_by": str(vehicle.added_by),
            "override_reason": vehicle.override_reason,
            "created_at": vehicle.created_at.isoformat(),
        },
        third_party=False,
    )
