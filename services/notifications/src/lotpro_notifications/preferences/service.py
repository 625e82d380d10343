"""Reading and changing what a person wants to get."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from lotpro_kit import errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session
from lotpro_notifications.preferences import repository
from lotpro_notifications.preferences.domain import Preferences


async def view_preferences(*, session: Session, user_id: UUID) -> Preferences:
    """A person's preferences; everything on for somebody who never chose."""
    return await repository.preferences_of(session, user_id=user_id) or Preferences(user_id)


async def update_preferences(
    *, session: Session, caller: Caller, expected_version: int, sms_alerts: bool | None, now: datetime
) -> Preferences:
    """Change the caller's own preferences; None leaves one as it is. Raises PreconditionFailed."""
    if caller.user_id is None:
        raise errors.NotFound
    before = await view_preferences(session=session, user_id=caller.user_id)
    if before.version != expected_version:
        raise errors.PreconditionFailed
    after = replace(
        before, sms_alerts=before.sms_alerts if sms_alerts is None else sms_alerts, version=before.version + 1
    )
    if not await repository.put_preferences(session, after, expected_version=expected_version, now=now):
        raise errors.PreconditionFailed
    return after


async def without_sms(*, session: Session, user_ids: Collection[UUID]) -> set[UUID]:
    """Those of these people who chose not to get alerts by SMS."""
    return await repository.without_sms(session, user_ids=user_ids)


async def count_preferences(*, session: Session, user_id: UUID) -> int:
    """1 for somebody who chose, else 0."""
    return int(await repository.preferences_of(session, user_id=user_id) is not None)


async def forget_preferences(*, session: Session, user_id: UUID) -> None:
    """Drop what a person who is gone chose."""
    await repository.forget(session, user_id=user_id)
