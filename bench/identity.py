"""Identity: sign-ins and session checks by the CPU they cost, revocation, and what overload does."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aiohttp
import psutil
from argon2 import PasswordHasher

from bench import figure, load, people
from bench.people import PASSWORD, Somebody
from bench.stack import Stack, running_stack

PREFIX = "/api/identity/v1"
SIGN_INS = 300
AT_ONCE = 4
HASHES = 60
CHECK_SECONDS = 6.0
REVOCATIONS = 60
#: The overload: so many times the sign-ins that all cores can do, for so many seconds.
OVERLOAD, OVERLOAD_SECONDS = 10, 6


class Service:
    """Identity without the gateway, as many different callers, with what it costs."""

    def __init__(self, stack: Stack, client: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{stack.running.ports['identity_http']}"
        self._client = client
        process = psutil.Process(stack.running.pids["identity"])
        postgres = psutil.Process(stack.running.pids["postgres"])
        self.process = process
        self._postgres = postgres
        self._callers = 0

    def cpu(self) -> float:
        """Seconds of CPU that identity and PostgreSQL have used."""
        postgres = (self._postgres, *self._postgres.children(recursive=True))
        return sum(_cpu(process) for process in (self.process, *postgres))

    async def post(self, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        """Ask as somebody from an address nobody asked from before."""
        self._callers += 1
        address = f"10.{self._callers >> 16 & 255}.{self._callers >> 8 & 255}.{self._callers & 255}"
        headers = {"x-forwarded-for": address, "user-agent": "bench"}
        async with self._client.post(f"{self._url}{PREFIX}{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def sign_in(self, somebody: Somebody) -> dict[str, object]:
        """Both steps: password, then the authenticator's code."""
        _, first = await self.post("/sessions", {"email": somebody.email, "password": PASSWORD})
        status, second = await self.post("/sessions", {"ticket": first["ticket"], "totp": somebody.totp()})
        assert status == 200, second
        return second


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _bare_hash_rate() -> float:
    """Argon2id verifications a second of CPU, with identity's parameters and the wheel it uses, and nothing else."""
    hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
    hashed = hasher.hash(PASSWORD)
    begun = time.process_time()
    for _ in range(HASHES):
        hasher.verify(hashed, PASSWORD)
    return HASHES / (time.process_time() - begun)


async def _sign_ins(service: Service, everybody: list[Somebody]) -> tuple[bool, list[str], float]:
    """Complete sign-ins for each second of CPU; answers the access tokens and the rate too."""
    for somebody in everybody[:10]:
        await service.sign_in(somebody)
    waiting, samples, tokens = list(everybody[10:]), [], []

    async def one_after_another() -> None:
        while waiting:
            somebody = waiting.pop()
            begun = time.perf_counter()
            tokens.append(str((await service.sign_in(somebody))["access_token"]))
            samples.append((time.perf_counter() - begun) * 1000)

    limit = _bare_hash_rate()
    before = service.cpu()
    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
    used = service.cpu() - before
    rate = len(samples) / used
    note = f"two requests each; limit: bare Argon2id of the wheel, {limit:.1f}/s; p50..p99 in ms, {AT_ONCE} at once"
    results = [
        figure.report(
            "sign_in_rate", rate, "sign-ins/CPU s", bar=36, better="higher", samples=samples, limit=limit, note=note
        ),
        figure.report("sign_in_of_bare_hash", rate / limit, "ratio", bar=0.75, better="higher", n=len(samples)),
        figure.report(
            "sign_in_besides_hash", 1000 / rate - 1000 / limit, "ms of CPU", bar=8, better="lower", n=len(samples)
        ),
    ]
    return all(results), tokens, rate


