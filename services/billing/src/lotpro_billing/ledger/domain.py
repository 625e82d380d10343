"""What the ledger holds of an invoice."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A row of ledger_entries; amounts in minor units, times in UTC."""

    id: UUID
    org_id: UUID
    stripe_invoice_id: str
    number: str
    status: str
    amount_due: int
    amount_paid: int
    currency: str
    period_starts_at: datetime
    period_ends_at: datetime
    issued_at: datetime
    recorded_at: datetime
