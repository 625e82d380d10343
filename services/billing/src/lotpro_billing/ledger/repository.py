"""All SQL about the ledger."""

from dataclasses import asdict
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert

from lotpro_billing.ledger.domain import LedgerEntry
from lotpro_billing.ledger.models import COLUMNS, LEDGER_ENTRIES
from lotpro_kit.db import Session


async def add_entry(session: Session, entry: LedgerEntry) -> None:
    """Append an entry, unless this state of the invoice is in the ledger already."""
    await session.execute(insert(LEDGER_ENTRIES).values(asdict(entry)).on_conflict_do_nothing())


async def latest_entries(session: Session, *, org_id: UUID, before: UUID | None, limit: int) -> list[LedgerEntry]:
    """The last entry of each invoice of an organisation, newest entries first, after the one with the id `before`."""
    newer = LEDGER_ENTRIES.alias("newer")
    superseded = exists().where(
        newer.c.stripe_invoice_id == LEDGER_ENTRIES.c.stripe_invoice_id, newer.c.id > LEDGER_ENTRIES.c.id
    )
    statement = select(*COLUMNS).where(LEDGER_ENTRIES.c.org_id == org_id, ~superseded)
    if before is not None:
        statement = statement.where(LEDGER_ENTRIES.c.id < before)
    rows = await session.execute(statement.order_by(LEDGER_ENTRIES.c.id.desc()).limit(limit))
    return [LedgerEntry(*row) for row in rows]


async def entries_of(session: Session, *, org_id: UUID, after: UUID | None, limit: int) -> list[LedgerEntry]:
    """All entries of an organisation in the order they were made, beginning after one."""
    statement = select(*COLUMNS).where(LEDGER_ENTRIES.c.org_id == org_id)
    if after is not None:
        statement = statement.where(LEDGER_ENTRIES.c.id > after)
    rows = await session.execute(statement.order_by(LEDGER_ENTRIES.c.id).limit(limit))
    return [LedgerEntry(*row) for row in rows]


async def count_of(session: Session, *, org_id: UUID) -> int:
    """How many entries an organisation has."""
    found = await session.execute(
        select(func.count()).select_from(LEDGER_ENTRIES).where(LEDGER_ENTRIES.c.org_id == org_id)
    )
    return int(found.scalar_one())
