"""How long after its commit in one service an event's handling is committed in another, at 100 events a second."""

import asyncio
import json
import time
from uuid import UUID, uuid4

import asyncpg

from bench import figure
from bench.stack import Stack, handled_at, running_stack
from lotpro.security.v1 import events_pb2
from lotpro_kit import ids

RATE = 100
SECONDS = 20
#: A dealer group's worth of organisations at work at once.
ORGANISATIONS = [uuid4() for _ in range(25)]
_PUT = "INSERT INTO outbox (id, topic, type, body, traceparent) VALUES ($1, 'security-events', $2, $3, '')"


async def measure(stack: Stack) -> bool:
    """Print the figures; True when all meet their bars."""
    inventory = await stack.connect("inventory")
    audit = await stack.connect("audit")
    await _paced(inventory, seconds=2, commits=[])
    commits: list[float] = []
    committed = await _paced(inventory, seconds=SECONDS, commits=commits)
    handled = await handled_at(audit, set(committed))
    lost = len(committed) - len(handled)
    assert lost == 0, f"{lost} events were never handled"
    milliseconds = [(handled[event] - at) * 1000 for event, at in committed.items()]
    results = [
        figure.report(
            f"event_latency_{label}", figure.percentile(milliseconds, share), "ms", bar=bar, better="lower",
            samples=milliseconds, limit=2 * figure.percentile(commits, share),
            note="inventory's commit to audit's commit at 100/s; limit: two such commits",
        )
        for label, share, bar in (("p50", 0.5, 50), ("p99", 0.99, 250))
    ]
    await inventory.close()
    await audit.close()
    return all(results)


async def _paced(connection: asyncpg.Connection, *, seconds: int, commits: list[float]) -> dict[UUID, float]:
    """Commit events at RATE; answers each event's id with the time its commit was confirmed.

    `commits` takes the milliseconds that each transaction took.
    """
    committed: dict[UUID, float] = {}
    begun = time.perf_counter()
    name = events_pb2.SecurityEvent.DESCRIPTOR.full_name
    for number in range(RATE * seconds):
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        event = ids.new()
        body = json.dumps(
            {
                "action": "inventory:vehicle:add",
                "outcome": "OUTCOME_SUCCESS",
                "actor_kind": "system",
                "org_id": str(ORGANISATIONS[number % len(ORGANISATIONS)]),
                "occurred_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
        )
        started = time.perf_counter()
        async with connection.transaction():
            await connection.execute(_PUT, event, name, body)
            await connection.execute("SELECT pg_notify('outbox', '')")
        commits.append((time.perf_counter() - started) * 1000)
        committed[event] = time.time()
    return committed


async def main() -> bool:
    """Start a stack of its own and measure."""
    async with running_stack() as stack:
        return await measure(stack)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
