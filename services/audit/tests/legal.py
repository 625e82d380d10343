"""What tests of legal holds do: place and release them, expire days, read what is kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from typing import Any

import httpx
from sqlalchemy import text

from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.db import Database, Session
from lotpro_kit.jobs import Counts, Run
from services.audit.tests.conftest import Log

HOLDS = "/api/audit/v1/holds"


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def jobs(log: Log) -> dict[str, Any]:
    return {job.name: job.work for job in log.parts.jobs}


async def expire(log: Log) -> Counts:
    counts: Counts = await jobs(log)["expire-events"](Run(as_of=log.clock()))
    assert counts["failed"] == 0
    return counts


async def release_held(log: Log, *, dry_run: bool = False) -> Counts:
    counts: Counts = await jobs(log)["release-held"](Run(as_of=log.clock(), dry_run=dry_run))
    return counts


async def place(client: httpx.AsyncClient, **scope: str | None) -> tuple[dict[str, Any], str]:
    """A hold and its ETag."""
    body = {"reason": "Preservation letter of 2 November", "authority": "District Court", **scope}
    answer = await client.post(HOLDS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json(), answer.headers["etag"]


async def release(client: httpx.AsyncClient, hold_id: str, etag: str) -> dict[str, Any]:
    answer = await client.post(f"{HOLDS}/{hold_id}:release", headers={"if-match": etag})
    assert answer.status_code == 200, answer.text
    hold: dict[str, Any] = answer.json()
    return hold


async def held(client: httpx.AsyncClient, hold_id: str, *, limit: int = 200) -> list[dict[str, Any]]:
    """Everything that a hold keeps, page by page."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        answer = await client.get(f"{HOLDS}/{hold_id}/events", params=query)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return items


@asynccontextmanager
async def retention(log: Log) -> AsyncIterator[Session]:
    async with log.runtime.database.begin(system(scope="retention")) as session:
        yield session


async def as_owner(log: Log, statement: Any, *, scope: str = "") -> None:
    owner = Database(log.postgres.url("audit_owner", None, "audit"), password=testing.OWNER_PASSWORD, pool_size=1)
    try:
        async with owner.begin(system(log.org_id, scope=scope)) as session:
            await session.execute(statement)
    finally:
        await owner.close()


async def as_superuser(log: Log, statement: str) -> None:
    """Past every trigger, to make old what cannot be aged."""
    url = log.postgres.admin_url.set(database=log.runtime.database.url.database)
    admin = Database(url, password=log.postgres.password, pool_size=1)
    async with admin.begin(system()) as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text(statement))
    await admin.close()
