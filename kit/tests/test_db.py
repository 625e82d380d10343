"""Short reads: the same rows as any transaction of the caller's, and nothing left behind on the connection."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import bindparam, func, select, text

from kit.tests.conftest import Sample
from kit.tests.sample.app import NOTES
from lotpro_kit.caller import ANONYMOUS, Caller, system
from lotpro_kit.db import Query

BY_TITLE = Query(select(NOTES.c.id, NOTES.c.title).where(NOTES.c.title == bindparam("title")))


async def titles(sample: Sample, caller: Caller, title: str) -> list[str]:
    return [row["title"] for row in await sample.runtime.database.reader(caller).all(BY_TITLE, title=title)]


@pytest.fixture
async def note(sample: Sample) -> str:
    async with sample.client("manager") as client:
        body = {"store_id": str(sample.store_id), "title": "it's read"}
        assert (await client.post("/api/sample/v1/notes", json=body)).status_code == 201
    return "it's read"


async def test_only_the_callers_rows_are_read_also_when_callers_share_connections(sample: Sample, note: str) -> None:
    ours = system(sample.org_id)
    in_store = ours.narrowed(frozenset({sample.store_id}))
    elsewhere = ours.narrowed(frozenset({uuid4()}))
    callers = [ours, in_store, elsewhere, system(uuid4()), ANONYMOUS] * 10
    found = await asyncio.gather(*(titles(sample, caller, note) for caller in callers))
    assert found == [[note], [note], [], [], []] * 10


async def test_a_read_leaves_no_context_behind_also_when_it_fails(sample: Sample, note: str) -> None:
    database = sample.runtime.database
    failing = Query(select(1 / (func.length(NOTES.c.title) - bindparam("length"))))
    for _ in range(12):
        with pytest.raises(asyncpg.DivisionByZeroError):
            await database.reader(system(sample.org_id)).all(failing, length=len(note))
    for _ in range(12):
        async with database.engine.connect() as connection:
            left = await connection.execute(text("SELECT current_setting('lotpro.org_id', true)"))
            assert left.scalar() in (None, "")
            assert (await connection.execute(text("SELECT count(*) FROM notes"))).scalar() == 0
    assert await titles(sample, system(sample.org_id), note) == [note]


async def test_the_first_row_comes_in_the_order_asked_for(sample: Sample) -> None:
    async with sample.client("manager") as client:
        for title in ("b", "c", "a"):
            await client.post("/api/sample/v1/notes", json={"store_id": str(sample.store_id), "title": title})
    by_title = select(NOTES.c.title).order_by(NOTES.c.title.desc())
    reader = sample.runtime.database.reader(system(sample.org_id))
    assert [row["title"] for row in await reader.all(Query(by_title))] == ["c", "b", "a"]
    first = await reader.one_or_none(Query(by_title.limit(1)))
    assert first is not None
    assert first["title"] == "c"
