"""A log of its own that a test may spoil, in a database that is copied from one with half a year in it."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from secrets import token_bytes
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from lotpro_audit import app
from lotpro_audit.events import jobs as events_jobs
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.holds.models import HOLDS
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer.service import Sequencer
from lotpro_audit.settings import Settings
from lotpro_audit.tree import domain, notes
from lotpro_audit.tree import jobs as tree_jobs
from lotpro_audit.tree import service as tree_service
from lotpro_audit.tree.anchors import Anchors
from lotpro_audit.tree.notes import Checkpoint, SigningKey
from lotpro_audit.verification import service
from lotpro_kit import ids, migrations, testing
from lotpro_kit import service as kit
from lotpro_kit.caller import Origin, system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Run

OURS, THEIRS = uuid4(), uuid4()
#: Events of each batch, and batches of each day: enough for a second level of tiles.
BATCH, BATCHES = 40, 6
ORIGIN = Origin(ip="203.0.113.9", user_agent="Firefox/150")


def act(at: datetime, org_id: UUID | None = OURS) -> SecurityEvent:
    """Something that happened."""
    return SecurityEvent(
        id=ids.new(), occurred_at=at, action="inventory:vehicle:sell", success=True, actor_kind="user",
        actor_id=str(uuid4()), org_id=str(org_id or ""), store_id=str(uuid4()) if org_id else "", origin=ORIGIN,
    )


@dataclass
class Own:
    """A log in a database of its own."""

    name: str
    runtime: kit.Runtime[Settings]
    ports: Ports
    postgres: testing.Postgres
    #: A checkpoint that somebody took away when the log was half as long, and one from the end.
    held: str = ""
    last: str = ""

    @property
    def database(self) -> Database:
        return self.runtime.database

    @property
    def sequencer(self) -> Sequencer:
        return Sequencer(self.database, self.ports)

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[Sequencer]:
        """Somebody writes the log, what comes by gRPC too."""
        sequencer = self.sequencer
        async with sequencer.lead(), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(sequencer.follow_intake())
            yield sequencer
            following.cancel()

    async def grow(self, at: datetime, *, batches: int = BATCHES) -> None:
        """Add events of a day, to several organisations and to none, in several batches."""
        sequencer = self.sequencer
        clock = self.ports.clock
        assert isinstance(clock, testing.Clock)
        async with sequencer.lead():
            for _ in range(batches):
                clock.advance(timedelta(milliseconds=200))
                organisations = (OURS, OURS, THEIRS, None)
                await sequencer.append(
                    [act(at + timedelta(seconds=n), organisations[n % 4]) for n in range(BATCH)]
                )

    async def note(self) -> str:
        """The newest checkpoint."""
        async with self.database.begin(system()) as session:
            note: str = (await tree_service.newest_checkpoint(session)).note
            return note

    async def verify(self, *, anchored: bool = True) -> service.Report:
        """What the daily verification finds; without anchors it sees the database alone."""
        log = self if anchored else self.unanchored()
        return await service.verify_log(self.database, log.ports, as_of=self.ports.clock())

    def unanchored(self) -> "Own":
        """The same log for somebody who knows of no anchors."""
        return replace(self, ports=replace(self.ports, anchors=self.anchors_in(uuid4().hex)))

    def anchors_in(self, folder: str) -> Anchors:
        """Anchors in a folder of the container."""
        return Anchors(self.runtime.blobs(self.runtime.settings.blob_url), folder=f"{folder}/")

    async def shows_growth_from(self, note: str) -> bool:
        """Whether somebody who holds an old checkpoint, and nothing else, is shown that the log grew from it."""
        key = self.ports.checkpoint_key().verifier
        old = notes.open(note, key)
        async with self.database.begin(system()) as session:
            try:
                new = notes.open((await tree_service.newest_checkpoint(session)).note, key)
                path = await tree_service.consistency_proof(session, old=old.size, new=new.size)
            except (notes.NoteRefused, tree_service.CheckpointUnknown):
                return False
        return domain.proves_consistency(old.size, old.root, new.size, new.root, path)


class Owner:
    """The database's owner, who can switch off what stands in the way."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def do(self, sql: str, *arguments: object) -> None:
        await self._connection.execute(sql, *arguments)

    async def ask(self, sql: str, *arguments: object) -> Any:
        return await self._connection.fetchval(sql, *arguments)

    async def rows(self, sql: str, *arguments: object) -> list[Any]:
        found: list[Any] = await self._connection.fetch(sql, *arguments)
        return found

    async def leaf_hashes(self) -> list[bytes]:
        """The hashes of all leaves, as the tiles have them."""
        tiles = await self.rows("SELECT hashes FROM tiles WHERE level = 0 ORDER BY index")
        return domain.split(b"".join(row[0] for row in tiles))

    async def rewrite_tree(self, hashes: Sequence[bytes]) -> Checkpoint:
        """Have the tree's tiles and its state say that these are its leaves; answers what should be signed."""
        await self.do("DELETE FROM tiles")
        for place, content in domain.grow_tiles(0, hashes, {}).items():
            await self.do("INSERT INTO tiles VALUES ($1, $2, $3)", place.level, place.index, content)
        frontier = domain.Frontier()
        for hashed in hashes:
            frontier.append(hashed)
        await self.do("UPDATE tree SET size = $1, frontier = $2", frontier.size, frontier.spelled())
        return Checkpoint(notes.ORIGIN, frontier.size, frontier.root())

    async def cut_to(self, size: int) -> None:
        """Roll everything back to a size, as if nothing had ever come after it."""
        hashes = (await self.leaf_hashes())[:size]
        for table in ("events", "claims", "held_events", "expiries", "erasures"):
            await self.do(f"DELETE FROM {table} WHERE seq >= $1", size)
        await self.do("DELETE FROM checkpoints WHERE size > $1", size)
        await self.rewrite_tree(hashes)
        await self.do(
            "UPDATE org_heads h SET last = coalesce((SELECT max(org_seq) FROM (SELECT org_id, org_seq FROM events"
            " UNION ALL SELECT org_id, org_seq FROM held_events) e"
            " WHERE coalesce(e.org_id, '00000000-0000-0000-0000-000000000000') = h.org_id), 0)"
        )


