"""Use cases of organisations: stores, members, invitations."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row

import lotpro_policy
from lotpro.identity.v1 import events_pb2
from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account, normalised_email, normalised_phone
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import CodeInvalid, Purpose
from lotpro_identity.factors.domain import Kind
from lotpro_identity.organisations import repository
from lotpro_identity.organisations.domain import (
    AlreadyMember,
    LastOwner,
    PermissionUnknown,
    Role,
    check_grant,
    check_time_zone,
    roles_claim,
)
from lotpro_identity.ports import Ports
from lotpro_kit import errors, ids, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Reader, Session

#: What `memberships_of` answers for an `account_id`, for whoever asks for it together with something else.
MEMBERSHIPS_OF = repository.MEMBERSHIPS_OF
#: Names of places that a password is compared with; more than almost anybody works in.
MOST_NAMES = 100


async def sign_up(
    session: Session,
    caller: Caller,
    ports: Ports,
    *,
    name: str,
    email: str,
    password_hash: str,
    phone: str | None,
    organisation: str,
    store: str,
    time_zone: str,
) -> None:
    """Open an account, its organisation and first store, and send a code; a known address changes nothing.

    Of an address that signed up before and never confirmed only the last sign-up counts, in everything it says, and it
    gets a new code: the one before may be somebody else's. Nothing tells the caller which it was.
    """
    now = ports.clock()
    address = normalised_email(email)
    check_time_zone(time_zone)
    number = normalised_phone(phone) if phone else None
    await attempts.reserve(session, "sign_up", account=address, ip=caller.origin.ip, now=now)
    found = await accounts.find_by_email(session, address)
    if found is not None:
        known = (await accounts.lock(session, {found.id}))[found.id]
        if known.is_unproven:
            await accounts.sign_up_again(
                session, ports, known.id, name=name, password_hash=password_hash, phone=number
            )
            org_id = await _rename_own(session, known.id, name=organisation, store=store, time_zone=time_zone)
            await _ask_to_confirm(session, caller, ports, known.id, org_id=org_id)
        return
    account = await accounts.add_account(
        session, ports, name=name, email=address, password_hash=password_hash, phone=number, confirmed_at=None
    )
    org_id = await create_organisation(
        session, ports, caller, owner_id=account.id, name=organisation, store=store, time_zone=time_zone
    )
    await outbox.put(session, events_pb2.AccountSignedUp(user_id=str(account.id)))
    await _ask_to_confirm(session, caller, ports, account.id, org_id=org_id)


async def _rename_own(session: Session, account_id: UUID, *, name: str, store: str, time_zone: str) -> UUID | None:
    """Call the organisation that a sign-up opened, and its store, as the next one does; answers which it is."""
    for org_id in await _owned(session, account_id):
        if any(row.account_id != account_id for row in await repository.members(session, org_id)):
            continue
        version = await repository.rename_organisation(session, org_id, name)
        await outbox.put(session, events_pb2.OrganisationUpdated(org_id=str(org_id), version=version))
        for store_id, store_version in await repository.rename_stores(session, org_id, store, time_zone=time_zone):
            await outbox.put(
                session,
                events_pb2.StoreOpened(org_id=str(org_id), store_id=str(store_id), version=store_version),
            )
        return org_id
    return None


async def _ask_to_confirm(
    session: Session, caller: Caller, ports: Ports, account_id: UUID, *, org_id: UUID | None
) -> None:
    now = ports.clock()
    await ports.security_log.record(
        session, caller, "identity:account:sign_up", at=now, actor_id=account_id, org_id=org_id,
        subject=("user", account_id),
    )
    await challenges.open_challenge(
        session, purpose=Purpose.CONFIRM_EMAIL, account_id=account_id, org_id=org_id, now=now
    )


async def create_organisation(
    session: Session, ports: Ports, caller: Caller, *, owner_id: UUID, name: str, store: str, time_zone: str
) -> UUID:
    """An organisation with its owner and first store; answers its id."""
    org_id = ids.new()
    await repository.add_organisation(session, org_id, name)
    await repository.add_membership(
        session, account_id=owner_id, org_id=org_id, store_id=None, role=Role.ORG_OWNER
    )
    await outbox.put(
        session, events_pb2.OrganisationCreated(org_id=str(org_id), owner_id=str(owner_id), version=1)
    )
    await ports.security_log.record(
        session, caller, "identity:organisation:create", at=ports.clock(), actor_id=owner_id, org_id=org_id,
        subject=("organisation", org_id),
    )
    await _open(session, ports, caller, org_id=org_id, actor_id=owner_id, name=store, time_zone=time_zone)
    return org_id


async def open_organisation(
    session: Session, caller: Caller, ports: Ports, *, name: str, store: str, time_zone: str
) -> UUID:
    """Another organisation of somebody who has an account; answers its id. Raises TimeZoneUnknown, TooManyAttempts."""
    check_time_zone(time_zone)
    assert caller.user_id is not None
    await attempts.reserve(
        session, "organisation", account=str(caller.user_id), ip=caller.origin.ip, now=ports.clock()
    )
    return await create_organisation(
        session, ports, caller, owner_id=caller.user_id, name=name, store=store, time_zone=time_zone
    )


async def open_store(session: Session, caller: Caller, ports: Ports, *, name: str, time_zone: str) -> UUID:
    """Open a store in the caller's organisation; raises TimeZoneUnknown."""
    check_time_zone(time_zone)
    assert caller.org_id is not None
    return await _open(
        session, ports, caller, org_id=caller.org_id, actor_id=caller.user_id, name=name, time_zone=time_zone
    )


