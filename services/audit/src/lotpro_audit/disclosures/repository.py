"""SQL of disclosures."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select

from lotpro_audit.disclosures.domain import Disclosure
from lotpro_audit.disclosures.models import DISCLOSURES
from lotpro_kit.db import Session


async def add(session: Session, disclosure: Disclosure) -> None:
    """Insert a disclosure."""
    await session.execute(insert(DISCLOSURES).values(asdict(disclosure)))


async def disclosure(session: Session, *, org_id: UUID, disclosure_id: UUID) -> Disclosure | None:
    """An organisation's disclosure, or None."""
    found = await session.execute(
        select(DISCLOSURES).where(DISCLOSURES.c.org_id == org_id, DISCLOSURES.c.id == disclosure_id)
    )
    row = found.one_or_none()
    return Disclosure(*row) if row is not None else None


async def disclosures(session: Session, *, org_id: UUID, after: UUID | None, limit: int) -> list[Disclosure]:
    """An organisation's disclosures, the newest first, going on after one."""
    wanted = select(DISCLOSURES).where(DISCLOSURES.c.org_id == org_id)
    if after is not None:
        wanted = wanted.where(DISCLOSURES.c.id < after)
    return [Disclosure(*row) for row in await session.execute(wanted.order_by(DISCLOSURES.c.id.desc()).limit(limit))]


async def forget(session: Session, *, recorded_before: datetime) -> int:
    """Drop disclosures that were recorded before a moment; answers how many."""
    dropped = await session.execute(delete(DISCLOSURES).where(DISCLOSURES.c.recorded_at < recorded_before))
    return int(getattr(dropped, "rowcount", 0))


async def count_forgettable(session: Session, *, recorded_before: datetime) -> int:
    """How many `forget` would drop."""
    found = await session.execute(
        select(func.count()).select_from(DISCLOSURES).where(DISCLOSURES.c.recorded_at < recorded_before)
    )
    return int(found.scalar_one())