@asynccontextmanager
async def owner_of(own: Own) -> AsyncIterator[Owner]:
    """The owner, with all triggers off and row-level security out of the way."""
    connection = await asyncpg.connect(
        host="127.0.0.1", port=own.postgres.port, user="audit_owner", password=testing.OWNER_PASSWORD,
        database=own.name,
    )
    owner = Owner(connection)
    tables = await owner.rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    for row in tables:
        await owner.do(f"ALTER TABLE {row[0]} DISABLE TRIGGER USER")
        await owner.do(f"ALTER TABLE {row[0]} NO FORCE ROW LEVEL SECURITY")
    try:
        yield owner
    finally:
        await connection.close()


@asynccontextmanager
async def opened(
    name: str, postgres: testing.Postgres, signer: testing.Signer, storage: testing.Storage, *, folder: str,
    clock: testing.Clock,
) -> AsyncIterator[Own]:
    """The service on a database, with anchors in a folder."""
    runtime = await testing.open_runtime(
        app.SERVICE, postgres, signer, clock=clock, database_name=name, sealing_key=testing.AUDIT_SEALING_KEY,
        checkpoint_key=testing.AUDIT_CHECKPOINT_KEY, blob_url=storage.url, ca_bundle=storage.ca_bundle,
    )
    anchors = Anchors(runtime.blobs(storage.url), folder=f"{folder}/")
    try:
        yield Own(name, runtime, replace(app.ports(runtime), anchors=anchors), postgres)
    finally:
        await runtime.close()


@dataclass(frozen=True)
class Original:
    """Names of databases: the log, and a backup of it from the time when it was half as long."""

    name: str
    backup: str
    held: str
    last: str
    now: datetime


