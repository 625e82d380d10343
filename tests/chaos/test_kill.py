"""The main job while each process in turn is killed: everything goes down together, and nothing is lost or doubled."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from gateway.render import SERVICES
from tests.e2e import flow
from tests.e2e.stack import Stack, fresh_state, start

#: Which process is killed right after which step was answered, while what it caused is still on its way.
KILLED_AFTER: dict[flow.Step, tuple[str, ...]] = {
    flow.sign_up: ("identity", "notifications"),
    flow.confirm_email: ("gateway",),
    flow.enrol_totp: ("servicebus",),
    flow.sign_in: ("billing",),
    flow.add_vehicle: ("postgres",),
    flow.invite_salesperson: ("providers",),
    flow.sell_vehicle: ("inventory", "audit"),
    flow.customer_asks_for_data: ("privacy",),
}
#: A message that was held by whoever was killed comes again when its lock ends, after a minute.
PATIENCE_SECONDS = 120


class Life:
    """A state that outlives its stacks."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.stack = start(state)

    def kill(self, name: str) -> None:
        """SIGKILL one process; the rest must follow with one sentence, and nothing may be left."""
        everyone = [psutil.Process(pid) for pid in self.stack.pids.values()]
        everyone += [child for process in everyone for child in process.children(recursive=True)]
        os.kill(self.stack.pids[name], signal.SIGKILL)
        assert self.stack.ended() == 1
        sentence = self.stack.said().strip().splitlines()[-1]
        expected = f"{name.capitalize()} stopped by itself (SIGKILL); its log is "
        assert sentence.startswith(expected), sentence
        assert [process for process in set(everyone) if alive(process)] == []

    def restart(self, story: flow.Story) -> None:
        """Bring it up again; clients go on where they were, at the new addresses."""
        self.stack = start(self.state)
        story.move(self.stack.gateway, self.stack.addresses["providers"])


def alive(process: psutil.Process) -> bool:
    """Running, and not a corpse that nobody has collected."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def survived() -> Iterator[tuple[Stack, flow.Story]]:
    """The whole main job, with every process killed once on the way."""
    with fresh_state() as state:
        life = Life(state)
        story = flow.begin(life.stack.gateway, life.stack.addresses["providers"])
        story.patience = PATIENCE_SECONDS
        try:
            for step in flow.STEPS:
                step(story)
                for name in KILLED_AFTER.get(step, ()):
                    life.kill(name)
                    life.restart(story)
            yield life.stack, story
        finally:
            story.close()
            life.stack.stop()


def test_every_process_was_killed_once(survived: tuple[Stack, flow.Story]) -> None:
    stack, _ = survived
    killed = Counter(name for names in KILLED_AFTER.values() for name in names)
    assert killed == Counter(name for name in stack.pids if name != "supervisor")


def test_no_event_was_lost(survived: tuple[Stack, flow.Story]) -> None:
    """Every outbox runs empty, no subscription holds a dead letter, and the log tells the whole story."""
    stack, story = survived
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := asyncio.run(rows_of(stack, "outbox")):
        assert time.monotonic() < deadline, f"still in the outboxes: {left}"
        time.sleep(0.2)
    actions = Counter(event["action"] for event in story.owner.ask("GET", "/api/audit/v1/events?limit=200")["items"])
    once = (
        "identity:account:sign_up", "identity:email:confirm", "identity:member:invite", "identity:member:join",
        "inventory:vehicle:add", "inventory:vehicle:sell",
    )
    assert {action: actions[action] for action in once} == dict.fromkeys(once, 1)
    assert actions["identity:factor:enrol"] == 2


def test_nothing_was_handled_twice(survived: tuple[Stack, flow.Story]) -> None:
    """One mail and one SMS about the one sale, one code, one invitation, one subscription at Stripe."""
    _, story = survived
    mails = Counter(message.subject for message in story.inbox.messages(story.owner.email))
    assert set(mails.values()) == {1}, mails
    assert len(story.inbox.messages(story.owner.phone)) == 1
    assert len(story.inbox.messages(story.seller.email)) == 1


async def rows_of(stack: Stack, table: str) -> dict[str, int]:
    """How many rows stand in a table of each service that has any."""
    found = {}
    for service in SERVICES:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=stack.ports["postgres"], user=f"{service}_owner", database=service,
            password=stack.keys[f"{service}-migration-database-password"],
        )
        try:
            count = await connection.fetchval(f"SELECT count(*) FROM {table}")
        finally:
            await connection.close()
        if count:
            found[service] = count
    return found


def test_the_supervisor_can_be_killed_too() -> None:
    """Then nobody is left to tell, but nothing is left running either, and the state is free for the next start."""
    with fresh_state() as state:
        stack = start(state)
        everyone = [psutil.Process(pid) for pid in stack.pids.values()]
        stack.process.kill()
        stack.process.wait(10)
        deadline = time.monotonic() + 15
        while left := [process.name() for process in everyone if alive(process)]:
            assert time.monotonic() < deadline, f"left running: {left}"
            time.sleep(0.05)
        again = start(state)
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{again.gateway}/healthz").status_code == 200
        assert again.stop() == 0
