"""The table of disclosures: rows come, and go when their time is over; none changes."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, DateTime, LargeBinary, String, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from lotpro_audit.db import METADATA

DISCLOSURES = Table(
    "disclosures",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("requester", String(200), nullable=False),
    Column("authority", String(200), nullable=False),
    Column("legal_basis", String(200), nullable=False),
    Column("reference", String(100), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    #: Which events were given: those of a hold, or of a filter as the log's list takes it, or of both.
    Column("hold_id", Uuid),
    Column("filter", JSONB, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    #: Of the file that was handed over.
    Column("export_sha256", LargeBinary, nullable=False),
    Column("given_at", DateTime(timezone=True), nullable=False),
    Column("given_by", Uuid, nullable=False),
    Column("person_told", Boolean, nullable=False),
    Column("untold_reason", String(500)),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    CheckConstraint("person_told = (untold_reason IS NULL)", name="told_or_a_reason"),
    CheckConstraint("length(export_sha256) = 32", name="a_digest"),
    CheckConstraint("event_count >= 0 AND received_at <= given_at", name="possible"),
)
