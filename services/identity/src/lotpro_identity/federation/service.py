"""Use cases of federation: an organisation's provider and its domains."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from lotpro_identity.federation import domain, repository
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import ORGANISATION_ROLES, Role, RoleNeedsStore
from lotpro_identity.ports import Ports
from lotpro_kit import errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session

CLIENT_SECRET = "federations.client_secret"  # noqa: S105 - a column's name


async def current(session: Session, caller: Caller) -> tuple[Any, Sequence[Any]]:
    """The organisation's provider, or None, and its domains by name."""
    assert caller.org_id is not None
    return await repository.federation(session, caller.org_id), await repository.domains(session, caller.org_id)


async def check_newcomers(session: Session, caller: Caller, *, role: Role | None, store_id: UUID | None) -> None:
    """Refuse what newcomers cannot become; raises RoleNeedsStore, and NotFound for a store elsewhere."""
    assert caller.org_id is not None
    if store_id is not None and store_id not in await organisations.store_ids(session, caller.org_id):
        raise errors.NotFound
    if (role is None) != (store_id is None) or role in ORGANISATION_ROLES:
        raise RoleNeedsStore


async def configure(
    session: Session,
    caller: Caller,
    ports: Ports,
    *,
    expected: int | None,
    issuer: str,
    client_id: str,
    client_secret: str | None,
    role: Role | None,
    store_id: UUID | None,
    honour_mfa: bool,
    mfa_acr_values: tuple[str, ...],
) -> Any:
    """Store the organisation's provider; without a secret the present one stays, for the same issuer and client.

    The provider was looked at before. Answers the row. Raises PreconditionRequired, PreconditionFailed and
    SecretMissing, and what `check_newcomers` raises.
    """
    await check_newcomers(session, caller, role=role, store_id=store_id)
    assert caller.org_id is not None
    row = await repository.federation(session, caller.org_id, lock=True)
    if row is not None and expected is None:
        raise errors.PreconditionRequired
    if expected is not None and (row is None or row.version != expected):
        raise errors.PreconditionFailed
    values: dict[str, object] = {
        "issuer": issuer, "client_id": client_id, "jit_role": role, "jit_store_id": store_id,
        "honour_mfa": honour_mfa, "mfa_acr_values": " ".join(mfa_acr_values),
    }
    if client_secret is None:
        # A secret goes only to the provider it was given for.
        if row is None or (row.issuer, row.client_id) != (issuer, client_id):
            raise domain.SecretMissing
        values["client_secret"] = row.client_secret
    else:
        key = await ports.keyring.for_subject(session, caller.org_id)
        values["client_secret"] = key.encrypt(client_secret, context=CLIENT_SECRET)
    changed = tuple(sorted(name for name, value in values.items() if row is None or getattr(row, name) != value))
    now = ports.clock()
    stored = await repository.put_federation(session, caller.org_id, values, now=now)
    await _record(session, caller, ports, changed=changed)
    return stored


async def remove(session: Session, caller: Caller, ports: Ports, *, expected: int) -> None:
    """Sign in by password again, all of them; raises NotFound and PreconditionFailed. Domains stay proven."""
    assert caller.org_id is not None
    row = await repository.federation(session, caller.org_id, lock=True)
    if row is None:
        raise errors.NotFound
    if row.version != expected:
        raise errors.PreconditionFailed
    await repository.remove_federation(session, caller.org_id)
    await _record(session, caller, ports, changed=("federation",))


async def add_domain(session: Session, caller: Caller, ports: Ports, *, name: str) -> Any:
    """A domain to be proven and its token; one that is there is answered as it is. Raises TooManyDomains."""
    assert caller.org_id is not None
    known = await repository.domains(session, caller.org_id)
    if len(known) >= domain.MAX_DOMAINS and name not in {row.domain for row in known}:
        raise domain.TooManyDomains
    token = f"lotpro-domain={secrets.token_urlsafe(24)}"
    await repository.add_domain(session, caller.org_id, name, token=token, now=ports.clock())
    if name not in {row.domain for row in known}:
        await _record(session, caller, ports, changed=("domains",))
    return await repository.domain(session, caller.org_id, name)


async def get_domain(session: Session, caller: Caller, *, name: str) -> Any:
    """One of the organisation's domains; raises NotFound."""
    assert caller.org_id is not None
    row = await repository.domain(session, caller.org_id, name)
    if row is None:
        raise errors.NotFound
    return row


async def verify_domain(session: Session, caller: Caller, ports: Ports, *, name: str) -> Any:
    """The domain's page had the token: it is the organisation's. Raises NotFound and DomainTaken."""
    row = await get_domain(session, caller, name=name)
    if row.verified_at is not None:
        return row
    try:
        async with session.begin_nested():
            await repository.verify_domain(session, row.org_id, name, now=ports.clock())
    except IntegrityError as error:
        raise domain.DomainTaken from error
    await _record(session, caller, ports, changed=("domains",))
    return await get_domain(session, caller, name=name)


async def remove_domain(session: Session, caller: Caller, ports: Ports, *, name: str) -> None:
    """Let go of a domain: nobody new becomes a member by it. Raises NotFound."""
    assert caller.org_id is not None
    if not await repository.remove_domain(session, caller.org_id, name):
        raise errors.NotFound
    await _record(session, caller, ports, changed=("domains",))


async def is_verified(session: Session, *, org_id: UUID, email: str) -> bool:
    """Whether a normalised address is in a domain that the organisation has proven."""
    return await repository.is_verified(session, org_id, email.rpartition("@")[2])


async def identities_of(session: Session, account_id: UUID) -> Sequence[Any]:
    """Who a person is at the providers of the organisations that one may see."""
    return await repository.identities_of(session, account_id)


async def forget(session: Session, account_id: UUID) -> None:
    """Drop who a person is at providers."""
    await repository.forget(session, account_id)


async def forget_states(session: Session, *, before: datetime) -> int:
    """Drop sign-ins that never came back from the provider; answers how many."""
    return await repository.forget_states(session, before=before)


async def _record(session: Session, caller: Caller, ports: Ports, *, changed: tuple[str, ...]) -> None:
    assert caller.org_id is not None
    await ports.security_log.record(
        session, caller, "identity:federation:update", at=ports.clock(), subject=("organisation", caller.org_id),
        changed=changed,
    )
