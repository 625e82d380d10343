"""All SQL about customers; what it stores of a person is ciphertext."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert

from lotpro_inventory.customers.models import CUSTOMERS
from lotpro_kit.db import Session

CustomerRow = Row[Any]


async def add_customer(session: Session, **columns: object) -> None:
    """Insert a customer."""
    await session.execute(insert(CUSTOMERS).values(**columns))


async def customer(session: Session, *, org_id: UUID, customer_id: UUID) -> CustomerRow | None:
    """One customer, or None."""
    found = await session.execute(
        select(CUSTOMERS).where(CUSTOMERS.c.org_id == org_id, CUSTOMERS.c.id == customer_id)
    )
    return found.one_or_none()


async def customers(
    session: Session,
    *,
    org_id: UUID,
    store_ids: frozenset[UUID] | None = None,
    email_indexes: Sequence[bytes] | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[CustomerRow]:
    """Customers, the newest first; `email_indexes` finds those with an address (one digest for each store)."""
    statement = select(CUSTOMERS).where(CUSTOMERS.c.org_id == org_id)
    if store_ids is not None:
        statement = statement.where(CUSTOMERS.c.store_id.in_(store_ids))
    if email_indexes is not None:
        statement = statement.where(CUSTOMERS.c.email_index.in_(email_indexes))
    if before is not None:
        statement = statement.where(CUSTOMERS.c.id < before)
    found = await session.execute(statement.order_by(CUSTOMERS.c.id.desc()).limit(limit))
    return list(found)


async def customers_by(session: Session, *, org_id: UUID, user_id: UUID) -> list[UUID]:
    """The ids of the customers that a person recorded, the oldest first."""
    found = await session.execute(
        select(CUSTOMERS.c.id)
        .where(CUSTOMERS.c.org_id == org_id, CUSTOMERS.c.added_by == user_id)
        .order_by(CUSTOMERS.c.id)
    )
    return list(found.scalars())
