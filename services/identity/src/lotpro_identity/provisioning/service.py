"""Use cases of provisioning. What a directory does stays in its organisation; owners are out of its reach."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import EmailInvalid, EmailTaken, normalised_email
from lotpro_identity.federation import service as federation
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import ORGANISATION_ROLES, Role
from lotpro_identity.ports import Ports
from lotpro_identity.provisioning import domain, repository
from lotpro_identity.provisioning.domain import Grant, Person
from lotpro_identity.provisioning.filters import Node
from lotpro_kit import errors, ids
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session

#: Row-level security lets this scope see accounts and memberships elsewhere, and write in its organisation alone.
SCOPE = "provisioning"
PREFIX = "lotpro_scim_"


async def create_token(
    session: Session, caller: Caller, ports: Ports, *, name: str, role: Role, store_id: UUID, lifetime: timedelta
) -> tuple[Any, str]:
    """A token for the organisation's directory: its row, and the token itself, which is shown this once.

    Raises RoleNotProvisionable, TooManyTokens, and NotFound for a store that is not the organisation's.
    """
    assert caller.org_id is not None and caller.user_id is not None  # noqa: PT018 - a permission needs both
    await check_role(session, org_id=caller.org_id, role=role, store_id=store_id)
    if len(await repository.tokens(session, caller.org_id)) >= domain.MAX_TOKENS:
        raise domain.TooManyTokens
    now, token, token_id = ports.clock(), PREFIX + secrets.token_urlsafe(32), ids.new()
    await repository.add_token(
        session,
        {
            "id": token_id, "org_id": caller.org_id, "name": name, "digest": _digest(token), "role": role,
            "store_id": store_id, "created_by": caller.user_id, "created_at": now, "expires_at": now + lifetime,
        },
    )
    await ports.security_log.record(
        session, caller, "identity:provisioning:create_token", at=now, subject=("scim_token", token_id),
        store_id=store_id,
    )
    row = await repository.token_by_digest(session, _digest(token), now=now)
    return row, token


async def check_role(session: Session, *, org_id: UUID, role: Role, store_id: UUID) -> None:
    """Refuse a role that is not one in a store; raises RoleNotProvisionable, and NotFound for a store elsewhere."""
    if role in ORGANISATION_ROLES:
        raise domain.RoleNotProvisionable
    if store_id not in await organisations.store_ids(session, org_id):
        raise errors.NotFound


async def list_tokens(session: Session, caller: Caller) -> Sequence[Any]:
    """The organisation's tokens that were not revoked, oldest first; an expired one stays to be seen."""
    assert caller.org_id is not None
    return await repository.tokens(session, caller.org_id)


async def revoke_token(session: Session, caller: Caller, ports: Ports, *, token_id: UUID) -> None:
    """End a token at once; raises NotFound."""
    assert caller.org_id is not None
    now = ports.clock()
    if not await repository.revoke_token(session, caller.org_id, token_id, now=now):
        raise errors.NotFound
    await ports.security_log.record(
        session, caller, "identity:provisioning:revoke_token", at=now, subject=("scim_token", token_id)
    )


async def authenticate(session: Session, caller: Caller, ports: Ports, *, token: str) -> Grant:
    """What a token lets its holder do; raises TokenInvalid. `caller` says where they are."""
    now = ports.clock()
    row = await repository.token_by_digest(session, _digest(token), now=now)
    if row is None:
        raise domain.TokenInvalid
    if row.last_used_at is None or now - row.last_used_at >= domain.USE_NOTED:
        await repository.note_use(session, row.id, now=now)
    return Grant(
        row.id, row.role, row.store_id,
        Caller(
            kind="service", org_id=row.org_id, stores=None, service=str(row.id), scope=SCOPE, origin=caller.origin,
            request_id=caller.request_id,
        ),
    )


