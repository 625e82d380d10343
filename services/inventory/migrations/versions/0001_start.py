"""Stores, cars, vehicles, customers, sales, deliveries, and the plumbing."""

import sqlalchemy as sa
from alembic import op

from lotpro_inventory.app import SERVICE
from lotpro_kit import migrations

revision = "0001"
down_revision = None

#: What row-level security lets through of a store itself.
_OWN_STORE = (
    "org_id = (SELECT lotpro_org()) AND"
    " ((SELECT lotpro_all_stores()) OR id = ANY (SELECT unnest(lotpro_stores())))"
)

#: Runs as the owner, whom the policy `search` lets read, so that LIKE can use the trigram index; it therefore keeps to
#: the caller's organisation and stores itself. Planned anew at each call, for the values at hand.
_SEARCH = """
CREATE FUNCTION search_vehicles(
    words text[], wanted_state text, wanted_make text, wanted_stores uuid[], before uuid, most integer
) RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE
        'SELECT id FROM vehicles WHERE org_id = $1 AND ($2 OR store_id = ANY ($3))'
        ' AND search_text LIKE $4 AND search_text LIKE $5 AND search_text LIKE $6 AND search_text LIKE $7'
        ' AND ($8 = '''' OR state = $8) AND ($9 = '''' OR lower(make) = $9)'
        ' AND ($10 IS NULL OR store_id = ANY ($10)) AND ($11 IS NULL OR id < $11)'
        ' ORDER BY id DESC LIMIT $12'
    USING lotpro_org(), lotpro_all_stores(), lotpro_stores(),
        words[1], coalesce(words[2], '%'), coalesce(words[3], '%'), coalesce(words[4], '%'),
        wanted_state, wanted_make, wanted_stores, before, most;
END $$
"""


def _money(name: str, *, nullable: bool = True) -> list[sa.Column[object]]:
    return [
        sa.Column(f"{name}_amount", sa.BigInteger, nullable=nullable),
        sa.Column(f"{name}_currency", sa.String(3), nullable=nullable),
    ]


def _of_a_store() -> list[sa.Column[object]]:
    """The key begins with the organisation: an index on `id` alone would tempt lists to walk through all tenants."""
    return [
        sa.Column("org_id", sa.Uuid, primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("store_id", sa.Uuid, nullable=False),
    ]


def _description() -> list[sa.Column[object]]:
    return [
        sa.Column("year", sa.SmallInteger),
        sa.Column("make", sa.String(80)),
        sa.Column("model", sa.String(120)),
        sa.Column("trim", sa.String(120)),
        sa.Column("body", sa.String(120)),
    ]


def _time(name: str, **arguments: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, **arguments)


def _store() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["store_id", "org_id"], ["stores.id", "stores.org_id"])


def _in_store(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["store_id", column], [f"{table}.store_id", f"{table}.id"])


def _stores() -> None:
    op.create_table(
        "stores",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        _time("created_at", server_default=sa.func.now()),
        sa.UniqueConstraint("id", "org_id"),
    )
    migrations.grant(op, "inventory", "stores", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "stores", _OWN_STORE)


def _cars() -> None:
    op.create_table(
        "cars",
        sa.Column("store_id", sa.Uuid, primary_key=True),
        sa.Column("vin", sa.String(17), primary_key=True),
        sa.Column("org_id", sa.Uuid, nullable=False),
        sa.Column("check_digit_right", sa.Boolean, nullable=False),
        *_description(),
        _time("created_at", server_default=sa.func.now()),
        _store(),
    )
    migrations.grant(op, "inventory", "cars", "SELECT", "INSERT")
    migrations.isolate(op, "cars", migrations.STORE)


