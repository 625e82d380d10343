"""Use cases of customers; every reading of a person's data goes on record."""

from collections.abc import Sequence
from uuid import UUID

from lotpro.inventory.v1 import events_pb2
from lotpro_inventory.customers import repository
from lotpro_inventory.customers.domain import Contact, Customer
from lotpro_inventory.customers.repository import CustomerRow
from lotpro_inventory.ports import Ports
from lotpro_inventory.stores import service as stores
from lotpro_inventory.stores.service import organisation_of
from lotpro_kit import ids, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.crypto import BlindIndex, Keyring, SubjectKey
from lotpro_kit.db import Session
from lotpro_kit.errors import NotFound

_NAME, _EMAIL, _PHONE = "customers.name", "customers.email", "customers.phone"
#: A person with more records in one organisation than this is exported in full all the same, by id.
MOST_BY_EMAIL = 200


async def add_customer(*, session: Session, caller: Caller, ports: Ports, store_id: UUID, contact: Contact) -> Customer:
    """Record a customer of a store, encrypted under a key of their own; raises NotFound for a store out of reach."""
    if caller.user_id is None:
        raise NotFound
    await stores.known_store(session=session, caller=caller, identity=ports.identity, store_id=store_id)
    customer = Customer(
        id=ids.new(), org_id=organisation_of(caller), store_id=store_id, contact=contact, added_by=caller.user_id,
        created_at=ports.clock(), version=1,
    )  # fmt: skip
    key = await ports.keyring.for_subject(session, customer.id)
    await repository.add_customer(
        session, id=customer.id, org_id=customer.org_id, store_id=store_id,
        name=key.encrypt(contact.name, context=_NAME),
        email=key.encrypt(contact.email, context=_EMAIL) if contact.email else None,
        email_index=email_index(ports.blind_index, store_id, contact.email) if contact.email else None,
        phone=key.encrypt(contact.phone, context=_PHONE) if contact.phone else None,
        added_by=customer.added_by, created_at=customer.created_at, version=customer.version,
    )  # fmt: skip
    await outbox.put(
        session,
        events_pb2.CustomerAdded(
            org_id=str(customer.org_id), store_id=str(store_id), customer_id=str(customer.id)
        ),
    )
    await ports.security_log.record(
        session, caller, "inventory:customer:add", at=customer.created_at, subject=("customer", customer.id),
        store_id=store_id, concerned=("customer", customer.id),
    )
    return customer


async def find_or_add(*, session: Session, caller: Caller, ports: Ports, store_id: UUID, contact: Contact) -> Customer:
    """The store's customer with this address and name, or a new one: repeat customers are not recorded twice."""
    if contact.email:
        rows = await _with_email(session, ports, organisation_of(caller), contact.email, store_id=store_id)
        for known in await opened(session=session, keyring=ports.keyring, rows=rows):
            if known.contact and known.contact.name.casefold() == contact.name.casefold():
                return known
    return await add_customer(session=session, caller=caller, ports=ports, store_id=store_id, contact=contact)


async def customer_of_store(*, session: Session, caller: Caller, store_id: UUID, customer_id: UUID) -> UUID:
    """The id, when that is a customer of this store; raises NotFound. Reads nothing about the person."""
    row = await repository.customer(session, org_id=organisation_of(caller), customer_id=customer_id)
    if row is None or row.store_id != store_id:
        raise NotFound
    return customer_id


async def view_customer(*, session: Session, caller: Caller, ports: Ports, customer_id: UUID) -> Customer:
    """One customer's data; the look at it is recorded. Raises NotFound."""
    row = await repository.customer(session, org_id=organisation_of(caller), customer_id=customer_id)
    if row is None:
        raise NotFound
    (customer,) = await opened(session=session, keyring=ports.keyring, rows=[row])
    await ports.security_log.record(
        session, caller, "inventory:customer:view", at=ports.clock(), subject=("customer", customer.id),
        store_id=customer.store_id, concerned=("customer", customer.id),
    )
    return customer