async def _checks(stack: Stack, service: Service, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    direct = f"http://127.0.0.1:{stack.running.ports['identity_http']}"
    await load.closed_loop(f"{direct}{PREFIX}/sessions/current", headers, connections=4, seconds=1)
    before = _cpu(service.process)
    got = await load.closed_loop(
        f"{direct}{PREFIX}/sessions/current", headers, connections=8, seconds=CHECK_SECONDS
    )
    used = _cpu(service.process) - before
    limit_before = _cpu(service.process)
    bare = await load.closed_loop(f"{direct}/healthz", {}, connections=8, seconds=CHECK_SECONDS / 2)
    limit = len(bare.seconds) / (_cpu(service.process) - limit_before)
    through = await load.closed_loop(
        f"{stack.gateway}{PREFIX}/sessions/current", headers, connections=8, seconds=CHECK_SECONDS
    )
    assert got.wrong == through.wrong == 0
    milliseconds = [seconds * 1000 for seconds in through.seconds]
    results = [
        figure.report(
            "session_check_rate", len(got.seconds) / used, "checks/CPU s", bar=1000, better="higher",
            n=len(got.seconds), limit=limit, note="the service itself; limit: its /healthz",
        ),
        figure.report(
            "session_check_p95", figure.percentile(milliseconds, 0.95), "ms", bar=20, better="lower",
            samples=milliseconds, note="through the gateway, 8 connections",
        ),
    ]
    return all(results)


async def _revocations(stack: Stack, client: aiohttp.ClientSession, tokens: list[str]) -> bool:
    """From the answer to a sign-out until inventory refuses the token."""
    identity = f"http://127.0.0.1:{stack.running.ports['identity_http']}{PREFIX}/sessions:sign-out"
    inventory = f"{stack.inventory}/api/inventory/v1/vehicles?limit=1"
    samples: list[float] = []
    for token in tokens[:REVOCATIONS]:
        headers = {"Authorization": f"Bearer {token}"}
        async with client.get(inventory, headers=headers) as before:
            assert before.status == 200, before.status
        async with client.post(identity, headers=headers, json={}) as out:
            assert out.status == 204, out.status
        begun = time.perf_counter()
        while True:
            async with client.get(inventory, headers=headers) as after:
                if after.status == 401:
                    break
        samples.append((time.perf_counter() - begun) * 1000)
    return figure.report(
        "revocation_p99", figure.percentile(samples, 0.99), "ms", bar=1000, better="lower", samples=samples,
        note="sign-out answered -> refused by another service",
    )


async def _overload(service: Service, everybody: list[Somebody], rate: int) -> bool:
    """Far more sign-ins than there is CPU for, half of them of people there are, all with wrong passwords."""
    statuses: Counter[int] = Counter()
    samples: list[float] = []
    before = service.process.memory_info().rss

    async def try_once(number: int) -> None:
        email = everybody[number % len(everybody)].email if number % 2 else f"{uuid4().hex}@prairie-motors.com"
        begun = time.perf_counter()
        status, _ = await service.post("/sessions", {"email": email, "password": "a-wrong-password"})
        samples.append((time.perf_counter() - begun) * 1000)
        statuses[status] += 1

    await _paced(try_once, rate=rate, seconds=OVERLOAD_SECONDS)
    grown = (service.process.memory_info().rss - before) / 2**20
    wrong = sum(count for status, count in statuses.items() if status not in (401, 429))
    results = [
        figure.report(
            "overload_p95", figure.percentile(samples, 0.95), "ms", bar=3000, better="lower", samples=samples,
            note=f"{rate} sign-ins wanted a second; answers by status: {dict(sorted(statuses.items()))}",
        ),
        figure.report("overload_wrong_answers", wrong, "answers that are neither 401 nor 429", bar=0, better="lower"),
        figure.report("overload_memory", grown, "MiB more", bar=64, better="lower"),
    ]
    return all(results) and statuses[429] > 0


async def _paced(work: Callable[[int], Awaitable[None]], *, rate: int, seconds: int) -> None:
    begun, tasks = time.perf_counter(), []
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        tasks.append(asyncio.ensure_future(work(number)))
    await asyncio.gather(*tasks)


async def measure(stack: Stack) -> bool:
    """Print the figures; True when all meet their bars."""
    everybody = await people.add(stack, SIGN_INS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:
        service = Service(stack, client)
        signed_in, tokens, rate = await _sign_ins(service, everybody)
        checked = await _checks(stack, service, tokens[-1])
        revoked = await _revocations(stack, client, tokens)
        bounded = await _overload(service, everybody, int(OVERLOAD * rate * (os.cpu_count() or 1)))
    return signed_in and checked and revoked and bounded


async def main() -> bool:
    """Start a stack of its own and measure."""
    async with running_stack() as stack:
        return await measure(stack)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
