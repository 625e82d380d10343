"""The table of sales."""

from dataclasses import fields

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Index, String, Table, UniqueConstraint, Uuid

from lotpro_inventory.db import METADATA
from lotpro_inventory.sales.domain import Sale

SALES = Table(
    "sales",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("store_id", Uuid, nullable=False),
    Column("vehicle_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("seller_id", Uuid, nullable=False),
    Column("price_amount", BigInteger, nullable=False),
    Column("price_currency", String(3), nullable=False),
    Column("sold_at", DateTime(timezone=True), nullable=False),
    Column("version", BigInteger, nullable=False),
    ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
    ForeignKeyConstraint(["store_id", "vehicle_id"], ["vehicles.store_id", "vehicles.id"]),
    ForeignKeyConstraint(["store_id", "customer_id"], ["customers.store_id", "customers.id"]),
    UniqueConstraint("store_id", "id"),
    UniqueConstraint("store_id", "vehicle_id"),
    Index("ix_sales_customer", "store_id", "customer_id"),
    Index("ix_sales_seller", "org_id", "seller_id"),
)


#: The columns of `Sale`, in its order.
SALE_COLUMNS = tuple(SALES.c[field.name] for field in fields(Sale))
