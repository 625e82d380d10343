"""A log that was written with whole leaves keeps every one of them, byte by byte."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from lotpro_audit import app
from lotpro_audit.events import leaf
from lotpro_audit.events.leaf import LEAF_SQL, Leaf, microseconds
from lotpro_kit import migrations, testing

WRITTEN = datetime(2026, 11, 3, 12, 0, 0, 123457, UTC)


@asynccontextmanager
async def old_log(postgres: testing.Postgres) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """The owner's connection to a log as it was when rows had their whole leaves, and where it is."""
    name = f"old_{uuid4().hex[:8]}"
    await migrations.provision(
        postgres.admin_url, "audit", owner_password=testing.OWNER_PASSWORD, app_password=testing.APP_PASSWORD,
        database=name,
    )
    url = postgres.url("audit_owner", testing.OWNER_PASSWORD, name)
    await migrations.upgrade(url, app.SERVICE.migrations, to="0005")
    owner = await asyncpg.connect(
        host="127.0.0.1", port=postgres.port, user="audit_owner", password=testing.OWNER_PASSWORD, database=name
    )
    await owner.execute("ALTER TABLE events NO FORCE ROW LEVEL SECURITY")
    await owner.execute("SELECT audit_make_day($1)", WRITTEN.date())
    try:
        yield owner, url
    finally:
        await owner.close()


def events() -> list[Leaf]:
    """One that has everything, and one that has nothing."""
    full = Leaf(
        7, 3, str(uuid4()), str(uuid4()), str(uuid4()), microseconds(WRITTEN), "identity:session:create", False,
        str(uuid4()), str(uuid4()), str(uuid4()), str(uuid4()), b"\x01\xff", microseconds(WRITTEN) + 5, "user",
        factor="totp", request_id="é\"", changed_fields=("a", "b"), origin=b"sealed",
    )
    bare = Leaf(
        8, 1, str(uuid4()), "", "", microseconds(WRITTEN), "audit:log:begin", True, "", "", "", "", b"",
        microseconds(WRITTEN), "system", actor_name="audit",
    )
    return [full, bare]


async def insert(owner: asyncpg.Connection, made: Leaf, content: bytes) -> None:
    ids = [UUID(text) if text else None for text in (
        made.org_id, made.store_id, made.actor_id, made.subject_id, made.concerned_id, made.session_id,
    )]
    await owner.execute(
        f"INSERT INTO events_{WRITTEN:%Y%m%d} (occurred_at, seq, org_seq, org_id, store_id, actor_id, subject_id,"
        " concerned_id, session_id, ip_index, success, action, leaf)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        WRITTEN, made.seq, made.org_seq, *ids, made.ip_index or None, made.success, made.action, content,
    )


async def test_old_leaves_are_spelled_from_their_rows(postgres: testing.Postgres) -> None:
    async with old_log(postgres) as (owner, url):
        wanted = {}
        for made in events():
            wanted[made.seq] = leaf.write(made)
            await insert(owner, made, wanted[made.seq])
        await migrations.upgrade(url, app.SERVICE.migrations)
        found = await owner.fetch(f"SELECT seq, {LEAF_SQL} AS leaf FROM events_{WRITTEN:%Y%m%d}")
        assert {row["seq"]: row["leaf"] for row in found} == wanted
        with pytest.raises(asyncpg.RaiseError, match="written once"):
            await owner.execute(f"UPDATE events_{WRITTEN:%Y%m%d} SET rest = ''")


async def test_a_leaf_that_is_not_what_its_row_says_stops_the_migration(postgres: testing.Postgres) -> None:
    async with old_log(postgres) as (owner, url):
        [made, _] = events()
        content = leaf.write(made)
        await insert(owner, made._replace(org_seq=4), content)
        with pytest.raises(DBAPIError, match="verify the log first"):
            await migrations.upgrade(url, app.SERVICE.migrations)
        assert await owner.fetchval(f"SELECT leaf FROM events_{WRITTEN:%Y%m%d}") == content

