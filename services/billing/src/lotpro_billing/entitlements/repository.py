"""All SQL about entitlements."""

from dataclasses import asdict
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from lotpro_billing.entitlements.domain import Entitlement
from lotpro_billing.entitlements.models import COLUMNS, ENTITLEMENTS
from lotpro_kit.db import Session

_OF_ORG = select(*COLUMNS).where(ENTITLEMENTS.c.org_id == bindparam("org_id"))


async def entitlement_of(session: Session, *, org_id: UUID) -> Entitlement | None:
    """An organisation's entitlement, or None."""
    row = (await session.execute(_OF_ORG, {"org_id": org_id})).one_or_none()
    return Entitlement(*row) if row is not None else None


async def put_entitlement(session: Session, entitlement: Entitlement) -> None:
    """Write an entitlement down, over an older one."""
    values = asdict(entitlement)
    statement = insert(ENTITLEMENTS).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=["org_id"], set_=values))
