"""A service's database: one engine, and transactions that row-level security ties to a caller."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import Connection, DateTime, MetaData, Select, String, Uuid, func, select, text
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.util.concurrency import greenlet_spawn

from lotpro_kit.caller import ALL_STORES, ANONYMOUS, Caller
from lotpro_kit.errors import NotFound

#: A connection of the driver's own.
Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}



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


def _begin(caller: Caller) -> str:
    """A transaction and its context in one round trip; PostgreSQL takes no parameters with several statements."""
    values = (f"set_config('lotpro.{name}', {_literal(value)}, true)" for name, value in context(caller).items())
    return f"BEGIN; SELECT {', '.join(values)}"


def _literal(value: str) -> str:
    """A text in quotes. With its own quotes doubled it cannot end early: backslashes mean nothing by default."""
    return "'" + value.replace("'", "''") + "'"


#: The caller's context is set before the SELECT inside sees any row, because that needs `caller` (LATERAL, and OFFSET 0
#: keeps it apart). Were it ever otherwise, no context would be set and there would be no rows.
_AS_CALLER = (
    "WITH caller AS MATERIALIZED (SELECT {settings} AS known)"
    " SELECT found.* FROM caller CROSS JOIN LATERAL"
    " (SELECT * FROM ({select}) AS inside WHERE caller.known IS NOT NULL OFFSET 0) AS found"
)


class Row(asyncpg.Record):  # type: ignore[misc] # asyncpg has no types
    """A row of the driver's, whose columns are attributes as in a row of SQLAlchemy's."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Statement:
    """A statement compiled once, which the driver runs in a session's transaction; its parameters are `bindparam`s.

    It goes past SQLAlchemy's execution, which takes six times as long, so values come as the driver makes them. For
    what is asked most often; `Session.execute` is for the rest.
    """

    def __init__(self, statement: CompilerElement) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._literals = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self.sql = str(compiled)

    async def all(self, session: "Session", **parameters: object) -> list[Row]:
        """Every row."""
        return await fetch(session, self.sql, *self._given(parameters))

    async def one_or_none(self, session: "Session", **parameters: object) -> Row | None:
        """The first row, or None."""
        return next(iter(await self.all(session, **parameters)), None)

    def _given(self, parameters: Mapping[str, object]) -> list[object]:
        values = {**self._literals, **parameters}
        return [values[name] for name in self._names]


def together(**asked: Select[Any]) -> Select[Any]:
    """One SELECT that asks several in one round trip; the column called like one has all its rows, as plain tuples."""
    gathered = (
        func.array(select(one.subquery(name).table_valued()).scalar_subquery()).label(name)
        for name, one in asked.items()
    )
    return select(*gathered)


class Query(Statement):
    """A SELECT of columns with a caller's context around it, for a `Reader`."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        super().__init__(statement)
        settings = " || ".join(
            f"set_config('lotpro.{name}', ${number}, true)"
            for number, name in enumerate(_CONTEXT_NAMES, start=len(self._names) + 1)
        )
        self.sql = _AS_CALLER.format(settings=settings, select=self.sql)

    def arguments(self, caller: Caller, parameters: Mapping[str, object]) -> list[object]:
        """The parameters and the context, in the order of the compiled text."""
        settings = context(caller)
        return [*self._given(parameters), *(settings[name] for name in _CONTEXT_NAMES)]


class Reader:
    """Reads what a caller may see, one SELECT at a time, each in one round trip and a transaction of its own.

    It goes past SQLAlchemy's execution, so values come as the driver makes them. For what is asked most often;
    `Database.begin` is for the rest.
    """

    def __init__(self, engine: AsyncEngine, caller: Caller) -> None:
        self._engine, self._caller = engine, caller

    async def one_or_none(self, query: Query, **parameters: object) -> Row | None:
        """The first row, or None."""
        return next(iter(await self.all(query, **parameters)), None)

    async def all(self, query: Query, **parameters: object) -> list[Row]:
        """Every row."""
        async with self.connection() as connection:
            rows: list[Row] = await connection.fetch(
                query.sql, *query.arguments(self._caller, parameters), record_class=Row
            )
            return rows

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Driver]:
        """A pooled connection of the driver's own."""
        pooled, driver = await _checked_out(self._engine)
        try:
            yield driver
        except BaseException:
            # It may be in the middle of an answer; the pool opens another one in its place.
            pooled.invalidate(soft=True)
            raise
        finally:
            await greenlet_spawn(pooled.close)