async def _open(
    session: Session, ports: Ports, caller: Caller, *, org_id: UUID, actor_id: UUID | None, name: str, time_zone: str
) -> UUID:
    store_id = ids.new()
    await repository.add_store(session, store_id=store_id, org_id=org_id, name=name, time_zone=time_zone)
    await outbox.put(session, events_pb2.StoreOpened(org_id=str(org_id), store_id=str(store_id), version=1))
    await ports.security_log.record(
        session, caller, "identity:store:open", at=ports.clock(), subject=("store", store_id), store_id=store_id,
        org_id=org_id, actor_id=actor_id,
    )
    return store_id


async def current(session: Session, caller: Caller) -> tuple[Row[Any], Sequence[Row[Any]]]:
    """The organisation the caller works in, and its stores; raises NotFound without one."""
    if caller.org_id is None:
        raise errors.NotFound
    found = await repository.organisation(session, caller.org_id)
    if found is None:
        raise errors.NotFound
    return found, await repository.stores(session, caller.org_id)


async def memberships_of(session: Session, account_id: UUID) -> Sequence[Any]:
    """A person's memberships, oldest first: org_id, store_id, role, suspended_at."""
    return await repository.memberships_of(session, account_id)


async def names_around(session: Session, *, account_id: UUID | None = None, org_id: UUID | None = None) -> list[str]:
    """What the places are called where a person works, or an organisation's: nothing to make a password of."""
    org_ids = {row.org_id for row in await memberships_of(session, account_id)} if account_id else set()
    return await repository.names_around(session, org_ids | ({org_id} if org_id else set()), limit=MOST_NAMES)


async def exists(session: Session, org_id: UUID) -> bool:
    """Whether there is such an organisation."""
    return await repository.organisation(session, org_id) is not None


async def organisations_of(session: Session, account_id: UUID) -> Sequence[Any]:
    """The organisations a person can be at work in, with all their columns, the one they joined first first."""
    return await repository.organisations_of(session, account_id)


async def read_forbidden_factors(reader: Reader, account_id: UUID) -> frozenset[str]:
    """The same as `forbidden_factors`, in one round trip."""
    found = await repository.read_forbidding(reader, account_id)
    return frozenset([Kind.SMS] * found["sms"] + [Kind.EMAIL] * found["email"])


async def forbidden_factors(session: Session, account_id: UUID) -> frozenset[str]:
    """The kinds of factor that any organisation of a person does not allow."""
    theirs = await repository.organisations_of(session, account_id)
    return frozenset(
        [Kind.SMS] * any(not row.allow_sms_factor for row in theirs)
        + [Kind.EMAIL] * any(not row.allow_email_factor for row in theirs)
    )


