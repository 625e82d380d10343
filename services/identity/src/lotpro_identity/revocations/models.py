"""The table of revocations; a row is of use until the last token it concerns has expired."""

from sqlalchemy import BigInteger, Column, DateTime, Table, Uuid, func

from lotpro_identity.db import METADATA

REVOCATIONS = Table(
    "revocations",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("session_id", Uuid),
    Column("account_id", Uuid),
    Column("access_version", BigInteger, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)
