"""Tables of sessions and their refresh tokens."""

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, LargeBinary, String, Table, Uuid

from lotpro_identity.db import METADATA

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    #: The organisation one is at work in.
    Column("org_id", Uuid),
    Column("aal", String(8), nullable=False),
    Column("amr", String(64), nullable=False),
    Column("user_agent", LargeBinary),
    Column("ip", LargeBinary),
    #: Keyed digests of the browser and the network with the person: whether they were seen before, and no more.
    Column("agent_index", LargeBinary),
    Column("network_index", LargeBinary),
    #: Whether a browser keeps its cookie when it is closed.
    Column("stays", Boolean, nullable=False, server_default="false"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    #: When a second factor was last given.
    Column("authenticated_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
)

#: Only digests: a leaked table opens nothing.
REFRESH_TOKENS = Table(
    "refresh_tokens",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("session_id", Uuid, ForeignKey(SESSIONS.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
)
