"""How invoices look over HTTP."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from lotpro_billing.ledger.domain import LedgerEntry
from lotpro_kit import api


class Invoice(api.Answer):
    """An invoice. Amounts in minor units of the currency (ISO 4217)."""

    id: UUID = Field(description="Of its last entry in the ledger.", examples=["0192e4a0-7c1e-7b3a-9d52-2f6f0c9a4e11"])
    number: str = Field(description="Empty while it is a draft.", examples=["LOT-0001"])
    status: str = Field(description="As Stripe calls it: draft, open, paid, void or uncollectible.", examples=["paid"])
    amount_due: int = Field(examples=[9900])
    amount_paid: int = Field(examples=[9900])
    currency: str = Field(examples=["USD"])
    period_starts_at: datetime = Field(examples=["2026-01-05T00:00:00Z"])
    period_ends_at: datetime = Field(examples=["2026-02-05T00:00:00Z"])
    issued_at: datetime = Field(examples=["2026-01-05T00:00:00Z"])


class InvoicePage(api.Answer):
    """Invoices, the one that changed last first."""

    items: list[Invoice]
    next_cursor: str | None = Field(description="For the next page; null at the end.", examples=[None])


def invoice(entry: LedgerEntry) -> Invoice:
    """An entry as it is shown."""
    return Invoice.model_construct(
        id=entry.id, number=entry.number, status=entry.status, amount_due=entry.amount_due,
        amount_paid=entry.amount_paid, currency=entry.currency, period_starts_at=entry.period_starts_at,
        period_ends_at=entry.period_ends_at, issued_at=entry.issued_at,
    )
