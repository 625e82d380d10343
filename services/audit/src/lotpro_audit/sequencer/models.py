"""The tables of the sequencer: what was written, what waits, and how far each organisation's own sequence is."""

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, Table, Uuid, func

from lotpro_audit.db import METADATA

#: Which events were written, for a unique key of the log would have to hold the day.
CLAIMS = Table(
    "claims",
    METADATA,
    Column("event_id", Uuid, primary_key=True),
    Column("seq", BigInteger, nullable=False, index=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
)

#: What came by gRPC and waits for the sequencer.
INTAKE = Table(
    "intake",
    METADATA,
    Column("event_id", Uuid, primary_key=True),
    Column("event", LargeBinary, nullable=False),
    Column("arrived_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

#: The last number of each organisation's own sequence.
ORG_HEADS = Table(
    "org_heads", METADATA, Column("org_id", Uuid, primary_key=True), Column("last", BigInteger, nullable=False)
)
