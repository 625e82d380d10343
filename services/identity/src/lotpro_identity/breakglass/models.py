"""The table of accesses."""

from sqlalchemy import Column, DateTime, ForeignKey, String, Table, Uuid

from lotpro_identity.db import METADATA

ACCESSES = Table(
    "accesses",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("org_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("role", String(32), nullable=False),
    #: Why, in the words of who asked, and the ticket it belongs to.
    Column("reason", String(500), nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
)
