"""Tables of second factors, recovery codes, and passkey ceremonies under way."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, LargeBinary, String, Table, Uuid, func

from lotpro_identity.db import METADATA

#: One row a factor; which columns it fills depends on its kind.
FACTORS = Table(
    "factors",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(64), nullable=False),
    #: TOTP's seed or the phone number, encrypted under the person's key.
    Column("secret", LargeBinary),
    #: TOTP: the last time step that was accepted.
    Column("last_step", BigInteger, nullable=False, server_default="0"),
    #: Passkeys (WebAuthn level 3): id, COSE public key, signature counter, whether it is copied to other devices.
    Column("credential_id", LargeBinary, unique=True),
    Column("public_key", LargeBinary),
    Column("sign_count", BigInteger, nullable=False, server_default="0"),
    Column("backed_up", Boolean, nullable=False, server_default="false"),
    #: Whether it may be copied; unknown of the oldest ones.
    Column("backup_eligible", Boolean),
    Column("confirmed_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
    #: Of no use from then on; kept for as long as that can be taken back.
    Column("removed_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

RECOVERY_CODES = Table(
    "recovery_codes",
    METADATA,
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("used_at", DateTime(timezone=True)),
)

#: A WebAuthn ceremony's challenge: answered once, within minutes. Without an account it is a sign-in by passkey alone.
CEREMONIES = Table(
    "ceremonies",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE")),
    Column("kind", String(16), nullable=False),
    Column("challenge", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

#: What one can sign in with: proven, and not removed.
IN_USE = (FACTORS.c.confirmed_at.is_not(None), FACTORS.c.removed_at.is_(None))
