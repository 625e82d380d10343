"""A one-row read through Envoy with a JWT, against the bare service's health page in the same run."""

import asyncio

from bench import figure, load
from bench.stack import Stack, running_stack

CONNECTIONS = 16
SECONDS = 8.0


async def measure(stack: Stack) -> bool:
    """Print the figures; True when all meet their bars."""
    person = await stack.signed_up_owner()
    vehicle = await person.add_vehicle()
    path = f"{stack.gateway}/api/inventory/v1/vehicles/{vehicle}"
    headers = {"Authorization": f"Bearer {person.access_token}"}
    await load.closed_loop(path, headers, connections=4, seconds=1)
    limit = await load.closed_loop(f"{stack.inventory}/healthz", {}, connections=CONNECTIONS, seconds=3)
    got = await load.closed_loop(path, headers, connections=CONNECTIONS, seconds=SECONDS)
    assert got.wrong == 0, f"{got.wrong} answers were not 200"
    milliseconds = [seconds * 1000 for seconds in got.seconds]
    rate = figure.report(
        "gateway_read_rate", got.rate, "requests/s", bar=600, better="higher", samples=milliseconds, limit=limit.rate,
        note="p50..p99 in ms; limit: the service's /healthz without gateway, token or database",
    )
    tail = figure.report(
        "gateway_read_p95", figure.percentile(milliseconds, 0.95), "ms", bar=40, better="lower", samples=milliseconds
    )
    return rate and tail


async def main() -> bool:
    """Start a stack of its own and measure."""
    async with running_stack() as stack:
        return await measure(stack)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