def _vehicles() -> None:
    op.create_table(
        "vehicles",
        *_of_a_store(),
        sa.Column("vin", sa.String(17), nullable=False),
        sa.Column("stock_number", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        *_description(),
        sa.Column("color", sa.String(60)),
        sa.Column("mileage", sa.Integer),
        *_money("price"),
        *_money("cost"),
        sa.Column("override_reason", sa.Text),
        sa.Column("added_by", sa.Uuid, nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column(
            "search_text",
            sa.Text,
            sa.Computed(
                "lower(right(vin, 8) || ' ' || stock_number || ' ' || coalesce(year::text, '') || ' ' ||"
                " coalesce(make, '') || ' ' || coalesce(model, '') || ' ' || coalesce(trim, ''))",
                persisted=True,
            ),
        ),
        _store(),
        sa.ForeignKeyConstraint(["store_id", "vin"], ["cars.store_id", "cars.vin"]),
        sa.UniqueConstraint("store_id", "id"),
        sa.UniqueConstraint("store_id", "stock_number"),
        sa.CheckConstraint("(price_amount IS NULL) = (price_currency IS NULL)", name="price_whole"),
        sa.CheckConstraint("(cost_amount IS NULL) = (cost_currency IS NULL)", name="cost_whole"),
        sa.CheckConstraint("mileage >= 0", name="mileage_not_negative"),
    )
    op.create_index(
        "uq_vehicles_open_vin", "vehicles", ["store_id", "vin"], unique=True,
        postgresql_where=sa.text("state NOT IN ('sold', 'delivered')"),
    )
    op.create_index("ix_vehicles_store_state", "vehicles", ["org_id", "store_id", "state", "id"])
    migrations.grant(op, "inventory", "vehicles", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "vehicles", migrations.STORE)


def _search() -> None:
    op.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    op.execute(sa.text("CREATE EXTENSION IF NOT EXISTS btree_gin"))
    op.execute(sa.text("CREATE INDEX ix_vehicles_search ON vehicles USING gin (org_id, search_text gin_trgm_ops)"))
    op.execute(sa.text("CREATE POLICY search ON vehicles FOR SELECT TO CURRENT_USER USING (true)"))
    op.execute(sa.text(_SEARCH))
    signature = "search_vehicles(text[], text, text, uuid[], uuid, integer)"
    op.execute(sa.text(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"))
    op.execute(sa.text(f"GRANT EXECUTE ON FUNCTION {signature} TO inventory_app"))


def _customers() -> None:
    op.create_table(
        "customers",
        *_of_a_store(),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("email", sa.LargeBinary),
        sa.Column("email_index", sa.LargeBinary),
        sa.Column("phone", sa.LargeBinary),
        sa.Column("added_by", sa.Uuid, nullable=False),
        _time("created_at"),
        sa.Column("version", sa.BigInteger, nullable=False),
        _store(),
        sa.UniqueConstraint("store_id", "id"),
    )
    op.create_index("ix_customers_email", "customers", ["store_id", "email_index"])
    migrations.grant(op, "inventory", "customers", "SELECT", "INSERT", "UPDATE")
    migrations.isolate(op, "customers", migrations.STORE)


def _sales() -> None:
    op.create_table(
        "sales",
        *_of_a_store(),
        sa.Column("vehicle_id", sa.Uuid, nullable=False),
        sa.Column("customer_id", sa.Uuid, nullable=False),
        sa.Column("seller_id", sa.Uuid, nullable=False),
        *_money("price", nullable=False),
        _time("sold_at"),
        sa.Column("version", sa.BigInteger, nullable=False),
        _store(),
        _in_store("vehicle_id", "vehicles"),
        _in_store("customer_id", "customers"),
        sa.UniqueConstraint("store_id", "id"),
        sa.UniqueConstraint("store_id", "vehicle_id"),
    )
    op.create_index("ix_sales_customer", "sales", ["store_id", "customer_id"])
    op.create_index("ix_sales_seller", "sales", ["org_id", "seller_id"])
    migrations.grant(op, "inventory", "sales", "SELECT", "INSERT")
    migrations.isolate(op, "sales", migrations.STORE)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        *_of_a_store(),
        sa.Column("sale_id", sa.Uuid, nullable=False),
        sa.Column("vehicle_id", sa.Uuid, nullable=False),
        sa.Column("customer_id", sa.Uuid, nullable=False),
        _time("starts_at"),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("scheduled_by", sa.Uuid, nullable=False),
        _time("created_at"),
        sa.Column("version", sa.BigInteger, nullable=False),
        _store(),
        _in_store("sale_id", "sales"),
        _in_store("vehicle_id", "vehicles"),
        _in_store("customer_id", "customers"),
        sa.UniqueConstraint("store_id", "id"),
        sa.UniqueConstraint("store_id", "sale_id"),
    )
    op.create_index("ix_deliveries_org", "deliveries", ["org_id", "starts_at", "id"])
    op.create_index("ix_deliveries_customer", "deliveries", ["store_id", "customer_id"])
    migrations.grant(op, "inventory", "deliveries", "SELECT", "INSERT")
    migrations.isolate(op, "deliveries", migrations.STORE)


def upgrade() -> None:
    migrations.create_plumbing(op, "inventory", SERVICE.metadata)
    _stores()
    _cars()
    _vehicles()
    _search()
    _customers()
    _sales()
    _deliveries()