async def list_customers(
    *, session: Session, caller: Caller, ports: Ports, store_id: UUID | None, before: UUID | None, limit: int
) -> list[Customer]:
    """Customers of the caller's stores, the newest first; the look at them is recorded."""
    org_id = organisation_of(caller)
    rows = await repository.customers(
        session, org_id=org_id, store_ids=stores.reach(caller, store_id), before=before, limit=limit
    )
    await _record_list(session, caller, ports, org_id, store_id)
    return await opened(session=session, keyring=ports.keyring, rows=rows)


async def find_customers(
    *, session: Session, caller: Caller, ports: Ports, store_id: UUID | None, email: str
) -> list[Customer]:
    """Customers with this address in the caller's stores, or in one of them; the look at them is recorded."""
    org_id = organisation_of(caller)
    rows = await _with_email(session, ports, org_id, email, store_id=store_id)
    await _record_list(session, caller, ports, org_id, store_id)
    return await opened(session=session, keyring=ports.keyring, rows=rows)


async def customers_of_person(
    *, session: Session, ports: Ports, org_id: UUID, customer_id: UUID | None, email: str | None
) -> list[Customer]:
    """Every record of one person in an organisation: the one with this id, and those with its address or this one."""
    row = await repository.customer(session, org_id=org_id, customer_id=customer_id) if customer_id else None
    found = await opened(session=session, keyring=ports.keyring, rows=[row] if row is not None else [])
    own = found[0].contact.email if found and found[0].contact else None
    for address in {address for address in (email, own) if address}:
        rows = await _with_email(session, ports, org_id, address)
        known = {customer.id for customer in found}
        others = [row for row in rows if row.id not in known]
        found += await opened(session=session, keyring=ports.keyring, rows=others)
    return found


async def customers_by(*, session: Session, org_id: UUID, user_id: UUID) -> list[UUID]:
    """The ids of the customers that a person recorded."""
    return await repository.customers_by(session, org_id=org_id, user_id=user_id)


async def _with_email(
    session: Session, ports: Ports, org_id: UUID, email: str, *, store_id: UUID | None = None
) -> list[CustomerRow]:
    among = [store_id] if store_id else await stores.stores_of(session=session, org_id=org_id)
    indexes = [email_index(ports.blind_index, store, email) for store in among]
    return await repository.customers(session, org_id=org_id, email_indexes=indexes, limit=MOST_BY_EMAIL)


async def _record_list(
    session: Session, caller: Caller, ports: Ports, org_id: UUID, store_id: UUID | None
) -> None:
    await ports.security_log.record(
        session, caller, "inventory:customer:list", at=ports.clock(), store_id=store_id,
        subject=("organisation", org_id),
    )


def email_index(blind_index: BlindIndex, store_id: UUID, email: str) -> bytes:
    """The digest that finds an address within one store; the same address has another one in another store."""
    return blind_index.of(email, context=f"{_EMAIL}:{store_id}")


async def opened(*, session: Session, keyring: Keyring, rows: Sequence[CustomerRow]) -> list[Customer]:
    """Rows decrypted, in their order, with one query for all keys."""
    keys = await keyring.existing_many(session, {row.id for row in rows})
    return [_opened(row, keys.get(row.id)) for row in rows]


def _opened(row: CustomerRow, key: SubjectKey | None) -> Customer:
    contact = None
    if key is not None:
        contact = Contact(
            name=key.decrypt(row.name, context=_NAME),
            email=key.decrypt(row.email, context=_EMAIL) if row.email is not None else None,
            phone=key.decrypt(row.phone, context=_PHONE) if row.phone is not None else None,
        )
    return Customer(
        id=row.id, org_id=row.org_id, store_id=row.store_id, contact=contact, added_by=row.added_by,
        created_at=row.created_at, version=row.version,
    )  # fmt: skip
