"""The table of challenges."""

from sqlalchemy import Column, DateTime, ForeignKey, Integer, LargeBinary, String, Table, Uuid

from lotpro_identity.db import METADATA

CHALLENGES = Table(
    "challenges",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("purpose", String(32), nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE")),
    Column("org_id", Uuid),
    Column("channel", String(8), nullable=False, server_default="email"),
    #: Where it goes when that is not the account's own address, encrypted.
    Column("address", LargeBinary),
    #: Digest of the request it was opened for; only that one may answer it. None: whoever has the code.
    Column("binding", LargeBinary),
    #: What an alert tells of.
    Column("topic", String(32)),
    Column("salt", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("used_at", DateTime(timezone=True)),
    Column("replaced_at", DateTime(timezone=True)),
)
