"""Audit on this test process's database, and acts to log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from lotpro.security.v1 import events_pb2
from lotpro_audit import app
from lotpro_audit.events import domain
from lotpro_audit.settings import Settings
from lotpro_kit import bus, crypto, ids, service, testing
from lotpro_kit.caller import Origin

EVENTS = "/api/audit/v1/events"
OLD_DAYS = count(2)


@dataclass
class Log:
    """The service with an organisation whose acts are logged."""

    runtime: service.Runtime[Settings]
    parts: service.Parts
    signer: testing.Signer
    postgres: testing.Postgres
    clock: testing.Clock
    org_id: UUID = field(default_factory=uuid4)
    store_id: UUID = field(default_factory=uuid4)
    actor_id: UUID = field(default_factory=uuid4)

    def act(self, action: str = "inventory:vehicle:sell", *, at: datetime | None = None, **more: Any) -> Any:
        occurred = Timestamp()
        occurred.FromDatetime(at or self.runtime.clock())
        origin = Origin(ip="203.0.113.9", user_agent="Firefox/150")
        values: dict[str, Any] = {
            "action": action, "outcome": events_pb2.OUTCOME_SUCCESS, "occurred_time": occurred, "actor_kind": "user",
            "actor_id": str(self.actor_id), "org_id": str(self.org_id), "store_id": str(self.store_id),
            "sealed_origin": crypto.seal_origin(origin, self.runtime.settings.audit_sealing_public_key),
        }
        return events_pb2.SecurityEvent(**(values | more))

    async def take(self, event: Any, *, event_id: UUID | None = None) -> UUID:
        """Handle an event as the subscription does; raises Unreadable for one that goes to the dead letters."""
        [refused], [taken] = await self.take_all(event, event_ids=[event_id or ids.new()])
        if refused is not None:
            raise refused
        return taken

    async def take_at(self, at: datetime, event: Any) -> UUID:
        """Handle an event as it was handled at another moment."""
        now, self.clock.now = self.clock.now, at
        try:
            return await self.take(event)
        finally:
            self.clock.now = now

    def old_day(self) -> date:
        """A day that is over and that no other test of this process has: a day goes once."""
        return domain.oldest_day(self.clock()) - timedelta(days=next(OLD_DAYS))

    async def take_all(
        self, *events: Any, event_ids: list[UUID] | None = None
    ) -> tuple[list[bus.Unreadable | None], list[UUID]]:
        """Handle events as the subscription does, in one go; what became of each, and the ids."""
        named = event_ids or [ids.new() for _ in events]
        arrived = [
            (event, bus.Delivery(event_id, "", "lotpro/test", self.runtime.clock(), 1))
            for event, event_id in zip(events, named, strict=True)
        ]
        return list(await self.consumer.handle(arrived)), named

    @property
    def consumer(self) -> bus.BurstConsumer:
        [consumer] = [one for one in self.parts.consumers if isinstance(one, bus.BurstConsumer)]
        return consumer

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """This process writes the log, as a worker does while it runs."""
        begun, over = asyncio.Event(), asyncio.Event()

        async def lead() -> None:
            async with self.consumer.turn():
                begun.set()
                await over.wait()

        leader = asyncio.create_task(lead())
        beginning = asyncio.create_task(begun.wait())
        await asyncio.wait({leader, beginning}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield
        finally:
            beginning.cancel()
            over.set()
            await leader

    def client(
        self, *roles: str, org_id: UUID | None = None, store_id: UUID | None = None, **claims: Any
    ) -> httpx.AsyncClient:
        """Somebody with roles in the whole organisation, or in one store, who gave a second factor just now."""
        where = str(store_id) if store_id else "*"
        told = {"auth_time": int(self.clock().timestamp())} | claims
        token = self.signer.user_token(
            user_id=uuid4(), org_id=org_id or self.org_id, roles={where: list(roles)}, **told
        )
        return testing.client(app.SERVICE, self.runtime, self.parts, token)

    async def page(self, client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
        answer = await client.get(EVENTS, params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


@asynccontextmanager
async def opened(postgres: testing.Postgres, signer: testing.Signer, **overrides: Any) -> AsyncIterator[Log]:
    """The service on a server's database, written by nobody yet."""
    clock = testing.Clock()
    runtime = await testing.open_runtime(
        app.SERVICE, postgres, signer, clock=clock, sealing_key=testing.AUDIT_SEALING_KEY,
        checkpoint_key=testing.AUDIT_CHECKPOINT_KEY, **overrides,
    )
    try:
        yield Log(runtime, app.wire(runtime), signer, postgres, clock)
    finally:
        await runtime.close()


@pytest.fixture(scope="session")
async def deployed(
    postgres: testing.Postgres, signer: testing.Signer, storage: testing.Storage
) -> AsyncIterator[Log]:
    async with opened(postgres, signer, blob_url=storage.url, ca_bundle=storage.ca_bundle) as one:
        yield one


@pytest.fixture
def unled(deployed: Log) -> Log:
    """Another organisation's log at this moment, in a process that does not write it."""
    deployed.clock.now = testing.Clock().now
    return replace(
        deployed, runtime=replace(deployed.runtime), org_id=uuid4(), store_id=uuid4(), actor_id=uuid4()
    )


@pytest.fixture
async def log(unled: Log) -> AsyncIterator[Log]:
    """The same in a process that writes the log."""
    async with unled.leading():
        yield unled


@pytest.fixture
async def log_alone(postgres: testing.Postgres, signer: testing.Signer) -> AsyncIterator[Log]:
    """The same on a database of its own, in which nobody else's days are."""
    beside = await postgres.beside(app.SERVICE, f"audit_{uuid4().hex[:8]}")
    # Its anchors would be those of the process's other log: storage is away, which stops no log.
    async with opened(beside, signer, blob_url="https://localhost:1/blob") as alone, alone.leading():
        yield alone
