"""Colleagues, jobs on any day, and a look at all that is stored of a person."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.jobs import Counts, Run
from services.identity.tests.conftest import Identity, Person


@dataclass
class Lives:
    """Identity, and what these tests ask of it."""

    identity: Identity

    async def job(self, name: str, as_of: datetime, *, dry_run: bool = False) -> Counts:
        job = next(job for job in self.identity.parts.jobs if job.name == name)
        return await job.work(Run(as_of=as_of, dry_run=dry_run))

    async def sql(self, statement: str, **values: object) -> list[Any]:
        async with self.identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
            result = await session.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    async def account(self, person: UUID) -> Any:
        [row] = await self.sql("SELECT * FROM accounts WHERE id = :id", id=person)
        return row

    async def events(self, person: UUID) -> list[tuple[str, dict[str, Any]]]:
        """The domain events about a person, oldest first: (name, body)."""
        found = await testing.events(self.identity.runtime.database, containing=str(person))
        return [
            (name.removeprefix("lotpro.identity.v1."), body) for name, body in found
            if name.startswith("lotpro.identity.v1.") and body.get("user_id") == str(person)
        ]

    async def names(self, person: UUID) -> list[str]:
        return [name for name, _ in await self.events(person)]

    async def close(self, person: Person) -> Any:
        return await self.identity.post("/accounts/me:close", {}, token=person.access_token)

    async def remove(self, caller: Person, user_id: UUID) -> Any:
        async with self.identity.client(caller.access_token) as client:
            return await client.delete(f"/api/identity/v1/members/{user_id}/account")

    async def sign_in(self, person: Person) -> Any:
        return await self.identity.post("/sessions", {"email": person.email, "password": person.password})

    async def refused_at_once(self, person: Person) -> None:
        async def refused() -> bool:
            answer = await self.identity.get("/sessions/current", token=person.access_token)
            return bool(answer.status_code == 401)

        await testing.eventually(refused, within=1)
        refreshed = await self.identity.post("/sessions:refresh", {"refresh_token": person.refresh_token})
        assert refreshed.status_code == 401

    async def stored(self) -> str:
        """Every row of every table but the outbox, as text."""
        tables = await self.sql(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename NOT IN ('outbox', 'inbox', 'idempotency_keys', 'alembic_version')"
        )
        dumps = await asyncio.gather(*(self.sql(f"SELECT t::text FROM {row[0]} t") for row in tables))
        return "\n".join(row[0] for rows in dumps for row in rows)


@pytest.fixture
def lives(identity: Identity) -> Lives:
    return Lives(identity)
