"""SQL of accesses."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from lotpro_identity.breakglass.models import ACCESSES
from lotpro_kit.db import Session


async def add(session: Session, row: dict[str, Any]) -> None:
    """Store an access."""
    await session.execute(insert(ACCESSES).values(**row))


async def open_one(session: Session, *, account_id: UUID, org_id: UUID, now: datetime) -> Any:
    """The access that a person has to an organisation at this moment, the newest of several."""
    found = await session.execute(
        select(ACCESSES)
        .where(
            ACCESSES.c.account_id == account_id, ACCESSES.c.org_id == org_id, ACCESSES.c.ended_at.is_(None),
            ACCESSES.c.expires_at > now,
        )
        .order_by(ACCESSES.c.expires_at.desc())
        .limit(1)
    )
    return found.one_or_none()


async def of_organisation(session: Session, org_id: UUID) -> Sequence[Any]:
    """Every access to an organisation, newest first."""
    found = await session.execute(
        select(ACCESSES).where(ACCESSES.c.org_id == org_id).order_by(ACCESSES.c.id.desc())
    )
    return found.all()


async def end(session: Session, *, account_id: UUID, org_id: UUID, now: datetime) -> Sequence[UUID]:
    """End what a person has open in an organisation; answers which."""
    ended = await session.execute(
        update(ACCESSES)
        .where(
            ACCESSES.c.account_id == account_id, ACCESSES.c.org_id == org_id, ACCESSES.c.ended_at.is_(None),
            ACCESSES.c.expires_at > now,
        )
        .values(ended_at=now)
        .returning(ACCESSES.c.id)
    )
    return list(ended.scalars())


async def remove_all(session: Session, account_id: UUID) -> None:
    """Drop every access of a person."""
    await session.execute(delete(ACCESSES).where(ACCESSES.c.account_id == account_id))


async def forget(session: Session, *, before: datetime) -> int:
    """Drop accesses that were over before a moment; answers how many."""
    gone = await session.execute(delete(ACCESSES).where(ACCESSES.c.expires_at < before).returning(ACCESSES.c.id))
    return len(gone.all())
