"""All SQL about sales."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from lotpro_inventory.sales.domain import Sale
from lotpro_inventory.sales.models import SALE_COLUMNS, SALES
from lotpro_kit.db import Session


async def add_sale(session: Session, sale: Sale) -> None:
    """Insert a sale."""
    await session.execute(insert(SALES).values(asdict(sale)))


async def sale(session: Session, *, org_id: UUID, sale_id: UUID) -> Sale | None:
    """One sale, or None."""
    found = await session.execute(select(*SALE_COLUMNS).where(SALES.c.org_id == org_id, SALES.c.id == sale_id))
    row = found.one_or_none()
    return Sale(*row) if row is not None else None


async def sale_of_vehicle(session: Session, *, org_id: UUID, vehicle_id: UUID) -> Sale | None:
    """The sale of a vehicle, or None."""
    found = await session.execute(
        select(*SALE_COLUMNS).where(SALES.c.org_id == org_id, SALES.c.vehicle_id == vehicle_id)
    )
    row = found.one_or_none()
    return Sale(*row) if row is not None else None


async def sales(
    session: Session, *, org_id: UUID, store_ids: frozenset[UUID] | None, before: UUID | None, limit: int
) -> list[Sale]:
    """Sales, the newest first."""
    statement = select(*SALE_COLUMNS).where(SALES.c.org_id == org_id)
    if store_ids is not None:
        statement = statement.where(SALES.c.store_id.in_(store_ids))
    if before is not None:
        statement = statement.where(SALES.c.id < before)
    rows = await session.execute(statement.order_by(SALES.c.id.desc()).limit(limit))
    return [Sale(*row) for row in rows]


async def sales_to(session: Session, *, org_id: UUID, customer_ids: Sequence[UUID]) -> list[Sale]:
    """The sales to these customers, the oldest first."""
    rows = await session.execute(
        select(*SALE_COLUMNS)
        .where(SALES.c.org_id == org_id, SALES.c.customer_id.in_(customer_ids))
        .order_by(SALES.c.id)
    )
    return [Sale(*row) for row in rows]


async def sales_by(session: Session, *, org_id: UUID, seller_id: UUID) -> list[Sale]:
    """The sales that a person made, the oldest first."""
    rows = await session.execute(
        select(*SALE_COLUMNS).where(SALES.c.org_id == org_id, SALES.c.seller_id == seller_id).order_by(SALES.c.id)
    )
    return [Sale(*row) for row in rows]
