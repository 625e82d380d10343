"""Schema migrations (Alembic) and the SQL every service's database starts with."""

import asyncio
from pathlib import Path

import alembic.command
import alembic.config
from alembic import context
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

#: A migration that cannot get its lock in this time gives up instead of blocking the service.
LOCK_TIMEOUT = "4s"
#: One migration at a time, in any number of processes.
ADVISORY_LOCK = 0x6C6F7450726F

_FUNCTIONS = """
CREATE FUNCTION lotpro_org() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('lotpro.org_id', true), '')::uuid;
CREATE FUNCTION lotpro_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('lotpro.user_id', true), '')::uuid;
CREATE FUNCTION lotpro_scope() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('lotpro.scope', true), '');
CREATE FUNCTION lotpro_stores() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE current_setting('lotpro.stores', true) WHEN '*' THEN NULL WHEN '' THEN '{}'::uuid[]
        ELSE string_to_array(current_setting('lotpro.stores', true), ',')::uuid[] END;
CREATE FUNCTION lotpro_all_stores() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('lotpro.stores', true), '') = '*';
"""


def create_functions(op: Operations) -> None:
    """The functions row-level security asks; all of them answer "nothing" when no caller was set."""
    for statement in _FUNCTIONS.strip().split(";\n"):
        op.execute(text(statement.rstrip(";")))


def grant(op: Operations, service: str, table: str, *privileges: str) -> None:
    """Let the service's app role use a table, with no more than these privileges."""
    op.execute(text(f"GRANT {', '.join(privileges)} ON {table} TO {service}_app"))


def isolate(op: Operations, table: str, using: str, *, check: str | None = None, name: str = "tenant") -> None:
    """Force row-level security on a table with this policy; `check` defaults to the same expression."""
    op.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"))
    op.execute(text(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"))
    op.execute(text(f"CREATE POLICY {name} ON {table} USING ({using}) WITH CHECK ({check or using})"))


ORGANISATION = "org_id = (SELECT lotpro_org())"
STORE = (
    "org_id = (SELECT lotpro_org()) AND"
    " ((SELECT lotpro_all_stores()) OR store_id = ANY (SELECT unnest(lotpro_stores())))"
)


def create_plumbing(op: Operations, service: str, metadata: MetaData) -> None:
    """Outbox, inbox, idempotency keys and data keys, whichever the service's metadata has, with their grants."""
    create_functions(op)
    bind = op.get_bind()
    for name, privileges in (
        ("outbox", ("SELECT", "INSERT", "UPDATE", "DELETE")),
        ("inbox", ("SELECT", "INSERT", "DELETE")),
        ("idempotency_keys", ("SELECT", "INSERT", "UPDATE", "DELETE")),
        ("data_keys", ("SELECT", "INSERT", "DELETE")),
    ):
        if name in metadata.tables:
            metadata.tables[name].create(bind)
            grant(op, service, name, *privileges)
    if "outbox" in metadata.tables:
        op.execute(text("CREATE INDEX ix_outbox_due ON outbox (next_attempt_at, id)"))
    if "idempotency_keys" in metadata.tables:
        isolate(op, "idempotency_keys", "user_id = (SELECT lotpro_user()) OR (SELECT lotpro_scope()) = 'retention'")


def run(metadata: MetaData) -> None:
    """Called by each service's migrations/env.py, inside `upgrade` or `check`."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=False)
    with context.begin_transaction():
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        context.run_migrations()


def _config(directory: Path) -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(directory))
    return config


async def upgrade(url: str | URL, directory: Path, *, password: object = None, to: str = "head") -> None:
    """Bring a database to a revision as its owner role; concurrent calls wait for each other."""
    config = _config(directory)
    arguments = {"password": password} if password is not None else {}
    engine = create_async_engine(make_url(url), connect_args=arguments)

    def migrate(connection: Connection) -> None:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, to)

    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
            await connection.commit()
            await connection.run_sync(migrate)
            await connection.commit()
    finally:
        await engine.dispose()


async def drift(url: str | URL, metadata: MetaData, *, password: object = None) -> list[str]:
    """What the models say that the migrated database does not have, or the other way round; empty is good."""
    arguments = {"password": password} if password is not None else {}
    engine = create_async_engine(make_url(url), connect_args=arguments)

    def compare(connection: Connection) -> list[str]:
        found = compare_metadata(
            MigrationContext.configure(connection, opts={"include_object": _declared(metadata)}), metadata
        )
        return [str(entry) for entry in found]

    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


def _declared(metadata: MetaData) -> object:
    """Indexes that only the database knows (partial, GIN) and partitions are no drift."""

    def include(item: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
        if kind == "table" and reflected:
            return name in metadata.tables
        return not (kind == "index" and reflected and compare_to is None)

    return include


async def provision(
    admin_url: str | URL, service: str, *, owner_password: str, app_password: str, database: str | None = None
) -> None:
    """Create a service's database and its two roles where they are missing, as a superuser; sets the passwords."""
    name = database or service
    engine = create_async_engine(make_url(admin_url), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for role, password in ((f"{service}_owner", owner_password), (f"{service}_app", app_password)):
                known = await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
                verb = "ALTER" if known else "CREATE"
                quoted = password.replace("'", "''")
                await connection.execute(
                    text(
                        f"{verb} ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD '{quoted}'"
                    )
                )
            if not await connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}):
                await connection.execute(text(f'CREATE DATABASE "{name}" OWNER {service}_owner'))
            await connection.execute(text(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC'))
            await connection.execute(text(f'GRANT CONNECT ON DATABASE "{name}" TO {service}_app'))
    finally:
        await engine.dispose()


def upgrade_now(url: str | URL, directory: Path, *, password: object = None) -> None:
    """`upgrade` for a caller without a running event loop."""
    asyncio.run(upgrade(url, directory, password=password))
