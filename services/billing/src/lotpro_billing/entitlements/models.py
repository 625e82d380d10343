"""The table of entitlements: the last that Stripe said, kept so that it outlives a Stripe outage."""

from dataclasses import fields

from sqlalchemy import BigInteger, Column, DateTime, Enum, Integer, String, Table, Uuid

from lotpro_billing.db import METADATA
from lotpro_billing.entitlements.domain import Entitlement, Status

ENTITLEMENTS = Table(
    "entitlements",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("status", Enum(Status, native_enum=False, length=16, values_callable=list), nullable=False),
    Column("plan", String(64), nullable=False),
    Column("stores_limit", Integer, nullable=False),
    Column("valid_until", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)


#: The columns of `Entitlement`, in its order.
COLUMNS = tuple(ENTITLEMENTS.c[field.name] for field in fields(Entitlement))