async def check_stores(session: Session, org_id: UUID, wanted: Collection[UUID]) -> None:
    """Refuse stores that are not the organisation's; raises NotFound."""
    if not set(wanted) <= await store_ids(session, org_id):
        raise errors.NotFound


async def members_of(session: Session, org_id: UUID) -> Sequence[Any]:
    """An organisation's memberships, oldest first: account_id, store_id, role, suspended_at."""
    return await repository.members(session, org_id)


async def stores_with(
    session: Session, *, user_id: UUID, org_id: UUID, permission: str
) -> frozenset[UUID] | Literal[False] | None:
    """Where a person holds a permission now: None for everywhere in the organisation, False for nowhere.

    Raises PermissionUnknown.
    """
    if permission not in lotpro_policy.access().permissions:
        raise PermissionUnknown
    account = await accounts.find(session, user_id)
    if account is None or not account.is_active:
        return False
    rows = await repository.memberships_of(session, user_id)
    roles = roles_claim((row.store_id, row.role) for row in rows if row.org_id == org_id and row.suspended_at is None)
    person = Caller(kind="user", roles={store: frozenset(held) for store, held in roles.items()})
    return person.stores_with(permission)


async def names_of_members(session: Session, org_id: UUID) -> dict[UUID, str]:
    """The names of an organisation's members, also of suspended ones."""
    rows = await repository.members(session, org_id)
    people = await accounts.find_many(session, {row.account_id for row in rows})
    return {account.id: account.name for account in people.values() if not account.is_ended}


async def roles_of(session: Session, org_id: UUID, account_id: UUID) -> set[tuple[Role, UUID | None]]:
    """What a person is in an organisation: role and store, no store for the whole of it."""
    return {(Role(row.role), row.store_id) for row in await repository.roles_of(session, org_id, account_id)}


async def change_roles(
    session: Session,
    org_id: UUID,
    account_id: UUID,
    *,
    gone: Collection[tuple[Role, UUID | None]],
    added: Collection[tuple[Role, UUID | None]],
) -> None:
    """Take some roles from a person and give them others; who may is for the caller to know."""
    await repository.replace_roles(session, org_id, account_id, gone=gone, added=added)


async def suspend_member(session: Session, org_id: UUID, account_id: UUID, *, since: datetime | None) -> None:
    """Suspend a member, or take that back with None; who may is for the caller to know."""
    await repository.suspend_member(session, org_id, account_id, since=since)


async def invitations_to(session: Session, org_id: UUID, email: str) -> Sequence[Any]:
    """An organisation's invitations to an address."""
    return await repository.invitations_to(session, org_id, email)


async def home_of(session: Session, account_id: UUID) -> UUID | None:
    """The organisation a person signs in to: the one they joined first and are not suspended in."""
    rows = await repository.memberships_of(session, account_id)
    return next((row.org_id for row in rows if row.suspended_at is None), None)


async def co_owners(session: Session, account_id: UUID) -> set[UUID]:
    """The other owners of the organisations that a person owns."""
    people: set[UUID] = set()
    for org_id in await _owned(session, account_id):
        rows = await repository.members(session, org_id)
        people |= {row.account_id for row in rows if row.role == Role.ORG_OWNER}
    return people - {account_id}


async def check_may_leave(session: Session, account_id: UUID) -> None:
    """Refuse to take the last owner from an organisation in which others work; raises LastOwner.

    The accounts of the co-owners are to be locked: two who leave at once would each see the other stay.
    """
    for org_id in await _owned(session, account_id):
        rows = [row for row in await repository.members(session, org_id) if row.account_id != account_id]
        people = await accounts.find_many(session, {row.account_id for row in rows})
        staying = [row for row in rows if row.account_id in people and people[row.account_id].is_active]
        if staying and not any(row.role == Role.ORG_OWNER for row in staying):
            raise LastOwner


