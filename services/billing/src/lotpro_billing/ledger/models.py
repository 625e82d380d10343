"""The table of ledger entries; the database itself refuses to change or remove them."""

from dataclasses import fields

from sqlalchemy import BigInteger, Column, DateTime, Index, String, Table, UniqueConstraint, Uuid

from lotpro_billing.db import METADATA
from lotpro_billing.ledger.domain import LedgerEntry

LEDGER_ENTRIES = Table(
    "ledger_entries",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("stripe_invoice_id", String(255), nullable=False),
    Column("number", String(64), nullable=False),
    Column("status", String(32), nullable=False),
    Column("amount_due", BigInteger, nullable=False),
    Column("amount_paid", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("period_starts_at", DateTime(timezone=True), nullable=False),
    Column("period_ends_at", DateTime(timezone=True), nullable=False),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("stripe_invoice_id", "status", "amount_due", "amount_paid"),
    Index("ix_ledger_entries_org", "org_id", "id"),
)


#: The columns of `LedgerEntry`, in its order.
COLUMNS = tuple(LEDGER_ENTRIES.c[field.name] for field in fields(LedgerEntry))
