"""SQL of organisations, stores, memberships and invitations."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, delete, false, func, insert, or_, select, update

from lotpro_identity.organisations.domain import Role
from lotpro_identity.organisations.models import INVITATIONS, MEMBERSHIPS, ORGANISATIONS, STORES
from lotpro_kit import ids
from lotpro_kit.db import Query, Reader, Session, Statement

#: Rows by the column names that each docstring lists.
Rows = Sequence[Any]
#: Since when a membership is of no use: of its own, or, but for owners, because the organisation is suspended.
_SUSPENDED = func.coalesce(
    MEMBERSHIPS.c.suspended_at, case((MEMBERSHIPS.c.role != Role.ORG_OWNER, ORGANISATIONS.c.suspended_at))
).label("suspended_at")


async def add_organisation(session: Session, org_id: UUID, name: str) -> None:
    """Store a new organisation."""
    await session.execute(insert(ORGANISATIONS).values(id=org_id, name=name))


async def add_store(session: Session, *, store_id: UUID, org_id: UUID, name: str, time_zone: str) -> None:
    """Store a new store."""
    await session.execute(insert(STORES).values(id=store_id, org_id=org_id, name=name, time_zone=time_zone))


async def add_membership(session: Session, *, account_id: UUID, org_id: UUID, store_id: UUID | None, role: str) -> None:
    """Give a person a role; a suspended member stays suspended with it."""
    since = await _suspended_since(session, org_id, account_id)
    await session.execute(
        insert(MEMBERSHIPS).values(
            id=ids.new(), account_id=account_id, org_id=org_id, store_id=store_id, role=role, suspended_at=since
        )
    )


async def _suspended_since(session: Session, org_id: UUID, account_id: UUID) -> datetime | None:
    found = await session.execute(
        select(func.max(MEMBERSHIPS.c.suspended_at)).where(
            MEMBERSHIPS.c.org_id == org_id, MEMBERSHIPS.c.account_id == account_id
        )
    )
    since: datetime | None = found.scalar_one_or_none()
    return since


async def organisation(session: Session, org_id: UUID) -> Any:
    """An organisation, with all its columns."""
    return (await session.execute(select(ORGANISATIONS).where(ORGANISATIONS.c.id == org_id))).one_or_none()


async def names_around(session: Session, org_ids: Collection[UUID], *, limit: int) -> list[str]:
    """The names of organisations, and of their stores."""
    organisations = select(ORGANISATIONS.c.name).where(ORGANISATIONS.c.id.in_(org_ids))
    stores = select(STORES.c.name).where(STORES.c.org_id.in_(org_ids))
    return list((await session.execute(organisations.union_all(stores).limit(limit))).scalars())


async def organisations_of(session: Session, account_id: UUID) -> Rows:
    """The organisations a person can be at work in, with all their columns, the one they joined first first."""
    joined = (
        select(
            MEMBERSHIPS.c.org_id, func.min(MEMBERSHIPS.c.created_at).label("joined_at"),
            func.bool_or(MEMBERSHIPS.c.role == Role.ORG_OWNER).label("owns"),
        )
        .where(MEMBERSHIPS.c.account_id == account_id, MEMBERSHIPS.c.suspended_at.is_(None))
        .group_by(MEMBERSHIPS.c.org_id)
        .subquery()
    )
    found = await session.execute(
        select(ORGANISATIONS)
        .join(joined, joined.c.org_id == ORGANISATIONS.c.id)
        .where(or_(ORGANISATIONS.c.suspended_at.is_(None), joined.c.owns))
        .order_by(joined.c.joined_at, ORGANISATIONS.c.id)
    )
    return found.all()


_FORBIDDING = Query(
    select(
        func.coalesce(func.bool_or(~ORGANISATIONS.c.allow_sms_factor), false()).label("sms"),
        func.coalesce(func.bool_or(~ORGANISATIONS.c.allow_email_factor), false()).label("email"),
    )
    .join(MEMBERSHIPS, MEMBERSHIPS.c.org_id == ORGANISATIONS.c.id)
    .where(MEMBERSHIPS.c.account_id == bindparam("account_id"), MEMBERSHIPS.c.suspended_at.is_(None))
)


async def read_forbidding(reader: Reader, account_id: UUID) -> Any:
    """Whether any organisation of a person forbids codes by `sms` and by `email`, in one round trip."""
    return await reader.one_or_none(_FORBIDDING, account_id=account_id)


async def update_organisation(session: Session, org_id: UUID, *, version: int, changes: Mapping[str, Any]) -> bool:
    """Change an organisation that is still at a version; False when it is not."""
    changed = await session.execute(
        update(ORGANISATIONS)
        .where(ORGANISATIONS.c.id == org_id, ORGANISATIONS.c.version == version)
        .values(**changes, version=version + 1)
        .returning(ORGANISATIONS.c.id)
    )
    return changed.one_or_none() is not None


async def rename_organisation(session: Session, org_id: UUID, name: str) -> int:
    """Call an organisation something else, whatever it was; answers its version."""
    renamed = await session.execute(
        update(ORGANISATIONS)
        .where(ORGANISATIONS.c.id == org_id)
        .values(name=name, version=ORGANISATIONS.c.version + 1)
        .returning(ORGANISATIONS.c.version)
    )
    return int(renamed.scalar_one())


async def rename_stores(session: Session, org_id: UUID, name: str, *, time_zone: str) -> Rows:
    """Call an organisation's stores something else; answers them: id, version."""
    renamed = await session.execute(
        update(STORES)
        .where(STORES.c.org_id == org_id)
        .values(name=name, time_zone=time_zone, version=STORES.c.version + 1)
        .returning(STORES.c.id, STORES.c.version)
    )
    return renamed.all()


