"""SQL of announcements."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from lotpro_identity.lifecycle.models import ANNOUNCEMENTS
from lotpro_kit.db import Session


async def announced(session: Session, account_ids: Collection[UUID]) -> set[tuple[UUID, int, datetime]]:
    """Which warnings these people got: (account, warning, since when they were inactive)."""
    rows = await session.execute(
        select(ANNOUNCEMENTS.c.account_id, ANNOUNCEMENTS.c.warning_days, ANNOUNCEMENTS.c.inactive_since).where(
            ANNOUNCEMENTS.c.account_id.in_(account_ids)
        )
    )
    return {(row.account_id, row.warning_days, row.inactive_since) for row in rows}


async def announce(
    session: Session, account_id: UUID, *, warning_days: int, inactive_since: datetime, now: datetime
) -> bool:
    """Write a warning down; False when it was given for this time of inactivity already."""
    fresh = {"inactive_since": inactive_since, "announced_at": now}
    statement = insert(ANNOUNCEMENTS).values(account_id=account_id, warning_days=warning_days, **fresh)
    done = await session.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id", "warning_days"], set_=fresh,
            where=ANNOUNCEMENTS.c.inactive_since != inactive_since,
        ).returning(ANNOUNCEMENTS.c.account_id)
    )
    return done.scalar_one_or_none() is not None


async def forget(session: Session, account_id: UUID) -> None:
    """Drop what was announced to a person."""
    await session.execute(delete(ANNOUNCEMENTS).where(ANNOUNCEMENTS.c.account_id == account_id))
