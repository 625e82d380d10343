"""`make bench NAME=...`: run one benchmark, or with no name all of them on one stack."""

import asyncio
import importlib
import sys

from bench.stack import running_stack

ON_THE_STACK = ("idle", "events", "gateway", "identity")
ALONE = ("broker", "audit", "summary")


async def _all() -> bool:
    results = []
    async with running_stack() as stack:
        for name in ON_THE_STACK:
            results.append(await importlib.import_module(f"bench.{name}").measure(stack))
    for name in ALONE:
        results.append(await importlib.import_module(f"bench.{name}").main())
    return all(results)


async def _one(name: str) -> bool:
    done: bool = await importlib.import_module(f"bench.{name}").main()
    return done


if __name__ == "__main__":
    names = sys.argv[1:]
    known = (*ON_THE_STACK, *ALONE)
    if names and names[0] not in known:
        sys.exit(f"no benchmark {names[0]}; there are: {', '.join(known)}")
    sys.exit(0 if asyncio.run(_one(names[0]) if names else _all()) else 1)
