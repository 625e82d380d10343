"""The table of deliveries."""

from dataclasses import fields

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Index, String, Table, UniqueConstraint, Uuid

from lotpro_inventory.db import METADATA
from lotpro_inventory.deliveries.domain import Delivery

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("store_id", Uuid, nullable=False),
    Column("sale_id", Uuid, nullable=False),
    Column("vehicle_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("scheduled_by", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("version", BigInteger, nullable=False),
    ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
    ForeignKeyConstraint(["store_id", "sale_id"], ["sales.store_id", "sales.id"]),
    ForeignKeyConstraint(["store_id", "vehicle_id"], ["vehicles.store_id", "vehicles.id"]),
    ForeignKeyConstraint(["store_id", "customer_id"], ["customers.store_id", "customers.id"]),
    UniqueConstraint("store_id", "id"),
    UniqueConstraint("store_id", "sale_id"),
    Index("ix_deliveries_org", "org_id", "starts_at", "id"),
    Index("ix_deliveries_customer", "store_id", "customer_id"),
)


#: The columns of `Delivery`, in its order.
DELIVERY_COLUMNS = tuple(DELIVERIES.c[field.name] for field in fields(Delivery))
