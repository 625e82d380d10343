"""Knowing an organisation's stores before anything refers to them."""

from uuid import UUID
from zoneinfo import ZoneInfo

from lotpro_inventory.clients.identity import Identity
from lotpro_inventory.stores import repository
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session
from lotpro_kit.errors import NotFound


async def known_store(*, session: Session, caller: Caller, identity: Identity, store_id: UUID) -> ZoneInfo:
    """A store of the caller's, by its time zone; one whose event has not come yet is asked of identity.

    Raises NotFound for a store that the caller does not reach, Unavailable when identity is needed and away.
    """
    org_id = organisation_of(caller)
    if caller.stores is not None and store_id not in caller.stores:
        raise NotFound
    zone = await repository.time_zone_of(session, org_id=org_id, store_id=store_id)
    if zone is None:
        known = {store.store_id: store for store in await identity.stores_of(org_id)}
        if store_id not in known:
            raise NotFound
        zone = known[store_id].time_zone
        await repository.put_store(session, org_id=org_id, store_id=store_id, time_zone=zone)
    return ZoneInfo(zone)


async def learn_stores(*, session: Session, identity: Identity, org_id: UUID) -> None:
    """Write down all stores of an organisation as identity knows them now; may be repeated, in any order."""
    for store in await identity.stores_of(org_id):
        await repository.put_store(session, org_id=org_id, store_id=store.store_id, time_zone=store.time_zone)


async def stores_of(*, session: Session, org_id: UUID) -> list[UUID]:
    """The stores of an organisation that the session's caller can see."""
    return await repository.ids_of(session, org_id=org_id)


def reach(caller: Caller, store_id: UUID | None) -> frozenset[UUID] | None:
    """The stores a list is to look in: the wanted one, else the caller's; None for all of the organisation.

    Row-level security narrows to the same, but its conditions choose no index.
    """
    if store_id is None:
        return caller.stores
    return frozenset({store_id}) if caller.stores is None else caller.stores & {store_id}


def organisation_of(caller: Caller) -> UUID:
    """The caller's organisation; without one nothing here is theirs: NotFound."""
    if caller.org_id is None:
        raise NotFound
    return caller.org_id
