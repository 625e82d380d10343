"""Tables of second factors."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, LargeBinary, Table, Uuid, func

from lotpro_identity.db import METADATA

TOTP_FACTORS = Table(
    "totp_factors",
    METADATA,
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("seed", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False, server_default="0"),
    Column("confirmed_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

RECOVERY_CODES = Table(
    "recovery_codes",
    METADATA,
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("used_at", DateTime(timezone=True)),
)