async def void_sign_up(session: Session, grant: Grant, ports: Ports, *, person: Person) -> None:
    """End what somebody signed up with a person's address and never confirmed, in a domain the organisation has proven.

    Otherwise a stranger could keep everybody out whose address they guess. It may have been anybody's, so no password
    opens what is left. Needs the scope AUTHENTICATOR. Raises InvalidValue.
    """
    address = _address(person.email)
    found = await accounts.find_by_email(session, address)
    if found is None or not await federation.is_verified(session, org_id=grant.org_id, email=address):
        return
    locked = (await accounts.lock(session, {found.id})).get(found.id)
    if locked is not None and locked.is_unproven:
        await organisations.replace_sign_up(
            session, grant.caller, ports, account_id=locked.id, name=person.name,
            password_hash=ports.passwords.dummy,
        )
        await ports.security_log.record(
            session, grant.caller, "identity:email:confirm", at=ports.clock(), subject=("user", locked.id)
        )


async def create_user(session: Session, grant: Grant, ports: Ports, *, person: Person) -> Any:
    """Make a person a member, with an account if the address has none; answers the user's row.

    An account is found by its address only among the organisation's members and in its verified domains; elsewhere
    nothing tells whether there is one. Raises InvalidValue, DomainUnverified, ScimTaken and OwnerUntouchable.
    """
    address = _address(person.email)
    account = await accounts.find_by_email(session, address)
    if account is not None:
        account = (await accounts.lock(session, {account.id})).get(account.id)
    roles = await _roles(session, grant, account.id) if account else []
    if Role.ORG_OWNER in roles:
        raise domain.OwnerUntouchable
    if not roles and not await federation.is_verified(session, org_id=grant.org_id, email=address):
        raise domain.DomainUnverified
    if await repository.is_taken(
        session, grant.org_id, user_name=person.user_name, account_id=account.id if account else None
    ):
        raise domain.ScimTaken
    managed = account is None
    if account is None:
        try:
            # Confirmed, because the organisation has proven the domain.
            account = await accounts.add_without_password(session, ports, name=person.name, email=address)
        except EmailTaken as error:
            raise domain.ScimTaken from error
    elif not account.is_active or account.email_confirmed_at is None:
        # Who signed up with an address since `void_sign_up` may be anybody, and knows the password.
        raise domain.ScimTaken
    now = ports.clock()
    values = {
        "id": ids.new(), "org_id": grant.org_id, "account_id": account.id, "managed": managed, "created_at": now,
        "changed_at": now, "email": address, **_described(person),
    }
    try:
        async with session.begin_nested():
            row = await repository.add_user(session, values)
    except IntegrityError as error:
        raise domain.ScimTaken from error
    await _record(session, grant, ports, "identity:member:provision", row)
    if person.active:
        await _admit(session, grant, ports, account.id)
    elif roles:
        await _dismiss(session, grant, ports, row)
    return row


async def get_user(session: Session, grant: Grant, *, user_id: UUID) -> Any:
    """A user's row; raises NotFound."""
    row = await repository.user(session, grant.org_id, user_id)
    if row is None:
        raise errors.NotFound
    return row


async def list_users(
    session: Session, grant: Grant, *, wanted: Node | None, offset: int, limit: int
) -> tuple[int, Sequence[Any]]:
    """How many users a filter has, and a page of them, oldest first."""
    return await repository.users(session, grant.org_id, wanted, offset=offset, limit=limit)


async def replace_user(session: Session, grant: Grant, ports: Ports, *, user_id: UUID, person: Person) -> Any:
    """Describe a user anew; the address of the account stays. Raises NotFound, ScimTaken and OwnerUntouchable."""
    return await _change(session, grant, ports, await _held(session, grant, user_id), person)


async def patch_user(
    session: Session, grant: Grant, ports: Ports, *, user_id: UUID, operations: Sequence[Mapping[str, Any]]
) -> Any:
    """Change a user by operations in their order, all or none of them.

    Raises NotFound, InvalidValue, InvalidPath, InvalidSyntax, ScimTaken and OwnerUntouchable.
    """
    row = await _held(session, grant, user_id)
    person = Person(**{name: getattr(row, name) for name in Person.__slots__})
    return await _change(session, grant, ports, row, domain.patched(person, operations))


