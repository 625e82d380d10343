"""The table of stores; everything a store has refers to it."""

from sqlalchemy import Column, DateTime, String, Table, UniqueConstraint, Uuid, func

from lotpro_inventory.db import METADATA

STORES = Table(
    "stores",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("id", "org_id"),
)
