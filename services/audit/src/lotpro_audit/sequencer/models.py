"""The tables of the sequencer: what was written, what waits, and how far each organisation's own sequence is."""

from sqlalchemy import BigInteger, Column, DateTime, Index, LargeBinary, Table, Uuid, func

from lotpro_audit.db import METADATA

#: Which events were written, for a unique key of the log would have to hold the day.
CLAIMS = Table(
    "claims",
    METADATA,
    Column("event_id", Uuid, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    # Written in the order of their places: where these are is found by a few bytes a page.
    Index(
        "ix_claims_seq", "seq", postgresql_using="brin",
        postgresql_with={"pages_per_range": 16, "autosummarize": True},
    ),
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
