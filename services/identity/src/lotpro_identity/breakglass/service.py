"""Use cases of the platform's access to a dealer's organisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import lotpro_policy
from lotpro.identity.v1 import events_pb2
from lotpro_identity.accounts import service as accounts
from lotpro_identity.alerts import service as alerts
from lotpro_identity.alerts.domain import Topic
from lotpro_identity.breakglass import domain, repository
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import Role
from lotpro_identity.ports import Ports
from lotpro_kit import errors, ids, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session


@dataclass(frozen=True, slots=True)
class Granted:
    """A platform role in an organisation, until a moment."""

    role: str
    expires_at: datetime


async def open_access(
    session: Session, caller: Caller, ports: Ports, *, org_id: UUID, reason: str, duration: timedelta
) -> datetime:
    """Open an organisation to one of the platform's people and tell its owners; answers until when.

    Raises NotStaff, NotFound for an organisation that is not there, MemberHere.
    """
    account_id, role = caller.user_id, ports.staff.role_of(caller.user_id)
    if account_id is None or role is None:
        raise domain.NotStaff
    if not await organisations.exists(session, org_id):
        raise errors.NotFound
    rows = await organisations.members_of(session, org_id)
    if any(row.account_id == account_id for row in rows):
        raise domain.MemberHere
    now, access_id = ports.clock(), ids.new()
    until = now + min(duration, domain.LONGEST)
    await repository.add(
        session,
        {
            "id": access_id, "account_id": account_id, "org_id": org_id, "role": role,
            "reason": reason, "opened_at": now, "expires_at": until,
        },
    )
    for owner_id in sorted({row.account_id for row in rows if row.role == Role.ORG_OWNER}):
        await alerts.tell(session, ports, Topic.STAFF_ACCESS, account_id=owner_id, org_id=org_id)
    await outbox.put(
        session,
        events_pb2.AccessOpened(org_id=str(org_id), user_id=str(account_id), access_id=str(access_id)),
    )
    await ports.security_log.record(
        session, caller, "identity:access:open", at=now, org_id=org_id, subject=("access", access_id)
    )
    return until


async def close_access(session: Session, caller: Caller, ports: Ports) -> None:
    """End one's access to the organisation one looks into; raises NotFound."""
    now = ports.clock()
    if caller.org_id is None or caller.user_id is None:
        raise errors.NotFound
    ended = await repository.end(session, account_id=caller.user_id, org_id=caller.org_id, now=now)
    if not ended:
        raise errors.NotFound
    await accounts.change_access(session, caller.user_id, now=now)
    for access_id in ended:
        await ports.security_log.record(
            session, caller, "identity:access:close", at=now, subject=("access", access_id)
        )


async def granted(
    session: Session, ports: Ports, *, account_id: UUID, org_id: UUID | None
) -> Granted | None:
    """What somebody of the platform is in an organisation at this moment; nothing once they are not staff any more."""
    role = ports.staff.role_of(account_id)
    if org_id is None or role is None:
        return None
    row = await repository.open_one(session, account_id=account_id, org_id=org_id, now=ports.clock())
    return Granted(row.role, row.expires_at) if row and row.role == role else None


async def list_accesses(session: Session, caller: Caller) -> Sequence[Any]:
    """Who of the platform looked into the caller's organisation: role, reason, opened_at, expires_at, ended_at."""
    assert caller.org_id is not None
    return await repository.of_organisation(session, caller.org_id)


async def remove_all(session: Session, account_id: UUID) -> None:
    """Drop the accesses of somebody who is gone; the security log still has them."""
    await repository.remove_all(session, account_id)


async def forget(session: Session, *, as_of: datetime) -> int:
    """Drop accesses that are as old as the security log may get; answers how many."""
    return await repository.forget(session, before=as_of - lotpro_policy.policy().retention["security_logs"].duration)
