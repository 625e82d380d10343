"""SQL of members."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from lotpro_identity.members.domain import Held
from lotpro_identity.organisations.models import MEMBERSHIPS
from lotpro_kit import ids
from lotpro_kit.db import Session


async def roles_of(session: Session, org_id: UUID, account_id: UUID) -> Sequence[Any]:
    """What a person is in an organisation: role, store_id, suspended_at."""
    found = await session.execute(
        select(MEMBERSHIPS.c.role, MEMBERSHIPS.c.store_id, MEMBERSHIPS.c.suspended_at).where(
            MEMBERSHIPS.c.org_id == org_id, MEMBERSHIPS.c.account_id == account_id
        )
    )
    return found.all()


async def replace_roles(
    session: Session, org_id: UUID, account_id: UUID, *, gone: Collection[Held], added: Collection[Held]
) -> None:
    """Take some roles from a person and give them others."""
    for role, store_id in gone:
        of_store = MEMBERSHIPS.c.store_id.is_(None) if store_id is None else MEMBERSHIPS.c.store_id == store_id
        await session.execute(
            delete(MEMBERSHIPS).where(
                MEMBERSHIPS.c.org_id == org_id, MEMBERSHIPS.c.account_id == account_id, MEMBERSHIPS.c.role == role,
                of_store,
            )
        )
    rows = [
        {"id": ids.new(), "account_id": account_id, "org_id": org_id, "store_id": store_id, "role": role}
        for role, store_id in added
    ]
    if rows:
        await session.execute(insert(MEMBERSHIPS), rows)


async def suspend(session: Session, org_id: UUID, account_id: UUID, *, since: datetime | None) -> None:
    """Suspend a member, or take that back with None."""
    await session.execute(
        update(MEMBERSHIPS)
        .where(MEMBERSHIPS.c.org_id == org_id, MEMBERSHIPS.c.account_id == account_id)
        .values(suspended_at=since)
    )