async def remove_user(session: Session, grant: Grant, ports: Ports, *, user_id: UUID) -> None:
    """Take a user's roles in the organisation and forget them; the account stays. Raises NotFound, OwnerUntouchable."""
    row = await _held(session, grant, user_id)
    await _dismiss(session, grant, ports, row)
    await repository.remove_user(session, row.id)


async def records_of(session: Session, account_id: UUID) -> Sequence[Any]:
    """What the directories that one may see say about a person."""
    return await repository.of_account(session, account_id)


async def forget(session: Session, account_id: UUID) -> None:
    """Drop what directories say about a person."""
    await repository.forget(session, account_id)


async def _held(session: Session, grant: Grant, user_id: UUID) -> Any:
    """A user nobody else changes meanwhile, who is no owner."""
    row = await repository.user(session, grant.org_id, user_id, lock=True)
    if row is None:
        raise errors.NotFound
    if Role.ORG_OWNER in await _roles(session, grant, row.account_id):
        raise domain.OwnerUntouchable
    return row


async def _change(session: Session, grant: Grant, ports: Ports, row: Any, person: Person) -> Any:
    fresh = _described(person)
    changed = tuple(sorted(name for name, value in fresh.items() if getattr(row, name) != value))
    if not changed:
        return row
    try:
        async with session.begin_nested():
            after = await repository.change_user(session, row.id, fresh | {"changed_at": ports.clock()})
    except IntegrityError as error:
        raise domain.ScimTaken from error
    await _record(session, grant, ports, "identity:member:update", row, changed=changed)
    if row.managed and name_of(row) != person.name and await _is_ours_alone(session, grant, row.account_id):
        await accounts.rename(session, row.account_id, person.name)
    if person.active and not row.active:
        await _admit(session, grant, ports, row.account_id)
    elif row.active and not person.active:
        await _dismiss(session, grant, ports, row)
    return after


async def _admit(session: Session, grant: Grant, ports: Ports, account_id: UUID) -> None:
    await organisations.admit(
        session, grant.caller, ports, org_id=grant.org_id, store_id=grant.store_id, role=Role(grant.role),
        account_id=account_id,
    )


async def _dismiss(session: Session, grant: Grant, ports: Ports, row: Any) -> None:
    if Role.ORG_OWNER in await organisations.dismiss(session, org_id=grant.org_id, account_id=row.account_id):
        # Made an owner since we looked; the transaction is undone.
        raise domain.OwnerUntouchable
    await accounts.change_access(session, row.account_id, now=ports.clock())
    await _record(session, grant, ports, "identity:member:deprovision", row)


async def _roles(session: Session, grant: Grant, account_id: UUID) -> list[str]:
    rows = await organisations.memberships_of(session, account_id)
    return [row.role for row in rows if row.org_id == grant.org_id]


async def _is_ours_alone(session: Session, grant: Grant, account_id: UUID) -> bool:
    rows = await organisations.memberships_of(session, account_id)
    return all(row.org_id == grant.org_id for row in rows)


async def _record(
    session: Session, grant: Grant, ports: Ports, action: str, row: Any, *, changed: tuple[str, ...] = ()
) -> None:
    await ports.security_log.record(
        session, grant.caller, action, at=ports.clock(), subject=("user", row.account_id), changed=changed
    )


def name_of(row: Any) -> str:
    """What others call a user."""
    return Person(**{name: getattr(row, name) for name in Person.__slots__}).name


def _described(person: Person) -> dict[str, object]:
    return {
        "user_name": person.user_name, "external_id": person.external_id, "given_name": person.given_name,
        "family_name": person.family_name, "formatted_name": person.formatted_name, "active": person.active,
    }


def _address(email: str) -> str:
    try:
        return normalised_email(email)
    except EmailInvalid as error:
        raise domain.InvalidValue("userName or one of emails is an e-mail address.") from error


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