async def leave_all(session: Session, caller: Caller, ports: Ports, *, account_id: UUID) -> None:
    """Take every role from a person; an organisation that is left without an owner is marked and reported."""
    now = ports.clock()
    gone = await repository.remove_memberships(session, account_id)
    for org_id in {row.org_id for row in gone if row.role == Role.ORG_OWNER}:
        if any(row.role == Role.ORG_OWNER for row in await repository.members(session, org_id)):
            continue
        await repository.mark_orphaned(session, org_id, now=now)
        await outbox.put(session, events_pb2.OrganisationOrphaned(org_id=str(org_id)))
        await ports.security_log.record(
            session, caller, "identity:organisation:orphan", at=now, org_id=org_id, subject=("organisation", org_id)
        )


async def forget_invitations(session: Session, *, account_id: UUID, email: str) -> None:
    """Drop the invitations to a person."""
    await repository.remove_invitations(session, account_id, email)


async def _owned(session: Session, account_id: UUID) -> set[UUID]:
    rows = await repository.memberships_of(session, account_id)
    return {row.org_id for row in rows if row.role == Role.ORG_OWNER}


async def store_ids(session: Session, org_id: UUID) -> set[UUID]:
    """The ids of an organisation's stores."""
    return {store.id for store in await repository.stores(session, org_id)}


async def admit(
    session: Session, caller: Caller, ports: Ports, *, org_id: UUID, store_id: UUID, role: Role, account_id: UUID
) -> None:
    """Make an account a member without an invitation: the organisation vouches for it. A member stays as they are."""
    rows = await repository.memberships_of(session, account_id)
    if any(row.org_id == org_id for row in rows):
        return
    now = ports.clock()
    await repository.add_membership(session, account_id=account_id, org_id=org_id, store_id=store_id, role=role)
    await accounts.change_access(session, account_id, now=now)
    await outbox.put(session, events_pb2.MemberJoined(org_id=str(org_id), user_id=str(account_id), version=1))
    await ports.security_log.record(
        session, caller, "identity:member:join", at=now, org_id=org_id, store_id=store_id,
        subject=("user", account_id),
    )


async def dismiss(session: Session, *, org_id: UUID, account_id: UUID) -> list[str]:
    """Take every role in one organisation from a person; answers which. The caller changes their access."""
    gone = [row.role for row in await repository.remove_memberships_in(session, account_id, org_id)]
    if gone:
        await outbox.put(session, events_pb2.MemberRemoved(org_id=str(org_id), user_id=str(account_id)))
    return gone


async def list_members(session: Session, caller: Caller) -> list[tuple[Any, Account]]:
    """Memberships of the caller's organisation, in the stores where the caller may see them, and whose they are."""
    assert caller.org_id is not None
    rows = await repository.members(session, caller.org_id)
    seen = [row for row in rows if caller.stores is None or row.store_id in caller.stores]
    people = await accounts.find_many(session, {row.account_id for row in seen})
    return [(row, people[row.account_id]) for row in seen if row.account_id in people]


async def invite_member(
    session: Session, caller: Caller, ports: Ports, *, email: str, role: Role, store_id: UUID | None
) -> UUID:
    """Invite an address to a role; the e-mail's token is single use and good for a week.

    Raises EmailInvalid, RoleNeedsStore, MayNotGrant, AlreadyMember, and NotFound for a store that is not the caller's.
    """
    assert caller.org_id is not None and caller.user_id is not None  # noqa: PT018 - a permission needs both
    check_grant(role, store_id, whole_organisation=caller.stores is None)
    if store_id is not None:
        await check_stores(session, caller.org_id, {store_id})
        if caller.stores is not None and store_id not in caller.stores:
            raise errors.NotFound
    now, address = ports.clock(), normalised_email(email)
    known = await accounts.find_by_email(session, address)
    if known is not None:
        rows = await repository.memberships_of(session, known.id)
        if (caller.org_id, store_id, role) in {(row.org_id, row.store_id, row.role) for row in rows}:
            raise AlreadyMember
    challenge_id = await challenges.open_challenge(
        session, purpose=Purpose.INVITATION, account_id=None, org_id=caller.org_id, now=now
    )
    invitation_id = ids.new()
    await repository.add_invitation(
        session, invitation_id=invitation_id, org_id=caller.org_id, store_id=store_id, role=role,
        email=address, challenge_id=challenge_id, invited_by=caller.user_id,
    )
    await outbox.put(
        session,
        events_pb2.MemberInvited(
            org_id=str(caller.org_id), invitation_id=str(invitation_id), invited_by=str(caller.user_id)
        ),
    )
    await ports.security_log.record(
        session, caller, "identity:member:invite", at=now, subject=("invitation", invitation_id), store_id=store_id
    )
    return invitation_id


