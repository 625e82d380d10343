"""SQL of organisations, stores, memberships and invitations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, or_, select, update

from lotpro_identity.organisations.models import INVITATIONS, MEMBERSHIPS, ORGANISATIONS, STORES
from lotpro_kit import ids
from lotpro_kit.db import Session

#: Rows by the column names that each docstring lists.
Rows = Sequence[Any]


async def add_organisation(session: Session, org_id: UUID, name: str) -> None:
    """Store a new organisation."""
    await session.execute(insert(ORGANISATIONS).values(id=org_id, name=name))


async def add_store(session: Session, *, store_id: UUID, org_id: UUID, name: str, time_zone: str) -> None:
    """Store a new store."""
    await session.execute(insert(STORES).values(id=store_id, org_id=org_id, name=name, time_zone=time_zone))


async def add_membership(session: Session, *, account_id: UUID, org_id: UUID, store_id: UUID | None, role: str) -> None:
    """Give a person a role."""
    await session.execute(
        insert(MEMBERSHIPS).values(id=ids.new(), account_id=account_id, org_id=org_id, store_id=store_id, role=role)
    )


async def organisation(session: Session, org_id: UUID) -> Any:
    """An organisation: id, name, version."""
    found = await session.execute(
        select(ORGANISATIONS.c.id, ORGANISATIONS.c.name, ORGANISATIONS.c.version).where(ORGANISATIONS.c.id == org_id)
    )
    return found.one_or_none()


async def stores(session: Session, org_id: UUID) -> Rows:
    """Its stores: id, name, time_zone."""
    found = await session.execute(
        select(STORES.c.id, STORES.c.name, STORES.c.time_zone).where(STORES.c.org_id == org_id).order_by(STORES.c.id)
    )
    return found.all()


async def memberships_of(session: Session, account_id: UUID) -> Rows:
    """A person's memberships, oldest organisation first: org_id, store_id, role."""
    found = await session.execute(
        select(MEMBERSHIPS.c.org_id, MEMBERSHIPS.c.store_id, MEMBERSHIPS.c.role)
        .where(MEMBERSHIPS.c.account_id == account_id)
        .order_by(MEMBERSHIPS.c.created_at, MEMBERSHIPS.c.id)
    )
    return found.all()


async def members(session: Session, org_id: UUID) -> Rows:
    """An organisation's memberships: account_id, store_id, role."""
    found = await session.execute(
        select(MEMBERSHIPS.c.account_id, MEMBERSHIPS.c.store_id, MEMBERSHIPS.c.role)
        .where(MEMBERSHIPS.c.org_id == org_id)
        .order_by(MEMBERSHIPS.c.created_at, MEMBERSHIPS.c.id)
    )
    return found.all()


async def remove_memberships(session: Session, account_id: UUID) -> Rows:
    """Take every role from a person; answers them: org_id, role."""
    gone = await session.execute(
        delete(MEMBERSHIPS)
        .where(MEMBERSHIPS.c.account_id == account_id)
        .returning(MEMBERSHIPS.c.org_id, MEMBERSHIPS.c.role)
    )
    return gone.all()


async def remove_memberships_in(session: Session, account_id: UUID, org_id: UUID) -> Rows:
    """Take every role in one organisation from a person; answers them: role."""
    gone = await session.execute(
        delete(MEMBERSHIPS)
        .where(MEMBERSHIPS.c.account_id == account_id, MEMBERSHIPS.c.org_id == org_id)
        .returning(MEMBERSHIPS.c.role)
    )
    return gone.all()


async def mark_orphaned(session: Session, org_id: UUID, *, now: datetime) -> None:
    """The organisation has no owner any more."""
    await session.execute(update(ORGANISATIONS).where(ORGANISATIONS.c.id == org_id).values(orphaned_at=now))


async def remove_invitations(session: Session, account_id: UUID, email: str) -> None:
    """Drop the invitations to a person, by the address or by who accepted."""
    await session.execute(
        delete(INVITATIONS).where(or_(INVITATIONS.c.email == email, INVITATIONS.c.accepted_by == account_id))
    )


async def add_invitation(
    session: Session,
    *,
    invitation_id: UUID,
    org_id: UUID,
    store_id: UUID | None,
    role: str,
    email: str,
    challenge_id: UUID,
    invited_by: UUID,
) -> None:
    """Store an invitation."""
    await session.execute(
        insert(INVITATIONS).values(
            id=invitation_id, org_id=org_id, store_id=store_id, role=role, email=email, challenge_id=challenge_id,
            invited_by=invited_by,
        )
    )


async def invitation_of(session: Session, challenge_id: UUID) -> Any:
    """The invitation behind a challenge."""
    return (await session.execute(select(INVITATIONS).where(INVITATIONS.c.challenge_id == challenge_id))).one_or_none()


async def accept_invitation(session: Session, invitation_id: UUID, *, account_id: UUID, now: datetime) -> None:
    """It was accepted."""
    await session.execute(
        update(INVITATIONS).where(INVITATIONS.c.id == invitation_id).values(accepted_by=account_id, accepted_at=now)
    )


async def invitations_to(session: Session, org_id: UUID, email: str) -> Rows:
    """An organisation's invitations to an address."""
    found = await session.execute(
        select(INVITATIONS).where(INVITATIONS.c.org_id == org_id, INVITATIONS.c.email == email)
    )
    return found.all()
