"""What the whole stack costs when nobody asks anything: memory (sum of PSS) and CPU (share of one core)."""

import asyncio
import time

import psutil

from bench import figure
from bench.stack import Stack, running_stack

SETTLE_SECONDS = 20
SECONDS = 30


async def measure(stack: Stack) -> bool:
    """Print the figures; True when all meet their bars."""
    await asyncio.sleep(SETTLE_SECONDS)
    processes = [stack.process, *stack.process.children(recursive=True)]
    before, begun = {process: _cpu(process) for process in processes}, time.monotonic()
    await asyncio.sleep(SECONDS)
    elapsed = time.monotonic() - begun
    shares = {process: (_cpu(process) - before[process]) / elapsed * 100 for process in processes}
    memory = {process: process.memory_full_info().pss / 2**20 for process in processes}
    costliest = sorted(processes, key=lambda process: -memory[process])[:12]
    note = ", ".join(f"{stack.name_of(p)} {memory[p]:.0f} MiB {shares[p]:.2f} %" for p in costliest)
    small = figure.report(
        "idle_memory", sum(memory.values()), "MiB", bar=1228.8, better="lower", n=len(processes), note=note
    )
    quiet = figure.report("idle_cpu", sum(shares.values()), "% of one core", bar=3, better="lower", n=len(processes))
    return small and quiet


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def main() -> bool:
    """Start a stack of its own and measure."""
    async with running_stack() as stack:
        return await measure(stack)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
