"""Transactions of a caller's: all or nothing, also when they fail, are given up or lose their connection."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.exc import IntegrityError, UnboundExecutionError

from kit.tests.conftest import Sample
from kit.tests.sample.app import NOTES
from lotpro.identity.v1 import events_pb2
from lotpro_kit import errors, outbox
from lotpro_kit.caller import Caller, system
from lotpro_kit.db import Database, Query, Session, Statement, fetch, together

ALL = Query(select(NOTES.c.title))
BY_TITLE = Statement(select(NOTES.c.id, NOTES.c.title).where(NOTES.c.title == bindparam("title")))
ADD = Statement(
    insert(NOTES).values({name: bindparam(name) for name in ("id", "org_id", "store_id", "title", "version")})
)


class Refused(Exception):
    """A use case says no."""


def row(sample: Sample, title: str, **other: object) -> dict[str, object]:
    return {"id": uuid4(), "org_id": sample.org_id, "store_id": sample.store_id, "title": title, "version": 1} | other


async def add(session: Session, sample: Sample, title: str, **other: object) -> None:
    await session.execute(insert(NOTES).values(row(sample, title, **other)))


async def add_by_driver(session: Session, sample: Sample, title: str, **other: object) -> None:
    await ADD.all(session, **row(sample, title, **other))


async def add_and_fail(sample: Sample, failing: str) -> None:
    """Half of something, then a statement that PostgreSQL refuses, or nobody can refuse."""
    database, caller = ours(sample)
    async with database.begin(caller) as session:
        await add(session, sample, "half")
        await fetch(session, failing)
        raise Refused


async def titles(sample: Sample) -> list[str]:
    async with sample.runtime.database.begin(system(sample.org_id)) as session:
        return sorted((await session.execute(select(NOTES.c.title))).scalars())


def ours(sample: Sample) -> tuple[Database, Caller]:
    return sample.runtime.database, system(sample.org_id)


async def close_idle_connections(sample: Sample) -> None:
    """From the server's side, as when it is started anew."""
    database, caller = ours(sample)
    async with AsyncExitStack() as opened:
        sessions = [await opened.enter_async_context(database.begin(caller)) for _ in range(4)]
        drivers = [session.driver for session in sessions]
        pids = [driver.get_server_pid() for driver in drivers]
    async with database.begin(caller) as session:
        own = session.driver.get_server_pid()
        others = {pid: driver for pid, driver in zip(pids, drivers, strict=True) if pid != own}
        closed = {pid: asyncio.Event() for pid in others}
        for pid, driver in others.items():
            driver.add_termination_listener(lambda _, pid=pid: closed[pid].set())
        await fetch(session, "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", list(others))
        async with asyncio.timeout(5):
            await asyncio.gather(*(event.wait() for event in closed.values()))


async def test_statements_of_both_kinds_are_one_transaction(sample: Sample) -> None:
    database, caller = ours(sample)
    async with database.begin(caller) as session:
        await add(session, sample, "by SQLAlchemy")
        await add_by_driver(session, sample, "by the driver")
        assert [note.title for note in await BY_TITLE.all(session, title="by SQLAlchemy")] == ["by SQLAlchemy"]
        assert await BY_TITLE.one_or_none(session, title="by nobody") is None
        seen = await session.execute(select(NOTES.c.title).where(NOTES.c.title == "by the driver"))
        assert seen.scalar_one() == "by the driver"
        async with database.begin(caller) as other:
            assert await BY_TITLE.all(other, title="by the driver") == []
    assert await titles(sample) == ["by SQLAlchemy", "by the driver"]


async def test_a_row_has_its_columns_and_no_others(sample: Sample) -> None:
    database, caller = ours(sample)
    async with database.begin(caller) as session:
        [found] = await fetch(session, "SELECT $1::int AS number", 7)
        assert found.number == 7
        with pytest.raises(AttributeError, match="name"):
            _ = found.name


async def test_what_fails_leaves_nothing_behind(sample: Sample) -> None:
    with pytest.raises(Refused):
        await add_and_fail(sample, "SELECT 1")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await add_and_fail(sample, "SELECT 1 / 0")
    assert await titles(sample) == []


async def test_a_rolled_back_transaction_takes_no_more_statements(sample: Sample) -> None:
    database, caller = ours(sample)
    async with database.begin(caller) as session:
        await add(session, sample, "for show")
        await session.rollback()
        await session.rollback()
        with pytest.raises(RuntimeError, match="rolled back"):
            await BY_TITLE.all(session, title="for show")
        with pytest.raises(UnboundExecutionError):
            await add(session, sample, "afterwards")
    assert await titles(sample) == []


async def add_twice(session: Session, sample: Sample, known: UUID) -> None:
    async with session.begin_nested():
        await add(session, sample, "second")
        await add(session, sample, "first again", id=known)


