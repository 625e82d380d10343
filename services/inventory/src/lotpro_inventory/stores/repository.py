"""All SQL about stores."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from lotpro_inventory.stores.models import STORES
from lotpro_kit.db import Session


async def time_zone_of(session: Session, *, org_id: UUID, store_id: UUID) -> str | None:
    """The IANA zone of a store the caller can see, or None."""
    found = await session.execute(
        select(STORES.c.time_zone).where(STORES.c.org_id == org_id, STORES.c.id == store_id)
    )
    zone: str | None = found.scalar_one_or_none()
    return zone


async def ids_of(session: Session, *, org_id: UUID) -> list[UUID]:
    """The stores of an organisation that the caller can see."""
    found = await session.execute(select(STORES.c.id).where(STORES.c.org_id == org_id))
    return list(found.scalars())


async def put_store(session: Session, *, org_id: UUID, store_id: UUID, time_zone: str) -> None:
    """Write a store down as it is now; one of another organisation fails at row-level security."""
    statement = insert(STORES).values(id=store_id, org_id=org_id, time_zone=time_zone, created_at=func.now())
    await session.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_={"time_zone": time_zone})
    )
