"""Whoever writes the log may die, be cut off or fall asleep at any moment: the next one goes on where it was."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from lotpro_audit.sequencer.service import NotLeading
from lotpro_audit.tree.repository import LEADER_LOCK
from lotpro_audit.tree.service import Deposed
from lotpro_kit import testing
from services.audit.tests.verification import leader
from services.audit.tests.verification.conftest import Own, Owner, act

#: Requirement: somebody else writes within this many seconds.
TAKEOVER_SECONDS = 5.0
ROUNDS = 10
#: A process needs a while to begin on a busy machine.
START_SECONDS = 60.0


class Leader:
    """A process that writes the log when it is its turn."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._said: dict[str, int] = defaultdict(int)
        self._more = asyncio.Event()

    def hear(self, event: str) -> None:
        self._said[event] += 1
        self._more.set()

    def count(self, event: str) -> int:
        return self._said[event]

    async def says(self, event: str, *, times: int = 1, within: float = START_SECONDS) -> None:
        """Wait until it has said something so many times."""
        async with asyncio.timeout(within):
            while self._said[event] < times:
                self._more.clear()
                await self._more.wait()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)


class Nursery:
    """The process whose children write logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._leaders: dict[int, Leader] = {}
        self._started: asyncio.Queue[Leader] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    def _of(self, pid: int) -> Leader:
        return self._leaders.setdefault(pid, Leader(pid))

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if said["event"] == "started":
                self._started.put_nowait(self._of(said["child"]))
            else:
                self._of(said["pid"]).hear(said["event"])

    async def start(self, told: str) -> Leader:
        """One more, in these surroundings."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{told}\n".encode())
        async with asyncio.timeout(START_SECONDS):
            return await self._started.get()

    async def end(self) -> None:
        """It ends when it is told nothing more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading


@pytest.fixture(scope="module")
async def nursery(state: Path) -> AsyncIterator[Nursery]:
    """One for all tests here."""
    log = state / f"leaders-{uuid4().hex}.log"
    with log.open("w") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", leader.__name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=errors, cwd=Path(__file__).parents[4],
        )
    begun = Nursery(process)
    yield begun
    await begun.end()
    assert "Traceback" not in log.read_text()


@dataclass
class Leaders:
    """Starts processes that write this test's log."""

    nursery: Nursery
    told: str
    started: list[Leader] = field(default_factory=list)

    async def start(self) -> Leader:
        self.started.append(await self.nursery.start(self.told))
        return self.started[-1]


@pytest.fixture
async def leaders(
    own: Own, nursery: Nursery, signer: testing.Signer, storage: testing.Storage, tmp_path: Path
) -> AsyncIterator[Leaders]:
    """None at first; those that are left are killed."""
    (tmp_path / "settled").touch()
    told = json.dumps({
        "database_url": own.database.url.render_as_string(), "password": testing.APP_PASSWORD,
        "blob_url": storage.url, "ca_bundle": storage.ca_bundle, "folder": f"{uuid4().hex}/",
        "storage_token": signer.service_token("audit", audience="https://storage.azure.com"),
        "checkpoint_key": testing.AUDIT_CHECKPOINT_KEY, "key_encryption_key": testing.KEY_ENCRYPTION_KEY,
        "blind_index_key": testing.BLIND_INDEX_KEY, "settled": str(tmp_path / "settled"), "org_id": str(uuid4()),
    })
    begun = Leaders(nursery, told)
    yield begun
    for each in begun.started:
        each.kill()


async def settled(tmp_path: Path) -> set[int]:
    return {int(line) for line in (tmp_path / "settled").read_text().split()}


async def is_whole(own: Own, owner: Owner, tmp_path: Path, *, before: int) -> None:
    """Every event that was delivered is in the log once, nothing else is, and all of it verifies."""
    await testing.eventually(lambda: nobody_leads(own))
    numbers = await settled(tmp_path)
    delivered = {event_id for number in numbers for event_id in leader.event_ids(number)}
    written = {row[0] for row in await owner.rows("SELECT event_id FROM claims")}
    assert delivered <= written
    size = await owner.ask("SELECT size FROM tree")
    # The batch that was being written when the last one died may be in the log and not settled.
    assert size - before in (len(delivered), len(delivered) + leader.BATCH)
    assert await owner.ask("SELECT count(DISTINCT seq) FROM events WHERE seq >= $1", before) == size - before
    assert await owner.ask("SELECT count(*) FROM claims WHERE seq >= $1", before) == size - before
    report = await own.verify()
    assert report.damages.told == []


async def test_a_leader_that_is_killed_in_the_middle_is_followed_without_gap_or_repetition(
    own: Own, owner: Owner, leaders: Leaders, tmp_path: Path
) -> None:
    chance = random.Random(4)
    before = await owner.ask("SELECT size FROM tree")
    leading = await leaders.start()
    longest = 0.0
    for _ in range(ROUNDS):
        await leading.says("settled", times=2)
        waiting = await leaders.start()
        await testing.eventually(lambda: somebody_waits(own))
        await asyncio.sleep(chance.random() * 0.05)
        assert not waiting.count("leading")
        leading.send(signal.SIGKILL)
        killed = time.monotonic()
        await waiting.says("leading", within=TAKEOVER_SECONDS)
        longest = max(longest, time.monotonic() - killed)
        leading = waiting
    await leading.says("settled")
    leading.kill()
    assert longest < TAKEOVER_SECONDS
    await is_whole(own, owner, tmp_path, before=before)


