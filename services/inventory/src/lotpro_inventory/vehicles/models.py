"""The tables of cars (by VIN) and of their stays in a store's stock."""

from dataclasses import fields

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Enum,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from lotpro_inventory.db import METADATA
from lotpro_inventory.vehicles.domain import Vehicle
from lotpro_inventory.vehicles.states import State

#: A car as its VIN tells it, once in each store that ever had it: what the decoder said, not what is advertised.
CARS = Table(
    "cars",
    METADATA,
    Column("store_id", Uuid, primary_key=True),
    Column("vin", String(17), primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("check_digit_right", Boolean, nullable=False),
    Column("year", SmallInteger),
    Column("make", String(80)),
    Column("model", String(120)),
    Column("trim", String(120)),
    Column("body", String(120)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
)

#: A stay of a car in a store's stock. The description is copied from the car and may be corrected.
VEHICLES = Table(
    "vehicles",
    METADATA,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("store_id", Uuid, nullable=False),
    Column("vin", String(17), nullable=False),
    Column("stock_number", String(32), nullable=False),
    Column("state", Enum(State, native_enum=False, length=16, values_callable=list), nullable=False),
    Column("year", SmallInteger),
    Column("make", String(80)),
    Column("model", String(120)),
    Column("trim", String(120)),
    Column("body", String(120)),
    Column("color", String(60)),
    Column("mileage", Integer),
    Column("price_amount", BigInteger),
    Column("price_currency", String(3)),
    Column("cost_amount", BigInteger),
    Column("cost_currency", String(3)),
    Column("override_reason", Text),
    Column("added_by", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column(
        "search_text",
        Text,
        Computed(
            "lower(right(vin, 8) || ' ' || stock_number || ' ' || coalesce(year::text, '') || ' ' ||"
            " coalesce(make, '') || ' ' || coalesce(model, '') || ' ' || coalesce(trim, ''))",
            persisted=True,
        ),
    ),
    ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"]),
    ForeignKeyConstraint(["store_id", "vin"], ["cars.store_id", "cars.vin"]),
    UniqueConstraint("store_id", "id"),
    UniqueConstraint("store_id", "stock_number"),
    CheckConstraint("(price_amount IS NULL) = (price_currency IS NULL)", name="price_whole"),
    CheckConstraint("(cost_amount IS NULL) = (cost_currency IS NULL)", name="cost_whole"),
    CheckConstraint("mileage >= 0", name="mileage_not_negative"),
    Index(
        "uq_vehicles_open_vin", "store_id", "vin", unique=True,
        postgresql_where=text("state NOT IN ('sold', 'delivered')"),
    ),
    Index("ix_vehicles_store_state", "org_id", "store_id", "state", "id"),
)


#: The columns of `Vehicle`, in its order.
VEHICLE_COLUMNS = tuple(VEHICLES.c[field.name] for field in fields(Vehicle))
