"""All SQL about deliveries."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert

from lotpro_inventory.deliveries.domain import Delivery
from lotpro_inventory.deliveries.models import DELIVERIES, DELIVERY_COLUMNS
from lotpro_kit.db import Session


async def add_delivery(session: Session, delivery: Delivery) -> bool:
    """Insert a delivery; False where the sale has one."""
    added = await session.execute(
        insert(DELIVERIES)
        .values(asdict(delivery))
        .on_conflict_do_nothing(index_elements=["store_id", "sale_id"])
        .returning(DELIVERIES.c.id)
    )
    return added.scalar_one_or_none() is not None


async def delivery(session: Session, *, org_id: UUID, delivery_id: UUID) -> Delivery | None:
    """One delivery, or None."""
    found = await session.execute(
        select(*DELIVERY_COLUMNS).where(DELIVERIES.c.org_id == org_id, DELIVERIES.c.id == delivery_id)
    )
    row = found.one_or_none()
    return Delivery(*row) if row is not None else None


async def deliveries(
    session: Session,
    *,
    org_id: UUID,
    store_ids: frozenset[UUID] | None,
    since: datetime | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Delivery]:
    """Deliveries from a moment on, the soonest first, beginning after the one with this start and id."""
    statement = select(*DELIVERY_COLUMNS).where(DELIVERIES.c.org_id == org_id)
    if store_ids is not None:
        statement = statement.where(DELIVERIES.c.store_id.in_(store_ids))
    if since is not None:
        statement = statement.where(DELIVERIES.c.starts_at >= since)
    if after is not None:
        statement = statement.where(tuple_(DELIVERIES.c.starts_at, DELIVERIES.c.id) > tuple_(*after))
    rows = await session.execute(statement.order_by(DELIVERIES.c.starts_at, DELIVERIES.c.id).limit(limit))
    return [Delivery(*row) for row in rows]


async def deliveries_to(session: Session, *, org_id: UUID, customer_ids: Sequence[UUID]) -> list[Delivery]:
    """The deliveries to these customers, the oldest first."""
    rows = await session.execute(
        select(*DELIVERY_COLUMNS)
        .where(DELIVERIES.c.org_id == org_id, DELIVERIES.c.customer_id.in_(customer_ids))
        .order_by(DELIVERIES.c.id)
    )
    return [Delivery(*row) for row in rows]


async def deliveries_by(session: Session, *, org_id: UUID, user_id: UUID) -> list[Delivery]:
    """The deliveries that a person scheduled, the oldest first."""
    rows = await session.execute(
        select(*DELIVERY_COLUMNS)
        .where(DELIVERIES.c.org_id == org_id, DELIVERIES.c.scheduled_by == user_id)
        .order_by(DELIVERIES.c.id)
    )
    return [Delivery(*row) for row in rows]
