"""Appending to the ledger, and reading invoices from it."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from lotpro_billing.clients.stripe import Invoice
from lotpro_billing.ledger import repository
from lotpro_billing.ledger.domain import LedgerEntry
from lotpro_kit import ids
from lotpro_kit.db import Session

_EXPORT_PAGE = 200


async def record_invoice(*, session: Session, org_id: UUID, invoice: Invoice, now: datetime) -> None:
    """Append an invoice as Stripe has it now; the same state is recorded once."""
    await repository.add_entry(
        session,
        LedgerEntry(
            id=ids.new(),
            org_id=org_id,
            stripe_invoice_id=invoice.id,
            number=invoice.number,
            status=invoice.status,
            amount_due=invoice.amount_due,
            amount_paid=invoice.amount_paid,
            currency=invoice.currency,
            period_starts_at=invoice.period_starts_at,
            period_ends_at=invoice.period_ends_at,
            issued_at=invoice.issued_at,
            recorded_at=now,
        ),
    )


async def list_invoices(*, session: Session, org_id: UUID, before: UUID | None, limit: int) -> list[LedgerEntry]:
    """An organisation's invoices as they are now, the one that changed last first."""
    return await repository.latest_entries(session, org_id=org_id, before=before, limit=limit)


async def count_entries(*, session: Session, org_id: UUID) -> int:
    """How many entries the ledger has of an organisation."""
    return await repository.count_of(session, org_id=org_id)


async def entries_for_export(*, session: Session, org_id: UUID) -> AsyncIterator[LedgerEntry]:
    """All entries of an organisation, the oldest first, read page by page."""
    after: UUID | None = None
    while page := await repository.entries_of(session, org_id=org_id, after=after, limit=_EXPORT_PAGE):
        for entry in page:
            yield entry
        after = page[-1].id