async def backends(own: Own, *, that_lead: bool) -> list[int]:
    """The backends that hold the leader's lock on this database, or those that wait for it."""
    admin = await admin_of(own)
    rows = await admin.fetch(
        "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = $1"
        " AND l.locktype = 'advisory' AND l.granted = $3 AND (l.classid::bigint << 32 | l.objid::bigint) = $2",
        own.name, LEADER_LOCK, that_lead,
    )
    await admin.close()
    return [row["pid"] for row in rows]


async def nobody_leads(own: Own) -> bool:
    return not await backends(own, that_lead=True)


async def somebody_waits(own: Own) -> list[int]:
    return await backends(own, that_lead=False)


async def admin_of(own: Own) -> Any:
    return await asyncpg.connect(
        host="127.0.0.1", port=own.postgres.port, user="lotpro_admin", password=own.postgres.password,
        database="postgres",
    )


async def cut_off(own: Own) -> None:
    """End the leader's connection, as PostgreSQL ends that of a machine that fell silent."""
    [pid] = await backends(own, that_lead=True)
    admin = await admin_of(own)
    await admin.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await admin.close()


async def test_a_leader_that_is_cut_off_is_followed_by_itself_or_by_another(
    own: Own, owner: Owner, leaders: Leaders, tmp_path: Path
) -> None:
    before = await owner.ask("SELECT size FROM tree")
    leading = await leaders.start()
    for times in range(1, 4):
        await leading.says("settled", times=2 * times)
        await cut_off(own)
        await leading.says("lost", times=times, within=TAKEOVER_SECONDS)
        await leading.says("leading", times=times + 1, within=TAKEOVER_SECONDS)
    leading.kill()
    await is_whole(own, owner, tmp_path, before=before)


async def test_a_leader_that_slept_while_another_one_began_writes_nothing_when_it_wakes(
    own: Own, owner: Owner, leaders: Leaders, tmp_path: Path
) -> None:
    before = await owner.ask("SELECT size FROM tree")
    asleep = await leaders.start()
    await asleep.says("settled", times=2)
    other = await leaders.start()
    await testing.eventually(lambda: somebody_waits(own))
    asleep.send(signal.SIGSTOP)
    try:
        assert not other.count("leading")
        await cut_off(own)
        await other.says("settled", times=2, within=TAKEOVER_SECONDS)
        assert len(await backends(own, that_lead=True)) == 1
        said = asleep.count("settled")
    finally:
        asleep.send(signal.SIGCONT)
    await asleep.says("lost")
    # It may have been about to say that what it had written before it fell asleep is settled.
    assert asleep.count("settled") <= said + 1
    assert asleep.count("leading") == 1
    await other.says("settled", times=other.count("settled") + 3)
    assert asleep.count("leading") == 1
    other.kill()
    await asleep.says("leading", times=2, within=TAKEOVER_SECONDS)
    asleep.kill()
    await is_whole(own, owner, tmp_path, before=before)


async def test_two_never_lead_at_once(own: Own) -> None:
    first, second = own.sequencer, own.sequencer
    async with first.lead():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), second.lead():
                pytest.fail("there are two leaders")
        await first.append([act(own.ports.clock())])


async def test_a_leader_whose_time_is_over_writes_nothing_though_its_connection_lives(own: Own, owner: Owner) -> None:
    """Were the lock ever lost and the connection not, the tree itself knows who began last."""
    deposed = own.sequencer
    async with deposed.lead():
        await owner.do("UPDATE tree SET epoch = epoch + 1")
        size = await owner.ask("SELECT size FROM tree")
        with pytest.raises(Deposed):
            await deposed.append([act(own.ports.clock())])
        assert await owner.ask("SELECT size FROM tree") == size
        assert await owner.ask("SELECT count(*) FROM events WHERE seq >= $1", size) == 0
    assert (await own.verify()).damages.told == []


async def test_batches_that_are_prepared_ahead_know_of_each_other(own: Own, owner: Owner) -> None:
    """The same events come in several batches at once: each has one place, whoever asks."""
    acts = [act(own.ports.clock()) for _ in range(60)]
    batches = [acts[first : first + 20] + acts[:5] for first in range(0, 60, 10)]
    sequencer = own.sequencer
    before = await owner.ask("SELECT size FROM tree")
    async with sequencer.lead():
        answers = await asyncio.gather(*(sequencer.append(some) for some in batches))
    places = {
        (event.id, written.seq)
        for some, of_some in zip(batches, answers, strict=True)
        for event, written in zip(some, of_some, strict=True)
    }
    assert sorted(seq for _, seq in places) == list(range(before, before + 60))
    assert (await own.verify()).damages.told == []


async def test_what_was_prepared_ahead_falls_with_what_it_was_to_come_after(own: Own, owner: Owner) -> None:
    deposed = own.sequencer
    size = await owner.ask("SELECT size FROM tree")
    async with deposed.lead():
        await owner.do("UPDATE tree SET epoch = epoch + 1")
        fates = await asyncio.gather(
            *(deposed.append([act(own.ports.clock())]) for _ in range(3)), return_exceptions=True
        )
        assert [type(fate) for fate in fates] == [Deposed, NotLeading, NotLeading]
    assert await owner.ask("SELECT size FROM tree") == size
    assert (await own.verify()).damages.told == []