async def set_suspended(session: Session, org_id: UUID, *, since: datetime | None) -> None:
    """Suspend an organisation, or take that back with None."""
    await session.execute(
        update(ORGANISATIONS)
        .where(ORGANISATIONS.c.id == org_id)
        .values(suspended_at=since, version=ORGANISATIONS.c.version + 1)
    )


async def stores(session: Session, org_id: UUID) -> Rows:
    """Its stores: id, name, time_zone."""
    found = await session.execute(
        select(STORES.c.id, STORES.c.name, STORES.c.time_zone).where(STORES.c.org_id == org_id).order_by(STORES.c.id)
    )
    return found.all()


async def memberships_of(session: Session, account_id: UUID) -> Rows:
    """A person's memberships, oldest organisation first: org_id, store_id, role, suspended_at."""
    return await _MEMBERSHIPS_OF.all(session, account_id=account_id)


MEMBERSHIPS_OF = (
    select(MEMBERSHIPS.c.org_id, MEMBERSHIPS.c.store_id, MEMBERSHIPS.c.role, _SUSPENDED)
    .outerjoin(ORGANISATIONS, ORGANISATIONS.c.id == MEMBERSHIPS.c.org_id)
    .where(MEMBERSHIPS.c.account_id == bindparam("account_id"))
    .order_by(MEMBERSHIPS.c.created_at, MEMBERSHIPS.c.id)
)
_MEMBERSHIPS_OF = Statement(MEMBERSHIPS_OF)


async def members(session: Session, org_id: UUID) -> Rows:
    """An organisation's memberships: account_id, store_id, role, suspended_at."""
    found = await session.execute(
        select(MEMBERSHIPS.c.account_id, MEMBERSHIPS.c.store_id, MEMBERSHIPS.c.role, _SUSPENDED)
        .outerjoin(ORGANISATIONS, ORGANISATIONS.c.id == MEMBERSHIPS.c.org_id)
        .where(MEMBERSHIPS.c.org_id == org_id)
        .order_by(MEMBERSHIPS.c.created_at, MEMBERSHIPS.c.id)
    )
    return found.all()


async def roles_of(session: Session, org_id: UUID, account_id: UUID) -> Rows:
    """What a person is in an organisation: role, store_id, suspended_at."""
    found = await session.execute(
        select(MEMBERSHIPS.c.role, MEMBERSHIPS.c.store_id, MEMBERSHIPS.c.suspended_at).where(
            MEMBERSHIPS.c.org_id == org_id, MEMBERSHIPS.c.account_id == account_id
        )
    )
    return found.all()


async def replace_roles(
    session: Session,
    org_id: UUID,
    account_id: UUID,
    *,
    gone: Collection[tuple[str, UUID | None]],
    added: Collection[tuple[str, UUID | None]],
) -> None:
    """Take some roles from a person and give them others; a suspended member stays suspended."""
    since = await _suspended_since(session, org_id, account_id)
    for role, store_id in gone:
        of_store = MEMBERSHIPS.c.store_id.is_(None) if store_id is None else MEMBERSHIPS.c.store_id == store_id
        await session.execute(
            delete(MEMBERSHIPS).where(
                MEMBERSHIPS.c.org_id == org_id, MEMBERSHIPS.c.account_id == account_id, MEMBERSHIPS.c.role == role,
                of_store,
            )
        )
    rows = [
        {
            "id": ids.new(), "account_id": account_id, "org_id": org_id, "store_id": store_id, "role": role,
            "suspended_at": since,
        }
        for role, store_id in added
    ]
    if rows:
        await session.execute(insert(MEMBERSHIPS), rows)


async def suspend_member(session: Session, org_id: UUID, account_id: UUID, *, since: datetime | None) -> None:
    """Suspend a member, or take that back with None."""
    await session.execute(
        update(MEMBERSHIPS)
        .where(MEMBERSHIPS.c.org_id == org_id, MEMBERSHIPS.c.account_id == account_id)
        .values(suspended_at=since)
    )


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


async def open_invitations(session: Session, org_id: UUID) -> Rows:
    """The invitations of an organisation that nobody accepted, newest first."""
    found = await session.execute(
        select(INVITATIONS)
        .where(INVITATIONS.c.org_id == org_id, INVITATIONS.c.accepted_at.is_(None))
        .order_by(INVITATIONS.c.id.desc())
    )
    return found.all()


async def locked_invitation(session: Session, org_id: UUID, invitation_id: UUID) -> Any:
    """An invitation that nobody accepted, held."""
    found = await session.execute(
        select(INVITATIONS)
        .where(
            INVITATIONS.c.id == invitation_id, INVITATIONS.c.org_id == org_id, INVITATIONS.c.accepted_at.is_(None)
        )
        .with_for_update()
    )
    return found.one_or_none()


async def remove_invitation(session: Session, invitation_id: UUID) -> None:
    """Drop an invitation."""
    await session.execute(delete(INVITATIONS).where(INVITATIONS.c.id == invitation_id))


async def renew_invitation(session: Session, invitation_id: UUID, *, challenge_id: UUID) -> None:
    """Give an invitation another token."""
    await session.execute(
        update(INVITATIONS).where(INVITATIONS.c.id == invitation_id).values(challenge_id=challenge_id)
    )
