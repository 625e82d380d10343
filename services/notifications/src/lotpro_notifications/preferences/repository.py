"""All SQL about preferences."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from lotpro_kit.db import Session
from lotpro_notifications.preferences.domain import Preferences
from lotpro_notifications.preferences.models import COLUMNS, PREFERENCES


async def preferences_of(session: Session, *, user_id: UUID) -> Preferences | None:
    """A person's preferences, or None where they never chose."""
    row = (await session.execute(select(*COLUMNS).where(PREFERENCES.c.user_id == user_id))).one_or_none()
    return Preferences(*row) if row is not None else None


async def without_sms(session: Session, *, user_ids: Collection[UUID]) -> set[UUID]:
    """Those of these people who chose not to get alerts by SMS."""
    found = await session.execute(
        select(PREFERENCES.c.user_id).where(PREFERENCES.c.user_id.in_(user_ids), ~PREFERENCES.c.sms_alerts)
    )
    return set(found.scalars())


async def put_preferences(session: Session, wanted: Preferences, *, expected_version: int, now: datetime) -> bool:
    """Write preferences down over the expected version; False when that is no longer the present one."""
    values = {"sms_alerts": wanted.sms_alerts, "version": wanted.version, "updated_at": now}
    if expected_version == 0:
        statement = insert(PREFERENCES).values(user_id=wanted.user_id, **values).on_conflict_do_nothing()
        done = await session.execute(statement.returning(PREFERENCES.c.version))
    else:
        done = await session.execute(
            PREFERENCES.update()
            .where(PREFERENCES.c.user_id == wanted.user_id, PREFERENCES.c.version == expected_version)
            .values(**values)
            .returning(PREFERENCES.c.version)
        )
    return done.scalar_one_or_none() is not None


async def forget(session: Session, *, user_id: UUID) -> None:
    """Drop a person's preferences."""
    await session.execute(PREFERENCES.delete().where(PREFERENCES.c.user_id == user_id))
