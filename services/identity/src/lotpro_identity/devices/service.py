"""Trusting devices, recognising them, taking the trust back."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update

import lotpro_policy
from lotpro_identity.devices.models import DEVICES
from lotpro_identity.ports import Ports
from lotpro_kit import errors, ids
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session

USER_AGENT, IP = "devices.user_agent", "devices.ip"


def trust_period() -> timedelta:
    """The policy's 90 days: after so long without use, and so long after it was given at most, trust ends."""
    return lotpro_policy.policy().retention["trusted_devices"].duration


async def trust(session: Session, caller: Caller, ports: Ports, *, account_id: UUID, org_id: UUID | None) -> str:
    """Trust the device the caller uses; answers its token, which is shown this once."""
    now, token, device_id = ports.clock(), secrets.token_urlsafe(32), ids.new()
    key = await ports.keyring.for_subject(session, account_id)
    await session.execute(
        insert(DEVICES).values(
            id=device_id, account_id=account_id, digest=_digest(token), created_at=now, last_used_at=now,
            user_agent=key.encrypt(caller.origin.user_agent, context=USER_AGENT),
            ip=key.encrypt(caller.origin.ip, context=IP),
        )
    )
    await ports.security_log.record(
        session, caller, "identity:device:trust", at=now, actor_id=account_id, org_id=org_id,
        subject=("device", device_id),
    )
    return token


async def recognise(session: Session, *, account_id: UUID, token: str, now: datetime) -> UUID | None:
    """The trusted device that a token is of, which is thereby used; None when it is not trusted by this person."""
    used = await session.execute(
        update(DEVICES)
        .where(DEVICES.c.digest == _digest(token), DEVICES.c.account_id == account_id, *_trusted(now))
        .values(last_used_at=now)
        .returning(DEVICES.c.id)
    )
    device_id: UUID | None = used.scalar_one_or_none()
    return device_id


@dataclass(frozen=True, slots=True)
class Device:
    """A trusted device as its owner sees it."""

    id: UUID
    user_agent: str
    ip: str
    created_at: datetime
    last_used_at: datetime


async def list_own(session: Session, ports: Ports, *, account_id: UUID) -> list[Device]:
    """One's own trusted devices, newest first."""
    found = await session.execute(
        select(DEVICES)
        .where(DEVICES.c.account_id == account_id, *_trusted(ports.clock()))
        .order_by(DEVICES.c.id.desc())
    )
    rows: Sequence[Row[Any]] = found.all()
    if not rows:
        return []
    key = await ports.keyring.existing(session, account_id)
    return [
        Device(
            id=row.id, user_agent=key.decrypt(row.user_agent, context=USER_AGENT),
            ip=key.decrypt(row.ip, context=IP), created_at=row.created_at, last_used_at=row.last_used_at,
        )
        for row in rows
    ]


async def revoke_own(session: Session, caller: Caller, ports: Ports, *, account_id: UUID, device_id: UUID) -> None:
    """Trust a device no more; raises NotFound."""
    now = ports.clock()
    ended = await session.execute(
        update(DEVICES)
        .where(DEVICES.c.id == device_id, DEVICES.c.account_id == account_id, *_trusted(now))
        .values(revoked_at=now)
        .returning(DEVICES.c.id)
    )
    if ended.one_or_none() is None:
        raise errors.NotFound
    await ports.security_log.record(
        session, caller, "identity:device:revoke", at=now, subject=("device", device_id)
    )


async def revoke_all(session: Session, caller: Caller, ports: Ports, *, account_id: UUID) -> int:
    """Trust none of a person's devices any more; answers how many there were."""
    now = ports.clock()
    ended = await session.execute(
        update(DEVICES)
        .where(DEVICES.c.account_id == account_id, *_trusted(now))
        .values(revoked_at=now)
        .returning(DEVICES.c.id)
    )
    device_ids = list(ended.scalars())
    for device_id in device_ids:
        await ports.security_log.record(
            session, caller, "identity:device:revoke", at=now, actor_id=account_id, subject=("device", device_id)
        )
    return len(device_ids)


async def remove_all(session: Session, account_id: UUID) -> None:
    """Drop every device of a person."""
    await session.execute(delete(DEVICES).where(DEVICES.c.account_id == account_id))


async def forget(session: Session, *, as_of: datetime) -> int:
    """Drop the devices that are not trusted any more at a moment; answers how many."""
    over = as_of - trust_period()
    dropped = await session.execute(
        delete(DEVICES).where(
            or_(DEVICES.c.revoked_at.is_not(None), DEVICES.c.last_used_at <= over, DEVICES.c.created_at <= over)
        )
    )
    return int(getattr(dropped, "rowcount", 0))


def _trusted(now: datetime) -> tuple[ColumnElement[bool], ...]:
    since = now - trust_period()
    return (DEVICES.c.revoked_at.is_(None), DEVICES.c.last_used_at > since, DEVICES.c.created_at > since)


def _digest(token: str) -> bytes:
    """256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
