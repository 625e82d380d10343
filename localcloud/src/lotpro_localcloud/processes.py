"""Child processes: started with a log file of their own, tied to our life, stopped in order."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(slots=True)
class Child:
    """A running process of the stack."""

    name: str
    popen: "subprocess.Popen[bytes]"
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
) -> Child:
    """Start a process whose output goes to `log`; the log of the run before is kept as `<log>.1`.

    It gets a process group of its own, so that Ctrl-C reaches only us and we stop the stack in order; if we are killed,
    the kernel sends it `on_our_death`. Must be called from the main thread: the kernel's tie is to the thread.
    """
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))
    with log.open("ab") as output:
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment), cwd=directory,
            process_group=0, preexec_fn=_tie(os.getpid(), on_our_death),
        )
    return Child(name, popen, log)


def _tie(parent: int, number: signal.Signals) -> Callable[[], None]:
    """What the child does before it becomes another program: ask to be told of our death."""

    def tie() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(number))
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
