"""SQL of pictures' blobs."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from lotpro_identity.pictures.models import PICTURE_BLOBS
from lotpro_kit.db import Session


async def add(session: Session, blob_id: UUID, *, remove_after: datetime) -> None:
    """A blob is about to be stored."""
    await session.execute(insert(PICTURE_BLOBS).values(id=blob_id, remove_after=remove_after))


async def keep(session: Session, blob_id: UUID) -> bool:
    """The blob is shown from now on; False when it has been removed."""
    kept = await session.execute(
        update(PICTURE_BLOBS).where(PICTURE_BLOBS.c.id == blob_id).values(remove_after=None)
        .returning(PICTURE_BLOBS.c.id)
    )
    return kept.scalar_one_or_none() is not None


async def discard(session: Session, blob_id: UUID, *, now: datetime) -> None:
    """The blob is not shown any more."""
    await session.execute(update(PICTURE_BLOBS).where(PICTURE_BLOBS.c.id == blob_id).values(remove_after=now))


async def due(session: Session, *, by: datetime, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Blobs to be removed, by id, beginning after one."""
    wanted = select(PICTURE_BLOBS.c.id).where(PICTURE_BLOBS.c.remove_after <= by)
    if after is not None:
        wanted = wanted.where(PICTURE_BLOBS.c.id > after)
    return (await session.execute(wanted.order_by(PICTURE_BLOBS.c.id).limit(limit))).scalars().all()


async def hold_due(session: Session, blob_id: UUID, *, by: datetime) -> bool:
    """Hold a blob that is to be removed; False when it is not any more, or somebody else holds it."""
    held = await session.execute(
        select(PICTURE_BLOBS.c.id)
        .where(PICTURE_BLOBS.c.id == blob_id, PICTURE_BLOBS.c.remove_after <= by)
        .with_for_update(skip_locked=True)
    )
    return held.scalar_one_or_none() is not None


async def forget(session: Session, blob_id: UUID) -> None:
    """The blob is gone."""
    await session.execute(delete(PICTURE_BLOBS).where(PICTURE_BLOBS.c.id == blob_id))
