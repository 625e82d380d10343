"""The table of trusted devices."""

from sqlalchemy import Column, DateTime, ForeignKey, LargeBinary, Table, Uuid

from lotpro_identity.db import METADATA

DEVICES = Table(
    "devices",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    #: Of the device's token; a leaked table trusts nobody.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("user_agent", LargeBinary, nullable=False),
    Column("ip", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
)