async def list_invitations(
    session: Session, caller: Caller, *, now: datetime
) -> list[tuple[Row[Any], datetime | None]]:
    """Invitations that nobody accepted, where the caller may see them, and until when each can be; None: it expired."""
    assert caller.org_id is not None
    rows = [
        row for row in await repository.open_invitations(session, caller.org_id)
        if caller.stores is None or row.store_id in caller.stores
    ]
    until = await challenges.open_until(session, [row.challenge_id for row in rows], now=now)
    return [(row, until.get(row.challenge_id)) for row in rows]


async def revoke_invitation(session: Session, caller: Caller, ports: Ports, *, invitation_id: UUID) -> None:
    """Take an invitation back; its token is of no use any more. Raises NotFound."""
    now = ports.clock()
    invitation = await _invitation_in_reach(session, caller, invitation_id)
    await challenges.end(session, invitation.challenge_id, now=now)
    await repository.remove_invitation(session, invitation_id)
    await ports.security_log.record(
        session, caller, "identity:member:uninvite", at=now, subject=("invitation", invitation_id),
        store_id=invitation.store_id,
    )


async def resend_invitation(session: Session, caller: Caller, ports: Ports, *, invitation_id: UUID) -> None:
    """Send an invitation again, with a new token for another week; the one before ends. Raises NotFound."""
    now = ports.clock()
    invitation = await _invitation_in_reach(session, caller, invitation_id)
    await attempts.reserve_send(
        session, account=str(invitation_id), org=str(caller.org_id), ip=caller.origin.ip, number="", now=now
    )
    await challenges.end(session, invitation.challenge_id, now=now)
    challenge_id = await challenges.open_challenge(
        session, purpose=Purpose.INVITATION, account_id=None, org_id=caller.org_id, now=now
    )
    await repository.renew_invitation(session, invitation_id, challenge_id=challenge_id)
    await ports.security_log.record(
        session, caller, "identity:member:invite", at=now, subject=("invitation", invitation_id),
        store_id=invitation.store_id,
    )


async def _invitation_in_reach(session: Session, caller: Caller, invitation_id: UUID) -> Row[Any]:
    assert caller.org_id is not None
    row: Row[Any] | None = await repository.locked_invitation(session, caller.org_id, invitation_id)
    if row is None or (caller.stores is not None and row.store_id not in caller.stores):
        raise errors.NotFound
    return row


async def update_organisation(
    session: Session, caller: Caller, ports: Ports, *, expected: int, changes: Mapping[str, Any]
) -> None:
    """Change the caller's organisation; raises PreconditionFailed when somebody else did meanwhile."""
    assert caller.org_id is not None
    if not changes:
        return
    if not await repository.update_organisation(session, caller.org_id, version=expected, changes=changes):
        raise errors.PreconditionFailed
    await outbox.put(session, events_pb2.OrganisationUpdated(org_id=str(caller.org_id), version=expected + 1))
    await ports.security_log.record(
        session, caller, "identity:organisation:update", at=ports.clock(), subject=("organisation", caller.org_id),
        changed=tuple(sorted(changes)),
    )


