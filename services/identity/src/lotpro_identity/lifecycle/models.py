"""The table of what was announced to people about their accounts."""

from sqlalchemy import Column, DateTime, ForeignKey, Integer, Table, Uuid

from lotpro_identity.db import METADATA

#: One row a warning; it counts for the time of inactivity that began at `inactive_since`.
ANNOUNCEMENTS = Table(
    "lifecycle_announcements",
    METADATA,
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("warning_days", Integer, primary_key=True),
    Column("inactive_since", DateTime(timezone=True), nullable=False),
    Column("announced_at", DateTime(timezone=True), nullable=False),
)
