"""A service's database: one engine, and transactions that row-level security ties to a caller."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import DateTime, MetaData, Select, String, Uuid, text
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.util.concurrency import greenlet_spawn

from lotpro_kit.caller import ALL_STORES, ANONYMOUS, Caller
from lotpro_kit.errors import NotFound

Session = AsyncSession

#: A connection of the driver's own.
Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

_SET_CONTEXT = text(
    "SELECT set_config('lotpro.org_id', :org_id, true), set_config('lotpro.user_id', :user_id, true),"
    " set_config('lotpro.stores', :stores, true), set_config('lotpro.scope', :scope, true)"
)


class Model(DeclarativeBase):
    """Base of every table; a service subclasses it once so that its metadata is its own."""

    __abstract__ = True
    type_annotation_map = {datetime: DateTime(timezone=True), UUID: Uuid(as_uuid=True), str: String}  # noqa: RUF012 - SQLAlchemy's documented form


def metadata() -> MetaData:
    """Fresh metadata with lotPro's constraint names."""
    return MetaData(naming_convention=_NAMING)


def context(caller: Caller) -> dict[str, str]:
    """The settings that row-level security reads, from a caller. Empty text means none, and none means no rows."""
    stores = ALL_STORES if caller.stores is None else ",".join(sorted(map(str, caller.stores)))
    return {
        "org_id": str(caller.org_id or ""),
        "user_id": str(caller.user_id or ""),
        "stores": stores,
        "scope": caller.scope,
    }


_DIALECT: Dialect = make_url("postgresql+asyncpg://").get_dialect()()
_CONTEXT_NAMES = ("org_id", "user_id", "stores", "scope")
#: The caller's context is set before the SELECT inside sees any row, because that needs `caller` (LATERAL, and OFFSET 0
#: keeps it apart). Were it ever otherwise, no context would be set and there would be no rows.
_AS_CALLER = (
    "WITH caller AS MATERIALIZED (SELECT {settings} AS known)"
    " SELECT found.* FROM caller CROSS JOIN LATERAL"
    " (SELECT * FROM ({select}) AS inside WHERE caller.known IS NOT NULL OFFSET 0) AS found"
)


class Query:
    """A SELECT of columns with a caller's context around it, compiled once; its parameters are `bindparam`s."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._literals = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        settings = " || ".join(
            f"set_config('lotpro.{name}', ${number}, true)"
            for number, name in enumerate(_CONTEXT_NAMES, start=len(self._names) + 1)
        )
        self.sql = _AS_CALLER.format(settings=settings, select=compiled)

    def arguments(self, caller: Caller, parameters: Mapping[str, object]) -> list[object]:
        """The parameters and the context, in the order of the compiled text."""
        values, settings = {**self._literals, **parameters}, context(caller)
        return [*(values[name] for name in self._names), *(settings[name] for name in _CONTEXT_NAMES)]


class Reader:
    """Reads what a caller may see, one SELECT at a time, each in one round trip and a transaction of its own.

    It goes past SQLAlchemy's execution, so values come as the driver makes them. For what is asked most often;
    `Database.begin` is for the rest.
    """

    def __init__(self, engine: AsyncEngine, caller: Caller) -> None:
        self._engine, self._caller = engine, caller

    async def one_or_none(self, query: Query, **parameters: object) -> asyncpg.Record | None:
        """The first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchrow(query.sql, *query.arguments(self._caller, parameters))

    async def all(self, query: Query, **parameters: object) -> list[asyncpg.Record]:
        """Every row."""
        async with self.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(
                query.sql, *query.arguments(self._caller, parameters)
            )
            return rows

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Driver]:
        """A pooled connection of the driver's own."""
        pooled = await self._engine.raw_connection()
        try:
            yield pooled.driver_connection
        except BaseException:
            # It may be in the middle of an answer; the pool opens another one in its place.
            pooled.invalidate(soft=True)
            raise
        finally:
            await greenlet_spawn(pooled.close)


async def fetch(session: Session, sql: str, *arguments: object) -> list[asyncpg.Record]:
    """A statement of the driver's own ($1, $2) in the session's transaction; raises the driver's errors."""
    connection = await (await session.connection()).get_raw_connection()
    assert connection.driver_connection is not None
    rows: list[asyncpg.Record] = await connection.driver_connection.fetch(sql, *arguments)
    return rows


class Database:
    """A bounded pool of connections as the service's app role, which may neither change tables nor bypass RLS."""

    def __init__(
        self,
        url: str | URL,
        *,
        password: str | Callable[[], Awaitable[str]] | None = None,
        pool_size: int = 8,
        ssl: object = None,
    ) -> None:
        """`password` may be an async function: in Azure it returns a fresh Entra token for each new connection."""
        self.url = make_url(url)
        arguments: dict[str, object] = {"server_settings": {"application_name": "lotpro"}, "timeout": 5}
        if password is not None:
            arguments["password"] = password
        if ssl is not None:
            arguments["ssl"] = ssl
        self.connect_arguments = arguments
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            connect_args=arguments,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            pool_recycle=1800,
        )

    @asynccontextmanager
    async def begin(self, caller: Caller) -> AsyncIterator[Session]:
        """One transaction in which only the caller's rows exist; commits at the end, rolls back on any exception.

        Writing a row that would not exist for the caller is NotFound.
        """
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                await session.execute(_SET_CONTEXT, context(caller))
                yield session
        except DBAPIError as error:
            if "row-level security" in str(error.orig):
                raise NotFound from error
            raise

    def reader(self, caller: Caller) -> Reader:
        """Single SELECTs in which only the caller's rows exist, in a third of the time that `begin` takes for one."""
        return Reader(self.engine, caller)

    async def alone(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """One statement in a transaction and a round trip of its own, as nobody: for tables without tenants."""
        async with self.reader(ANONYMOUS).connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows

    async def connect(self, **server_settings: str) -> Driver:
        """A connection of the driver's own, outside of the pool, for what holds one as long as it runs; close it."""
        url = self.url
        arguments: dict[str, Any] = {"password": url.password} | self.connect_arguments
        arguments["server_settings"] = arguments["server_settings"] | server_settings
        return await asyncpg.connect(
            host=url.host, port=url.port, user=url.username, database=url.database, **arguments
        )

    async def ready(self) -> bool:
        """Whether the database answers."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        return True

    async def close(self) -> None:
        await self.engine.dispose()
