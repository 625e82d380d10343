"""Use cases of preferences."""

from dataclasses import replace
from uuid import UUID

from lotpro_identity.organisations import service as organisations
from lotpro_identity.preferences.domain import Preferences
from lotpro_kit import errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session


async def check(session: Session, caller: Caller, *, preferences: Preferences) -> None:
    """Refuse a store that is not one of the organisation's; raises NotFound."""
    if preferences.store_id is not None and preferences.store_id not in await _stores(session, caller):
        raise errors.NotFound


async def still_true(session: Session, caller: Caller, *, preferences: Preferences) -> Preferences:
    """The preferences, without a store that is not one of the organisation's (any more)."""
    if preferences.store_id is None or preferences.store_id in await _stores(session, caller):
        return preferences
    return replace(preferences, store_id=None)


async def _stores(session: Session, caller: Caller) -> set[UUID]:
    if caller.org_id is None:
        return set()
    _, stores = await organisations.current(session, caller)
    return {store.id for store in stores}