async def suspend(session: Session, caller: Caller, ports: Ports, *, suspended: bool) -> None:
    """Take everybody's access to the caller's organisation but its owners', or give it back; roles stay.

    Who was suspended by themselves stays so. It holds on everybody's next request, in every service.
    """
    assert caller.org_id is not None
    now = ports.clock()
    organisation = await repository.organisation(session, caller.org_id)
    if (organisation.suspended_at is not None) == suspended:
        return
    rows = await repository.members(session, caller.org_id)
    await repository.set_suspended(session, caller.org_id, since=now if suspended else None)
    after = await repository.members(session, caller.org_id)
    touched = {
        row.account_id for row, later in zip(rows, after, strict=True)
        if (row.suspended_at is None) != (later.suspended_at is None)
    }
    event = events_pb2.MemberSuspended if suspended else events_pb2.MemberResumed
    # Always in the same order, as whoever locks accounts does.
    for account_id in sorted(touched):
        await accounts.change_access(session, account_id, now=now)
        await outbox.put(session, event(org_id=str(caller.org_id), user_id=str(account_id)))
    await outbox.put(
        session, events_pb2.OrganisationUpdated(org_id=str(caller.org_id), version=organisation.version + 1)
    )
    await ports.security_log.record(
        session, caller, "identity:organisation:suspend" if suspended else "identity:organisation:resume", at=now,
        subject=("organisation", caller.org_id),
    )


async def peek_invitation(session: Session, ports: Ports, *, token: str) -> Row[Any]:
    """The invitation that a token is of, without using it up; raises CodeInvalid."""
    challenge = await challenges.peek_token(
        session, token=token, purpose=Purpose.INVITATION, codes=ports.codes, now=ports.clock()
    )
    invitation = await repository.invitation_of(session, challenge.id)
    if invitation is None:
        raise CodeInvalid
    found: Row[Any] = invitation
    return found


async def invitation_for(session: Session, ports: Ports, *, token: str) -> Row[Any]:
    """Use up an invitation's token; raises CodeInvalid."""
    challenge = await challenges.answer_token(
        session, token=token, purpose=Purpose.INVITATION, codes=ports.codes, now=ports.clock()
    )
    invitation = await repository.invitation_of(session, challenge.id)
    if invitation is None:
        raise CodeInvalid
    found: Row[Any] = invitation
    return found


async def add_invited(
    session: Session, caller: Caller, ports: Ports, *, name: str, email: str, password_hash: str
) -> Account:
    """The account of somebody who has shown by an invitation's token that the address is theirs.

    Of a sign-up with it that nobody has confirmed nothing stays: it may have been anybody's. Raises CodeInvalid where
    one was confirmed meanwhile.
    """
    found = await accounts.find_by_email(session, email)
    if found is None:
        return await accounts.add_account(
            session, ports, name=name, email=email, password_hash=password_hash, phone=None,
            confirmed_at=ports.clock(),
        )
    if not (await accounts.lock(session, {found.id}))[found.id].is_unproven:
        raise CodeInvalid
    await replace_sign_up(session, caller, ports, account_id=found.id, name=name, password_hash=password_hash)
    return (await accounts.lock(session, {found.id}))[found.id]


async def replace_sign_up(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, name: str, password_hash: str
) -> None:
    """Whose address it is was shown otherwise: of a sign-up with it that nobody confirmed nothing stays."""
    await leave_all(session, caller, ports, account_id=account_id)
    await accounts.sign_up_again(session, ports, account_id, name=name, password_hash=password_hash, phone=None)
    await accounts.mark_confirmed(session, account_id, now=ports.clock())


async def join(session: Session, caller: Caller, ports: Ports, *, invitation: Row[Any], account_id: UUID) -> None:
    """Make an account a member as the invitation says."""
    now = ports.clock()
    rows = await repository.memberships_of(session, account_id)
    held = {(row.org_id, row.store_id, row.role) for row in rows}
    if (invitation.org_id, invitation.store_id, invitation.role) not in held:
        await repository.add_membership(
            session, account_id=account_id, org_id=invitation.org_id, store_id=invitation.store_id,
            role=invitation.role,
        )
    await repository.accept_invitation(session, invitation.id, account_id=account_id, now=now)
    await outbox.put(
        session, events_pb2.MemberJoined(org_id=str(invitation.org_id), user_id=str(account_id), version=1)
    )
    await ports.security_log.record(
        session, caller, "identity:member:join", at=now, actor_id=account_id, org_id=invitation.org_id,
        store_id=invitation.store_id, subject=("user", account_id),
    )