async def test_a_savepoint_undoes_its_own_part(sample: Sample) -> None:
    database, caller = ours(sample)
    known = uuid4()
    async with database.begin(caller) as session:
        await add(session, sample, "first", id=known)
        with pytest.raises(IntegrityError):
            await add_twice(session, sample, known)
        await add(session, sample, "third")
    assert await titles(sample) == ["first", "third"]


async def test_a_row_of_somebody_else_is_not_found_whoever_writes_it(sample: Sample) -> None:
    database, caller = ours(sample)
    with pytest.raises(errors.NotFound):
        async with database.begin(caller) as session:
            await add(session, sample, "theirs", org_id=uuid4())
    with pytest.raises(errors.NotFound):
        async with database.begin(caller) as session:
            await add_by_driver(session, sample, "theirs", org_id=uuid4())


async def test_a_transaction_given_up_in_the_middle_is_undone_and_its_connection_used_no_more(sample: Sample) -> None:
    database, caller = ours(sample)
    begun = asyncio.Event()

    async def slow() -> None:
        async with database.begin(caller) as session:
            await add(session, sample, "given up")
            begun.set()
            await fetch(session, "SELECT pg_sleep(30)")

    for _ in range(12):
        begun.clear()
        task = asyncio.create_task(slow())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await titles(sample) == []


async def test_a_connection_that_the_server_closed_is_replaced(sample: Sample) -> None:
    database, caller = ours(sample)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await add_and_fail(sample, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert await titles(sample) == []
    await close_idle_connections(sample)
    assert await asyncio.gather(*(titles(sample) for _ in range(12))) == [[]] * 12
    await close_idle_connections(sample)
    assert await database.reader(caller).all(ALL) == []


async def test_no_value_of_a_caller_ends_the_context_early(sample: Sample) -> None:
    database, _ = ours(sample)
    scope = "x', true), set_config('lotpro.stores', '*', true); --\\'"
    async with database.begin(system(sample.org_id, scope=scope).narrowed(frozenset())) as session:
        [found] = await fetch(
            session, "SELECT current_setting('lotpro.scope') AS scope, current_setting('lotpro.stores') AS stores"
        )
        assert (found.scope, found.stores) == (scope, "")
    async with database.engine.connect() as connection:
        left = await connection.execute(text("SELECT current_setting('lotpro.scope', true)"))
        assert left.scalar() in (None, "")


async def test_several_questions_are_answered_together_as_each_alone(sample: Sample) -> None:
    some = select(NOTES.c.id, NOTES.c.title, NOTES.c.store_id).where(NOTES.c.title != bindparam("title"))
    ordered = select(NOTES.c.title, NOTES.c.version).order_by(NOTES.c.title.desc())
    none = select(NOTES.c.id).where(NOTES.c.title == bindparam("title"))
    questions = {"some": some, "ordered": ordered, "none": none}
    database, caller = ours(sample)
    async with database.begin(caller) as session:
        for title in ("a", "c", "b"):
            await add_by_driver(session, sample, title)
        alone = {
            name: [tuple(row) for row in await Statement(one).all(session, title="gone")]
            for name, one in questions.items()
        }
        [answer] = await Statement(together(**questions)).all(session, title="gone")
        assert {name: [tuple(row) for row in answer[name]] for name in questions} == alone
        assert [title for title, _ in answer.ordered] == ["c", "b", "a"]
        assert (len(answer.some), answer.none) == (3, [])
    titles_of = Query(together(ordered=ordered))
    [[theirs]], [[nobodys]] = [await database.reader(who).all(titles_of) for who in (caller, system(uuid4()))]
    assert ([title for title, _ in theirs], nobodys) == (["c", "b", "a"], [])


async def test_a_write_and_its_events_are_one_statement_and_become_true_together(sample: Sample) -> None:
    adding = outbox.Writes(
        added=insert(NOTES).values({name: bindparam(name) for name in ("id", "org_id", "store_id", "title", "version")})
    )
    database, caller = ours(sample)
    events = [events_pb2.StoreOpened(org_id=str(sample.org_id), store_id=str(uuid4())) for _ in range(2)]
    recorded = "SELECT body::json ->> 'store_id' AS store_id FROM outbox WHERE body LIKE '%' || $1 || '%'"

    async def stores(session: Session) -> list[str]:
        # Ids that were made in the same millisecond have no order.
        return sorted(row.store_id for row in await fetch(session, recorded, str(sample.org_id)))

    async def give_up() -> None:
        async with database.begin(caller) as session:
            await adding.make(session, *events, **row(sample, "given up"))
            raise Refused

    with pytest.raises(Refused):
        await give_up()
    async with database.begin(caller) as session:
        await adding.make(session, *events, **row(sample, "kept"))
        await adding.make(session, **row(sample, "without an event"))
        assert await stores(session) == sorted(event.store_id for event in events)
    assert await titles(sample) == ["kept", "without an event"]
