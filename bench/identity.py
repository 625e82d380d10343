"""Identity: sign-ins and session checks by the CPU they cost, revocation, and what overload does."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import aiohttp
import psutil
from argon2 import PasswordHasher

from bench import figure, load, people
from bench.people import PASSWORD, Somebody
from bench.stack import Stack, running_stack

PREFIX = "/api/identity/v1"
SIGN_INS = 300
#: Of these, so many before the measured ones: every connection has prepared its statements by then.
WARM_UP = 60
AT_ONCE = 4
#: Bare hashes, before the sign-ins and again after them; as many threads as identity has for them.
HASHES, HASH_THREADS = 60, 2
#: For the relay to send what is committed, before each reading of the CPU.
SETTLE_SECONDS = 1.0
CHECK_SECONDS = 6.0
REVOCATIONS = 60
#: The overload: so many times the sign-ins that all cores can do, for so many seconds.
OVERLOAD, OVERLOAD_SECONDS = 10, 6


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU."""

    #: Identity's process, and of that the thread that does all but hash.
    identity: float
    event_loop: float
    #: PostgreSQL: backends of identity's database, the processes that all databases share, and others' backends.
    database: float
    shared: float
    elsewhere: float

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(*(getattr(self, name) - getattr(other, name) for name in Cpu.__slots__))

    @property
    def of_sign_ins(self) -> float:
        """What counts: identity, its database, and all that the databases share."""
        return self.identity + self.database + self.shared


class Service:
    """Identity without the gateway, as many different callers, with what it costs."""

    def __init__(self, stack: Stack, client: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{stack.running.ports['identity_http']}"
        self._client = client
        process = psutil.Process(stack.running.pids["identity"])
        postgres = psutil.Process(stack.running.pids["postgres"])
        self.process = process
        self._stack, self._postgres = stack, postgres
        self._callers = 0

    async def cpu(self) -> "Cpu":
        """Seconds of CPU used until now, by whom."""
        await asyncio.sleep(SETTLE_SECONDS)
        watching = await self._stack.connect("identity")
        rows = await watching.fetch(
            "SELECT pid, datname FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        await watching.close()
        database = {row["pid"]: row["datname"] for row in rows}
        own = elsewhere = shared = 0.0
        for process in (self._postgres, *self._postgres.children(recursive=True)):
            used = _cpu(process)
            if process.pid not in database:
                shared += used
            elif database[process.pid] == "identity":
                own += used
            else:
                elsewhere += used
        loop = next(thread for thread in self.process.threads() if thread.id == self.process.pid)
        return Cpu(_cpu(self.process), loop.user_time + loop.system_time, own, shared, elsewhere)

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


def _bare_hash_seconds() -> float:
    """Of CPU for HASHES verifications, with identity's parameters, threads and wheel, and nothing else."""
    hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
    hashed = hasher.hash(PASSWORD)
    with ThreadPoolExecutor(HASH_THREADS) as pool:
        list(pool.map(hasher.verify, [hashed] * 2 * HASH_THREADS, [PASSWORD] * 2 * HASH_THREADS))
        begun = time.process_time()
        list(pool.map(hasher.verify, [hashed] * HASHES, [PASSWORD] * HASHES))
        return time.process_time() - begun


async def _sign_ins(service: Service, everybody: list[Somebody]) -> tuple[bool, list[str], float]:
    """Complete sign-ins for each second of CPU; answers the access tokens and the rate too."""
    tokens: list[str] = []
    samples: list[float] = []

    async def one_after_another(waiting: list[Somebody]) -> None:
        while waiting:
            somebody = waiting.pop()
            begun = time.perf_counter()
            tokens.append(str((await service.sign_in(somebody))["access_token"]))
            samples.append((time.perf_counter() - begun) * 1000)

    async def all_of(some: list[Somebody]) -> None:
        await asyncio.gather(*(one_after_another(some) for _ in range(AT_ONCE)))

    await all_of(everybody[:WARM_UP])
    samples.clear()
    hashing = _bare_hash_seconds()
    before = await service.cpu()
    await all_of(everybody[WARM_UP:])
    used = await service.cpu() - before
    limit = 2 * HASHES / (hashing + _bare_hash_seconds())
    rate = len(samples) / used.of_sign_ins
    note = (
        f"two requests each and the relay of their events; CPU of identity, of the backends of its database and of"
        f" PostgreSQL's background processes; limit: bare Argon2id of the wheel in as many threads, {limit:.1f}/s;"
        f" p50..p99 in ms, {AT_ONCE} at once"
    )
    each = {name: round(1000 * getattr(used, name) / len(samples), 2) for name in Cpu.__slots__}
    split = (
        f"of {each['identity'] + each['database'] + each['shared']:.1f} ms: hashing {1000 / limit:.1f} bare and"
        f" {each['identity'] - each['event_loop']:.1f} in identity's threads, its event loop {each['event_loop']},"
        f" its database {each['database']}, PostgreSQL's background {each['shared']};"
        f" not counted: what the events cost in others' databases, {each['elsewhere']}"
    )
    results = [
        figure.report(
            "sign_in_rate", rate, "sign-ins/CPU s", bar=36, better="higher", samples=samples, limit=limit, note=note
        ),
        figure.report("sign_in_of_bare_hash", rate / limit, "ratio", bar=0.75, better="higher", n=len(samples)),
        figure.report(
            "sign_in_besides_hash", 1000 / rate - 1000 / limit, "ms of CPU", bar=8, better="lower", n=len(samples),
            note=split,
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
