"""A service's database: one engine, and transactions that row-level security ties to a caller."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import DateTime, MetaData, Select, String, Uuid, text
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.util.concurrency import greenlet_spawn

from lotpro_kit.caller import ALL_STORES, Caller
from lotpro_kit.errors import NotFound

Session = AsyncSession

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


def _begin_reading(caller: Caller) -> str:
    """BEGIN and the caller's context as one script, which is one round trip; a script takes no parameters."""
    settings = (f"set_config('lotpro.{name}', '{_quoted(value)}', true)" for name, value in context(caller).items())
    return f"BEGIN READ ONLY; SELECT {', '.join(settings)}"


def _quoted(value: str) -> str:
    """A text inside single quotes (`standard_conforming_strings` is PostgreSQL's default). Ours are ids and names."""
    return value.replace("'", "''")


_DIALECT: Dialect = make_url("postgresql+asyncpg://").get_dialect()()


class Query:
    """A SELECT of columns, compiled once, for `Database.read`; parameters are `bindparam`s."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())

    def arguments(self, parameters: Mapping[str, object]) -> list[object]:
        """The parameters in the order of the compiled text."""
        return [parameters[name] for name in self._names]


class Reader:
    """A read-only transaction without SQLAlchemy's share of the time; values come as the driver makes them."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def one_or_none(self, query: Query, **parameters: object) -> asyncpg.Record | None:
        """The first row, or None."""
        return await self._connection.fetchrow(query.sql, *query.arguments(parameters))

    async def all(self, query: Query, **parameters: object) -> list[asyncpg.Record]:
        """Every row."""
        rows: list[asyncpg.Record] = await self._connection.fetch(query.sql, *query.arguments(parameters))
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

    @asynccontextmanager
    async def read(self, caller: Caller) -> AsyncIterator[Reader]:
        """One read-only transaction in which only the caller's rows exist, for the requests that come most often.

        It takes three round trips, and a quarter of the time that `begin` takes around a single SELECT.
        """
        pooled = await self.engine.raw_connection()
        connection: asyncpg.Connection[asyncpg.Record] = pooled.driver_connection
        try:
            await connection.execute(_begin_reading(caller))
            yield Reader(connection)
            await connection.execute("COMMIT")
        except BaseException:
            # In whatever state it is: nobody shall get it with this caller's context.
            pooled.invalidate(soft=True)
            raise
        finally:
            await greenlet_spawn(pooled.close)

    async def ready(self) -> bool:
        """Whether the database answers."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        return True

    async def close(self) -> None:
        await self.engine.dispose()
