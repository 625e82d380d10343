"""`make run`: brings the whole stack up in order, watches over it, and takes it down as one."""

import argparse
import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from lotpro_localcloud import certificates, keys, processes, surroundings, topology
from lotpro_localcloud.processes import Child
from lotpro_localcloud.state import InUse, State, read_json, write_json
from lotpro_localcloud.topology import HOST, SERVICES

#: PostgreSQL's first files take 60 MB, a gigabyte of journals and logs is far away.
FREE_MIB_NEEDED = 300
#: With less than this left, whatever died died of it.
FREE_MIB_FULL = 8
START_SECONDS = 90
#: How long each part gets to end before it is killed, in the order they are stopped.
STOP_SECONDS: Mapping[str, float] = {"services": 12, "gateway": 2, "cloud": 4, "postgres": 8}
#: Services and the broker stand being killed at any moment; PostgreSQL does too, but is faster up after a clean stop.
_ON_OUR_DEATH = {"postgres": signal.SIGINT}
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
#: The same when one of them has died.
FAILED_STOP_SECONDS = 3.0


class CannotStart(Exception):
    """Why the stack cannot come up, as a sentence."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM (0), or until a process of the stack ends by itself (1)."""
    options = _options(argv)
    state = State(options.state.resolve())
    try:
        with state.lock():
            _check_disk(state.root)
            ephemeral = options.ports == "ephemeral"
            with topology.free_ports() if ephemeral else nullcontext(topology.DEFAULT_PORTS) as ports:
                topology.check_free(ports)
                return asyncio.run(Stack(state, ports, options).run())
    except InUse as error:
        sentence = f"lotPro already runs here ({error}). Stop that first, or give another --state."
    except topology.PortTaken as error:
        sentence = f"{_upper(str(error))} is taken{who_holds(error.port)}. Free it, then start again."
    except CannotStart as error:
        sentence = str(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sentence = _disk_full(state.root)
    _complain(sentence)
    return 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud up", description=__doc__)
    parser.add_argument("--state", type=Path, default=surroundings.root() / ".lotpro", help="where everything is kept")
    parser.add_argument("--ports", choices=("default", "ephemeral"), default="default")
    parser.add_argument("--no-seed", dest="seed", action="store_false", help="without the demo organisation")
    parser.add_argument("--trace-ratio", type=float, default=0.1, help="share of requests that are traced")
    parser.add_argument("--ready-file", type=Path, help="written when all is up: addresses and process ids, as JSON")
    return parser.parse_args(argv)


class Stack:
    """All processes of one state."""

    def __init__(self, state: State, ports: Mapping[str, int], options: argparse.Namespace) -> None:
        self._state, self._ports = state, ports
        self._seed: bool = options.seed
        self._ready_file: Path | None = options.ready_file
        self._trace_ratio: float = options.trace_ratio
        self._root = surroundings.root()
        self._groups: dict[str, list[Child]] = {name: [] for name in STOP_SECONDS}
        self._passing: list[Child] = []
        self._over = asyncio.Event()
        self._failure = ""
        self._began = time.monotonic()

    async def run(self) -> int:
        """Bring it up, wait for the end, take it down."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._look)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._over.set)
        rising = asyncio.create_task(self._bring_up())
        rising.add_done_callback(self._risen)
        try:
            await self._over.wait()
        finally:
            rising.cancel()
            await asyncio.gather(rising, return_exceptions=True)
            if self._failure:
                _complain(f"{self._failure} Everything is being stopped.")
            else:
                _say("\nStopping ...")
            await self._take_down()
        if not self._failure:
            _say("Stopped. Nothing is left running.")
        return 1 if self._failure else 0

    def _risen(self, rising: "asyncio.Task[None]") -> None:
        error = None if rising.cancelled() else rising.exception()
        if error is None:
            return
        if isinstance(error, CannotStart):
            self._fail(str(error))
        elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            self._fail(_disk_full(self._state.root))
        else:
            self._fail(f"Starting failed: {type(error).__name__}: {error}.")

    def _fail(self, sentence: str) -> None:
        self._failure = self._failure or sentence
        self._over.set()

    def _look(self) -> None:
        """A child ended: when it was not to, that is the end of all."""
        for child in self._passing:
            child.look()
        dead = [child for group in self._groups.values() for child in group if child.look()]
        if dead and not self._over.is_set():
            self._fail(self._obituary(dead[0]))

    def _obituary(self, child: Child) -> str:
        if _free_mib(self._state.root) < FREE_MIB_FULL:
            return _disk_full(self._state.root)
        return f"{_upper(child.name)} stopped by itself ({child.how_it_ended}); its log is {_short(child.log)}."

    async def _bring_up(self) -> None:
        async with asyncio.timeout(START_SECONDS + 300 * self._first_run):
            await self._bring_up_in_order()

    @property
    def _first_run(self) -> bool:
        return not (self._state / "seed.json").exists()

    async def _bring_up_in_order(self) -> None:
        self._say_step(f"lotPro starts; its state is in {_short(self._state.root)}")
        self._state.make()
        certificates.ensure(self._state / "ca")
        secrets = keys.ensure(self._state / "keys.json")
        self._prepare_cloud(secrets)
        self._start_cloud(secrets)
        launcher = self._begin("launch", "--parent", str(os.getpid()), "--logs", str(self._state / "logs"), asked=True)
        self._start_gateway()
        provisioned = self._task("provision", "--port", str(self._ports["postgres"]))
        await asyncio.gather(
            self._until_listening("servicebus_tls"), self._until_listening("providers_tls"), self._ended(provisioned)
        )
        self._say_step("PostgreSQL, Service Bus, Key Vault and providers are up, databases at their newest schema")
        await self._launch(launcher, secrets)
        await self._until(self._gateway_is_well)
        self._say_step("six services and the gateway are ready")
        if self._seed:
            await self._plant()
        if self._ready_file:
            write_json(self._ready_file, self._addresses() | {"pids": self._pids(), "ports": dict(self._ports)})
        self._greet()

    def _prepare_cloud(self, secrets: Mapping[str, str]) -> None:
        """What the platform knows before anything runs: who the services are and what the vault holds for each."""
        principals = {
            keys.client_id(name): {
                "service": name, "header": secrets[f"{name}-identity-header"], "officer_of": keys.RENEWED.get(name, ()),
            }
            for name in SERVICES
        }
        write_json(self._principals, principals)
        write_json(self._state / "providers" / "vault.json", dict(secrets))

    @property
    def _principals(self) -> Path:
        return self._state / "providers" / "principals.json"

    def _start_cloud(self, secrets: Mapping[str, str]) -> None:
        """PostgreSQL, the broker and the providers; none of them waits for another."""
        ports = {name: str(port) for name, port in self._ports.items()}
        certificate = {"cert": self._state / "ca" / "server.pem", "key": self._state / "ca" / "server.key"}
        tokens = {"issuer": surroundings.issuer(self._ports), "principals": self._principals}
        self._start_own("postgres", "postgres", "pg", port=ports["postgres"])
        self._start_own(
            "cloud", "servicebus", "servicebus", port=ports["servicebus"], tls_port=ports["servicebus_tls"],
            config=self._root / "infra" / "servicebus.json", sas_key=secrets["servicebus-sas-key"],
            jwks_file=self._state / "providers" / "jwks.json", **certificate, **tokens,
        )
        self._start_own(
            "cloud", "providers", "providers", port=ports["providers"], tls_port=ports["providers_tls"],
            stripe_webhook_url=f"http://{HOST}:{ports['gateway']}/api/billing/v1/webhooks/stripe",
            **certificate, **tokens,
        )

    async def _launch(self, launcher: Child, secrets: Mapping[str, str]) -> None:
        """Let the launcher begin the services, and adopt them."""
        assert isinstance(launcher.popen, subprocess.Popen)
        assert launcher.popen.stdin is not None
        assert launcher.popen.stdout is not None
        environments = {
            name: surroundings.service(
                name, ports=self._ports, state=self._state, secrets=secrets, trace_ratio=self._trace_ratio
            )
            for name in SERVICES
        }
        with launcher.popen.stdin as orders, launcher.popen.stdout as answer, processes.adopting():
            # One that has failed reads nothing; how it ended says more than the broken pipe.
            with suppress(BrokenPipeError):
                orders.write(json.dumps(environments).encode())
                orders.close()
            await self._ended(launcher)
            begun: dict[str, int] = json.loads(answer.readline())
            self._groups["services"] += [
                Child(name, processes.Adopted(pid), self._state / "logs" / f"{name}.log") for name, pid in begun.items()
            ]
        # Their end may have come before we knew of them.
        self._look()

    def _start_own(self, group: str, command: str, folder: str, **options: object) -> None:
        """Start one of the local cloud's processes; `tls_port=1` is told as `--tls-port 1`."""
        told = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        argv = [sys.executable, "-m", "lotpro_localcloud", command, "--state", str(self._state / folder), *told]
        self._start(group, command, argv, surroundings.base(), on_our_death=_ON_OUR_DEATH.get(command, signal.SIGKILL))

    def _start_gateway(self) -> None:
        from gateway import docs, render

        docs.write(self._state / "gateway" / "docs")
        config = self._state / "gateway" / "envoy.yaml"
        config.write_text(render.render(surroundings.gateway(ports=self._ports, state=self._state)), encoding="utf-8")
        envoy = Path(sys.executable).with_name("envoy")
        self._start("gateway", "gateway", render.command(envoy, config, concurrency=2), surroundings.base())

    def _start(
        self, group: str, name: str, command: Sequence[str], environment: Mapping[str, str],
        *, on_our_death: signal.Signals = signal.SIGKILL,
    ) -> Child:
        child = processes.start(
            name, command, environment=environment, log=self._state / "logs" / f"{name}.log", directory=self._root,
            on_our_death=on_our_death,
        )
        self._groups[group].append(child)
        return child

    def _task(self, command: str, *arguments: str) -> Child:
        """Start one of our own commands that does a job in the state and ends."""
        return self._begin(command, "--state", str(self._state.root), *arguments)

    def _begin(self, command: str, *arguments: str, asked: bool = False) -> Child:
        argv = [sys.executable, "-m", "lotpro_localcloud", command, *arguments]
        child = processes.start(
            command, argv, environment=surroundings.base(), log=self._state / "logs" / f"{command}.log",
            directory=self._root, asked=asked,
        )
        self._passing.append(child)
        return child

    async def _ended(self, child: Child) -> None:
        """Wait for a passing process; raises CannotStart when it failed."""
        await child.ended.wait()
        self._passing.remove(child)
        if child.popen.returncode != 0:
            raise CannotStart(f"{_upper(child.name)} failed ({child.how_it_ended}); its log is {_short(child.log)}.")

    async def _until_listening(self, port_name: str) -> None:
        await self._until(lambda: _answers(self._ports[port_name]))

    async def _gateway_is_well(self) -> bool:
        return await _answers(self._ports["gateway"], HEALTH)

    async def _until(self, check: Callable[[], Awaitable[bool]]) -> None:
        while True:
            if await check():
                return
            await asyncio.sleep(0.05)

    async def _plant(self) -> None:
        """Fill the demo organisation, once."""
        if read_json(self._state / "seed.json").get("complete"):
            return
        self._say_step("first run: a demo organisation is being filled through the gateway")
        addresses = self._addresses()
        await self._ended(self._task("seed", "--gateway", addresses["gateway"], "--inbox", addresses["providers"]))

    def _addresses(self) -> dict[str, str]:
        return {
            "gateway": f"http://localhost:{self._ports['gateway']}",
            "gateway_tls": f"https://localhost:{self._ports['gateway_tls']}",
            "docs": f"http://localhost:{self._ports['gateway']}/docs",
            "inbox": f"http://localhost:{self._ports['providers']}/inbox",
            "providers": f"http://localhost:{self._ports['providers']}",
            "ca": str(self._state / "ca" / "ca.pem"),
        }

    def _pids(self) -> dict[str, int]:
        children = {child.name: child.popen.pid for group in self._groups.values() for child in group}
        return children | {"supervisor": os.getpid()}

    def _say_step(self, text: str) -> None:
        _say(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def _greet(self) -> None:
        """Where everything is, and who can sign in."""
        at, ca = self._addresses(), _short(self._state / "ca" / "ca.pem")
        lines = [
            "",
            f"lotPro is ready after {time.monotonic() - self._began:.1f} s. Ctrl-C stops it; `make demo` drives it.",
            "",
            f"  Gateway     {at['gateway']}   {at['gateway_tls']} (authority: {ca})",
            f"  API         {at['docs']}",
            f"  Inbox       {at['inbox']}   every e-mail and text message lotPro sends",
            f"  Logs        {_short(self._state / 'logs')}",
        ]
        seed = read_json(self._state / "seed.json")
        people = [
            f"  {person['role']:<12}{person['email']:<34}{person['password']:<28}{person['totp_secret']}"
            for person in seed.get("people", [])
        ]
        if people:
            lines += ["", f"  {seed['organisation']}: sign in with e-mail, password and a code of the TOTP secret", ""]
        _say("\n".join([*lines, *people, ""]))

    async def _take_down(self) -> None:
        """Services first, so that they can still say goodbye to what they use; PostgreSQL last."""
        await processes.stop(self._passing, by=signal.SIGTERM, within=2)
        for group, seconds in STOP_SECONDS.items():
            by = signal.SIGINT if group == "postgres" else signal.SIGTERM
            # What needs the one that died would only wait for it; all but PostgreSQL start as fast after being killed.
            hurry = self._failure and group != "postgres"
            grace = min(seconds, FAILED_STOP_SECONDS) if hurry else seconds
            late = await processes.stop(self._groups[group], by=by, within=grace)
            if late and not self._failure:
                _say(f"{', '.join(late)} did not stop within {seconds:.0f} s and had to be killed")


async def _answers(port: int, request: bytes = b"") -> bool:
    """True when something listens there, and answers 200 when it is asked something."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            if not request:
                return True
            writer.write(request)
            async with asyncio.timeout(5):
                return (await reader.readline()).split(b" ")[1:2] == [b"200"]
        finally:
            writer.close()
    except (OSError, TimeoutError):
        return False


def _check_disk(root: Path) -> None:
    free = _free_mib(root)
    if free < FREE_MIB_NEEDED:
        raise CannotStart(f"The disk has only {free} MiB left at {root}; lotPro needs {FREE_MIB_NEEDED}. Make room.")


def _free_mib(root: Path) -> int:
    return shutil.disk_usage(root).free // 2**20


def _disk_full(root: Path) -> str:
    return f"The disk is full: {_free_mib(root)} MiB are left at {root}. Make room, then start again; nothing is lost."


def who_holds(port: int) -> str:
    """` by nginx (process 1234)` when we may know it."""
    import psutil

    try:
        owner = next(
            (c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr and c.laddr.port == port),
            None,
        )
        return f" by {psutil.Process(owner).name()} (process {owner})" if owner else ""
    except psutil.Error:
        return ""


def _short(path: Path) -> str:
    """A path as seen from where the person stands, when it is below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _complain(sentence: str) -> None:
    sys.stderr.write(f"\n{sentence}\n")
    sys.stderr.flush()