@pytest.fixture(scope="session")
async def original(
    postgres: testing.Postgres, signer: testing.Signer, storage: testing.Storage
) -> Original:
    """A log with a day that expired and a hold on part of it, anchored on its way; nobody may write it."""
    name = f"audit_{uuid4().hex[:8]}"
    await migrations.provision(
        postgres.admin_url, "audit", owner_password=testing.OWNER_PASSWORD, app_password=testing.APP_PASSWORD,
        database=name,
    )
    await migrations.upgrade(postgres.url("audit_owner", testing.OWNER_PASSWORD, name), app.SERVICE.migrations)
    now = datetime.now(UTC)
    old = datetime.combine(now.date() - timedelta(days=182), time(9), UTC)
    clock = testing.Clock(old + timedelta(hours=1))
    async with opened(name, postgres, signer, storage, folder=name, clock=clock) as own:
        await own.grow(old)
        clock.now = now - timedelta(days=1)
        await own.grow(clock.now - timedelta(hours=1), batches=BATCHES // 2)
        await tree_jobs.anchor(own.database, own.ports)
        await own.grow(clock.now - timedelta(hours=1), batches=BATCHES // 2)
        async with own.database.begin(system(OURS)) as session:
            await session.execute(
                HOLDS.insert().values(
                    id=uuid4(), org_id=OURS, reason="a claim", authority="a court", placed_by=uuid4(), placed_at=now,
                    first_day=old.date(), days_gone=0, version=1,
                )
            )
        clock.now = now
        async with own.leading():
            await events_jobs.expire_events(own.database, own.ports).work(Run(as_of=now))
        await tree_jobs.anchor(own.database, own.ports)
        held = await own.note()
        await own.database.close()
        await copy(postgres, name, backup := f"{name}_backup")
        await own.grow(now)
        await own.grow(now - timedelta(hours=25), batches=1)
        await tree_jobs.anchor(own.database, own.ports)
        last = await own.note()
    return Original(name, backup, held, last, clock.now)


async def copy(postgres: testing.Postgres, name: str, to: str) -> None:
    """Copy a database to which nobody is connected."""
    admin = await asyncpg.connect(
        host="127.0.0.1", port=postgres.port, user="lotpro_admin", password=postgres.password, database="postgres"
    )
    await admin.execute(f'CREATE DATABASE "{to}" TEMPLATE "{name}" OWNER audit_owner')
    await admin.close()


@asynccontextmanager
async def copied(
    original: Original, name: str, postgres: testing.Postgres, signer: testing.Signer, storage: testing.Storage
) -> AsyncIterator[Own]:
    """A copy of one of the original's databases, whose anchors are the original's."""
    own_name = f"audit_{uuid4().hex[:8]}"
    await copy(postgres, name, own_name)
    clock = testing.Clock(original.now + timedelta(seconds=1))
    async with opened(own_name, postgres, signer, storage, folder=original.name, clock=clock) as own:
        own.held, own.last = original.held, original.last
        yield own


@pytest.fixture
async def own(
    original: Original, postgres: testing.Postgres, signer: testing.Signer, storage: testing.Storage
) -> AsyncIterator[Own]:
    """A copy of the log, as it is."""
    async with copied(original, original.name, postgres, signer, storage) as log:
        yield log


@pytest.fixture
async def owner(own: Own) -> AsyncIterator[Owner]:
    """The owner of its database."""
    async with owner_of(own) as opened_owner:
        yield opened_owner


@pytest.fixture
async def restored(
    original: Original, postgres: testing.Postgres, signer: testing.Signer, storage: testing.Storage
) -> AsyncIterator[Own]:
    """The log as it was restored from its backup."""
    async with copied(original, original.backup, postgres, signer, storage) as log:
        yield log


def foreign_key() -> SigningKey:
    """Somebody else's key, of the same name."""
    return SigningKey(b64encode(token_bytes(32)).decode())
