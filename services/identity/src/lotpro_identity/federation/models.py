"""Tables of federation: an organisation's provider, its domains, who is who there, and sign-ins on their way."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)

from lotpro_identity.db import METADATA

FEDERATIONS = Table(
    "federations",
    METADATA,
    Column("org_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True),
    Column("issuer", String(512), nullable=False),
    Column("client_id", String(255), nullable=False),
    #: Encrypted under the organisation's own key.
    Column("client_secret", LargeBinary, nullable=False),
    #: What newcomers become; without it nobody becomes a member by signing in.
    Column("jit_role", String(32)),
    Column("jit_store_id", Uuid),
    #: Whether the provider's second factor is enough.
    Column("honour_mfa", Boolean, nullable=False),
    #: Classes (`acr`) that mean a second factor at this provider, space-separated.
    Column("mfa_acr_values", String(1024), nullable=False, server_default=""),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["jit_store_id", "org_id"], ["stores.id", "stores.org_id"]),
)

FEDERATION_DOMAINS = Table(
    "federation_domains",
    METADATA,
    Column("org_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True),
    Column("domain", String(253), primary_key=True),
    #: What must stand at https://<domain>/.well-known/lotpro-domain; no secret, it is published there.
    Column("token", String(64), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("verified_at", DateTime(timezone=True)),
)

FEDERATED_IDENTITIES = Table(
    "federated_identities",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("org_id", "issuer", "subject"),
    UniqueConstraint("org_id", "issuer", "account_id"),
)

#: Sign-ins that have gone to the provider and not come back; a row is used by deleting it.
SSO_STATES = Table(
    "sso_states",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("org_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("issuer", String(512), nullable=False),
    Column("browser_digest", LargeBinary, nullable=False),
    Column("nonce_digest", LargeBinary, nullable=False),
    #: PKCE's verifier, encrypted.
    Column("verifier", LargeBinary, nullable=False),
    Column("transport", String(8), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)
