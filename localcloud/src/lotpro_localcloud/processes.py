"""Child processes: started with a log file of their own, tied to our life, stopped in order."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Adopted:
    """A process that a child of ours began and left to us when it ended; what we need of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended, as Popen says it, or None while it runs."""
        return self._collect(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for its end."""
        return self._collect(0)

    def send_signal(self, number: int) -> None:
        """Nobody else is hit: until we have collected it, no other process gets its number."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _collect(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


@dataclass(slots=True)
class Child:
    """A running process of the stack."""

    name: str
    popen: "subprocess.Popen[bytes] | Adopted"
    log: Path
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self) -> bool:
        """True when it has ended; to be called on SIGCHLD."""
        if self.popen.poll() is not None:
            self.ended.set()
        return self.ended.is_set()

    @property
    def how_it_ended(self) -> str:
        """`exit code 1` or `SIGKILL`."""
        code = self.popen.returncode
        assert code is not None, f"{self.name} has not ended"
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"


def start(
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    directory: Path,
    on_our_death: signal.Signals = signal.SIGKILL,
    asked: bool = False,
) -> Child:
    """Start a process whose output goes to `log`; the log of the run before is kept as `<log>.1`.

    It gets a process group of its own, so that Ctrl-C reaches only us and we stop the stack in order; if we are killed,
    the kernel sends it `on_our_death`. Must be called from the main thread: the kernel's tie is to the thread.
    One that is `asked` has pipes to us as standard input and output, and only its errors go to `log`.
    """
    with fresh(log).open("ab") as output:
        popen = subprocess.Popen(
            command, stdin=subprocess.PIPE if asked else subprocess.DEVNULL,
            stdout=subprocess.PIPE if asked else output, stderr=output, env=dict(environment), cwd=directory,
            process_group=0, preexec_fn=_tie(os.getpid(), on_our_death),
        )
    return Child(name, popen, log)


def fresh(log: Path) -> Path:
    """A log with nothing in it; what was in it is kept as `<log>.1`."""
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))
    return log


@contextmanager
def adopting() -> Iterator[None]:
    """For a while, what our children began becomes ours when they end, instead of the machine's first process's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def wait_for_adoption(parent: int) -> None:
    """In a process that a child of `parent` began: return when it is the child of `parent`, tied to its life."""
    first = os.getppid()
    while first != parent and os.getppid() == first:
        time.sleep(0.001)
    _tie(parent, signal.SIGKILL)()


def call(name: str) -> None:
    """What `ps` and `top` call this process; Linux keeps 15 bytes of it."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


def _tie(parent: int, number: signal.Signals) -> Callable[[], None]:
    """What the child does before it becomes another program: ask to be told of our death."""

    def tie() -> None:
        _prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os._exit(1)

    return tie


async def stop(children: Sequence[Child], *, by: signal.Signals, within: float) -> list[str]:
    """Ask all of them to end, kill those that have not after `within` seconds; answers the names of those."""
    for child in children:
        if not child.look():
            child.popen.send_signal(by)
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await asyncio.gather(*(child.ended.wait() for child in children))
    late = [child for child in children if not child.look()]
    for child in late:
        child.popen.kill()
        child.popen.wait()
    return [child.name for child in late]
