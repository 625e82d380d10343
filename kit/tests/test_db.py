"""Short reads: the same rows as any transaction of the caller's, and nothing left behind on the connection."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import bindparam, select, text

from kit.tests.conftest import Sample
from kit.tests.sample.app import NOTES
from lotpro_kit.caller import ANONYMOUS, Caller, system
from lotpro_kit.db import Query, Reader

BY_TITLE = Query(select(NOTES.c.id, NOTES.c.title).where(NOTES.c.title == bindparam("title")))


async def titles(sample: Sample, caller: Caller, title: str) -> list[str]:
    async with sample.runtime.database.read(caller) as reader:
        return [row["title"] for row in await reader.all(BY_TITLE, title=title)]


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


async def test_a_short_read_changes_nothing_and_a_failed_one_leaves_no_context(sample: Sample, note: str) -> None:
    database = sample.runtime.database
    for _ in range(12):
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with database.read(system(sample.org_id)) as reader:
                await _delete_all(reader)
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT current_setting('lotpro.org_id', true)"))).scalar() in (None, "")
    assert await titles(sample, system(sample.org_id), note) == [note]


async def _delete_all(reader: Reader) -> None:
    deletion = Query(select(NOTES.c.id))
    deletion.sql = "DELETE FROM notes"
    await reader.all(deletion)


async def test_a_quote_in_a_scope_ends_no_text(sample: Sample) -> None:
    scope = "'); DROP TABLE notes; SELECT ('"
    shown = Query(select(NOTES.c.id))
    shown.sql = "SELECT current_setting('lotpro.scope') AS scope"
    async with sample.runtime.database.read(system(scope=scope)) as reader:
        row = await reader.one_or_none(shown)
    assert row is not None
    assert row["scope"] == scope
