"""The table of sales, and what a row of it is in code."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Index, String, Table, UniqueConstraint, Uuid

from lotpro_inventory.db import METADATA
from lotpro_inventory.money import Currency, Money

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


@dataclass(frozen=True, slots=True)
class Sale:
    """A row of sales; the price in minor units."""

    id: UUID
    org_id: UUID
    store_id: UUID
    vehicle_id: UUID
    customer_id: UUID
    seller_id: UUID
    price_amount: int
    price_currency: Currency
    sold_at: datetime
    version: int

    @property
    def price(self) -> Money:
        """What the customer pays."""
        return Money(self.price_amount, self.price_currency)


#: The columns of `Sale`, in its order.
SALE_COLUMNS = tuple(SALES.c[field.name] for field in fields(Sale))
