"""Tables of provisioning: tokens that a directory speaks with, and the people it speaks of."""

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, ForeignKeyConstraint, LargeBinary, String, Table, Uuid

from lotpro_identity.db import METADATA

SCIM_TOKENS = Table(
    "scim_tokens",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(100), nullable=False),
    #: SHA-256 of 256 random bits; the token itself is shown once.
    Column("digest", LargeBinary, nullable=False, unique=True),
    #: What those it provisions become.
    Column("role", String(32), nullable=False),
    Column("store_id", Uuid, nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
)

#: A person as an organisation's directory describes them; two organisations know the same person by different ids.
SCIM_USERS = Table(
    "scim_users",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("user_name", String(254), nullable=False),
    Column("email", String(254), nullable=False),
    Column("external_id", String(254)),
    Column("given_name", String(254)),
    Column("family_name", String(254)),
    Column("formatted_name", String(254)),
    Column("active", Boolean, nullable=False),
    #: Whether the directory made the account, and so may name it while it is nobody else's too.
    Column("managed", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
