"""Use cases of members. Each holds the accounts of all who own with the person, so that no two can lose the last owner.

Whoever ends accounts holds the same ones, in the same order.
"""

from collections.abc import Collection
from uuid import UUID

from lotpro.identity.v1 import events_pb2
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account
from lotpro_identity.members.domain import Held, OwnRoles, roles_after
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import LastOwner, Role
from lotpro_identity.ports import Ports
from lotpro_kit import errors, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session


async def set_roles(
    session: Session, caller: Caller, ports: Ports, *, user_id: UUID, wanted: Collection[Held], expected: int
) -> None:
    """Say what a member is in the stores the caller answers for.

    Raises OwnRoles, NotFound, PreconditionFailed, RoleNeedsStore, MayNotGrant, LastOwner.
    """
    org_id, held, version = await _held(session, caller, user_id)
    if version != expected:
        raise errors.PreconditionFailed
    await organisations.check_stores(session, org_id, {store_id for _, store_id in wanted if store_id is not None})
    after = roles_after(held, wanted, stores=caller.stores)
    await _apply(session, caller, ports, org_id=org_id, user_id=user_id, held=held, after=after)


async def remove(session: Session, caller: Caller, ports: Ports, *, user_id: UUID) -> None:
    """Take every role in the caller's reach from a member; raises OwnRoles, NotFound, MayNotGrant, LastOwner."""
    org_id, held, _ = await _held(session, caller, user_id)
    after = roles_after(held, (), stores=caller.stores)
    if after == held:
        raise errors.NotFound
    await _apply(session, caller, ports, org_id=org_id, user_id=user_id, held=held, after=after)


async def leave(session: Session, caller: Caller, ports: Ports) -> None:
    """Leave the organisation one is at work in; raises LastOwner."""
    org_id, user_id = _whose(caller)
    await _lock(session, caller, user_id)
    held = await organisations.roles_of(session, org_id, user_id)
    await _apply(session, caller, ports, org_id=org_id, user_id=user_id, held=held, after=set())


async def transfer(session: Session, caller: Caller, ports: Ports, *, user_id: UUID) -> None:
    """Hand the organisation to another member; the former owner runs its stores. Raises OwnRoles, NotFound."""
    org_id, held, _ = await _held(session, caller, user_id)
    owner_id = _whose(caller)[1]
    mine = await organisations.roles_of(session, org_id, owner_id)
    stores = await organisations.store_ids(session, org_id)
    owner: Held = (Role.ORG_OWNER, None)
    await _apply(session, caller, ports, org_id=org_id, user_id=user_id, held=held, after=held | {owner})
    kept = (mine - {owner}) | {(Role.STORE_ADMIN, store_id) for store_id in stores}
    await _apply(session, caller, ports, org_id=org_id, user_id=owner_id, held=mine, after=kept)
    await outbox.put(
        session,
        events_pb2.OwnershipTransferred(org_id=str(org_id), from_user_id=str(owner_id), to_user_id=str(user_id)),
    )
    await ports.security_log.record(
        session, caller, "identity:organisation:transfer", at=ports.clock(), subject=("user", user_id)
    )


async def suspend(session: Session, caller: Caller, ports: Ports, *, user_id: UUID, suspended: bool) -> None:
    """Take a member's access in this organisation for a while, or give it back; the roles stay.

    Raises OwnRoles, LastOwner, and NotFound also for somebody who is something beyond the caller's stores.
    """
    now = ports.clock()
    org_id, held, _ = await _held(session, caller, user_id)
    if caller.stores is not None and any(store_id not in caller.stores for _, store_id in held):
        raise errors.NotFound
    if suspended and (Role.ORG_OWNER, None) in held:
        await _check_owner_stays(session, org_id, without=user_id)
    await organisations.suspend_member(session, org_id, user_id, since=now if suspended else None)
    await accounts.change_access(session, user_id, now=now)
    event = events_pb2.MemberSuspended if suspended else events_pb2.MemberResumed
    await outbox.put(session, event(org_id=str(org_id), user_id=str(user_id)))
    await ports.security_log.record(
        session, caller, "identity:member:suspend" if suspended else "identity:member:resume", at=now,
        subject=("user", user_id),
    )


def _whose(caller: Caller) -> tuple[UUID, UUID]:
    if caller.org_id is None or caller.user_id is None:
        raise errors.NotFound
    return caller.org_id, caller.user_id


async def _held(session: Session, caller: Caller, user_id: UUID) -> tuple[UUID, set[Held], int]:
    """What another member is and the version of it, held; raises OwnRoles, and NotFound out of reach."""
    org_id, own_id = _whose(caller)
    if user_id == own_id:
        raise OwnRoles
    locked = await _lock(session, caller, user_id)
    held = await organisations.roles_of(session, org_id, user_id)
    seen = held if caller.stores is None else {entry for entry in held if entry[1] in caller.stores}
    if not seen or user_id not in locked or locked[user_id].is_ended:
        raise errors.NotFound
    return org_id, held, locked[user_id].access_version


async def _lock(session: Session, caller: Caller, user_id: UUID) -> dict[UUID, Account]:
    """Hold a person, the caller and whoever owns with them; raises Unauthenticated for a caller changed meanwhile."""
    own_id = _whose(caller)[1]
    together = {own_id, user_id} | await organisations.co_owners(session, user_id)
    together |= await organisations.co_owners(session, own_id)
    locked = await accounts.lock(session, together)
    if own_id not in locked or locked[own_id].access_version != caller.access_version:
        raise errors.Unauthenticated
    return locked


async def _apply(
    session: Session, caller: Caller, ports: Ports, *, org_id: UUID, user_id: UUID, held: set[Held], after: set[Held]
) -> None:
    now = ports.clock()
    if (Role.ORG_OWNER, None) in held - after:
        await _check_owner_stays(session, org_id, without=user_id)
    await organisations.change_roles(session, org_id, user_id, gone=held - after, added=after - held)
    await accounts.change_access(session, user_id, now=now)
    account = await accounts.find(session, user_id)
    version = account.access_version if account else 0
    if after:
        await outbox.put(
            session,
            events_pb2.MemberRolesChanged(org_id=str(org_id), user_id=str(user_id), version=version),
        )
    else:
        await outbox.put(session, events_pb2.MemberRemoved(org_id=str(org_id), user_id=str(user_id)))
    await ports.security_log.record(
        session, caller, "identity:member:update" if after else "identity:member:remove", at=now,
        subject=("user", user_id), changed=("roles",),
    )


async def _check_owner_stays(session: Session, org_id: UUID, *, without: UUID) -> None:
    owners = {
        row.account_id
        for row in await organisations.members_of(session, org_id)
        if row.role == Role.ORG_OWNER and row.suspended_at is None and row.account_id != without
    }
    people = await accounts.find_many(session, owners)
    if not any(account.is_active for account in people.values()):
        raise LastOwner
