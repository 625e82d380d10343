"""The table of customers: everything about the person is encrypted under the person's own key."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
    Uuid,
)

from lotpro_inventory.db import METADATA

CUSTOMERS = Table(
    "customers",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("store_id", Uuid, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("email", LargeBinary),
    Column("email_index", LargeBinary),
    Column("phone", LargeBinary),
    Column("added_by", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("version", BigInteger, nullable=False),
    ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
    UniqueConstraint("store_id", "id"),
    Index("ix_customers_email", "store_id", "email_index"),
)