class Session(AsyncSession):
    """One transaction, made and ended by `Database.begin`: SQLAlchemy's statements, and the driver's by `fetch`.

    Underneath, SQLAlchemy is told that each statement stands alone: beginning and ending is the driver's, in a third
    of the time.
    """

    def __init__(self, engine: AsyncEngine, pooled: PoolProxiedConnection, driver: Any) -> None:
        joined = AsyncConnection(engine, Connection(engine.sync_engine, pooled))
        super().__init__(bind=joined, expire_on_commit=False)
        self._driver = driver

    @property
    def driver(self) -> "asyncpg.Connection[asyncpg.Record]":
        """The driver's connection, inside the transaction; there is none after `rollback`."""
        if self._driver is None:
            raise RuntimeError("the transaction was rolled back")
        connection: asyncpg.Connection[asyncpg.Record] = self._driver
        return connection

    async def start(self, caller: Caller) -> None:
        """For `Database.begin`: the transaction begins, and the caller's rows exist."""
        await self.driver.execute(_begin(caller))

    async def finish(self) -> None:
        """For `Database.begin`: commit, unless it was rolled back."""
        await self._end("COMMIT")

    async def rollback(self) -> None:
        """Undo everything; nothing can be done in the transaction any more."""
        await self._end("ROLLBACK")

    async def _end(self, how: str) -> None:
        driver, self._driver = self._driver, None
        if driver is None:
            return
        if self.sync_session.in_transaction():
            await self.close()
        self.sync_session.bind = None
        await driver.execute(how)


async def _checked_out(engine: AsyncEngine) -> tuple[PoolProxiedConnection, Any]:
    """A pooled connection and the driver's in it; one that the server has closed meanwhile is not given out."""
    while True:
        pooled = await engine.raw_connection()
        driver: Any = pooled.driver_connection
        if not driver.is_closed():
            return pooled, driver
        pooled.invalidate()


async def fetch(session: Session, sql: str, *arguments: object) -> list[Row]:
    """A statement of the driver's own ($1, $2) in the session's transaction; raises the driver's errors."""
    rows: list[Row] = await session.driver.fetch(sql, *arguments, record_class=Row)
    return rows


class Database:
    """A bounded pool of connections as the service's app role, which may neither change tables nor bypass RLS."""

    def __init__(
        self,
        url: str | URL,
        *,
        password: str | Callable[[], Awaitable[str]] | None = None,
        pool_size: int = 8,
        pool_seconds: float = 5,
        ssl: object = None,
    ) -> None:
        """`password` may be an async function: in Azure it returns a fresh Entra token for each new connection.

        Whoever has waited `pool_seconds` for a connection, pooled or new, is turned away.
        """
        self.url = make_url(url)
        arguments: dict[str, object] = {"server_settings": {"application_name": "lotpro"}, "timeout": pool_seconds}
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
            pool_timeout=pool_seconds,
            pool_recycle=1800,
            # The connections used last have the statements prepared; the others may rest.
            pool_use_lifo=True,
            # Transactions are the driver's: see Session.
            isolation_level="AUTOCOMMIT",
        )

    @asynccontextmanager
    async def begin(self, caller: Caller) -> AsyncIterator[Session]:
        """One transaction in which only the caller's rows exist; commits at the end, rolls back on any exception.

        Writing a row that would not exist for the caller is NotFound.
        """
        pooled, driver = await _checked_out(self.engine)
        try:
            session = Session(self.engine, pooled, driver)
            try:
                await session.start(caller)
                yield session
            except BaseException:
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await session.rollback()
                raise
            await session.finish()
        except (DBAPIError, asyncpg.InsufficientPrivilegeError) as error:
            if "row-level security" in str(getattr(error, "orig", error)):
                raise NotFound from error
            raise
        finally:
            if pooled.is_valid and driver.is_in_transaction():
                # Its end failed or was not waited for; the pool opens another one in its place. SQLAlchemy has done so
                # already for a statement of its own that was cut off.
                pooled.invalidate(soft=True)
            await greenlet_spawn(pooled.close)

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
