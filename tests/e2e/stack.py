"""A whole stack of its own for tests: `up` on free ports, in a state that is thrown away."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: A first start takes ten; a machine that several suites keep busy took two minutes.
START_SECONDS = 240
STOP_SECONDS = 30


class NotUp(Exception):
    """The stack did not come up; the text is what it said."""


@dataclass(slots=True)
class Stack:
    """A running stack: where its doors are and who its processes are."""

    state: Path
    process: "subprocess.Popen[str]"
    output: Path
    addresses: dict[str, str]
    pids: dict[str, int]
    ports: dict[str, int]
    seconds_to_ready: float

    @property
    def gateway(self) -> str:
        return self.addresses["gateway"]

    @property
    def keys(self) -> dict[str, str]:
        """The stack's secrets by their names."""
        found: dict[str, str] = json.loads((self.state / "keys.json").read_text(encoding="utf-8"))
        return found

    def said(self) -> str:
        """All that the supervisor printed."""
        return self.output.read_text(encoding="utf-8")

    def ended(self, *, within: float = STOP_SECONDS) -> int:
        """Wait for its own end; the exit status."""
        return self.process.wait(within)

    def stop(self) -> int:
        """SIGTERM and wait; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.ended()


def start(state: Path, *, seed: bool = False, trace_ratio: float = 1.0) -> Stack:
    """Start a stack on a state, new or used before, in which every request is traced; raises NotUp."""
    state.parent.mkdir(parents=True, exist_ok=True)
    ready, output = state.with_name(f"{state.name}-ready.json"), state.with_name(f"{state.name}-output.txt")
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lotpro_localcloud", "up", "--ports", "ephemeral", "--state", str(state)]
    command += ["--ready-file", str(ready), "--trace-ratio", str(trace_ratio), *([] if seed else ["--no-seed"])]
    began = time.monotonic()
    with output.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, text=True)
    while not ready.exists():
        if process.poll() is not None or time.monotonic() - began > START_SECONDS:
            process.terminate()
            process.wait(STOP_SECONDS)
            raise NotUp(output.read_text() + _last_words(state))
        time.sleep(0.05)
    said = json.loads(ready.read_text())
    pids, ports = said.pop("pids"), said.pop("ports")
    return Stack(state, process, output, said, pids, ports, time.monotonic() - began)


def _last_words(state: Path) -> str:
    """The end of each log, for the person who must find out."""
    logs = sorted((state / "logs").glob("*.log"))
    return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-600:]}" for log in logs)


@contextmanager
def fresh_state() -> Iterator[Path]:
    """A state that is gone afterwards.

    Not below pytest's own folder: under root PostgreSQL runs as somebody else and must pass through the folders above
    its data, and every pytest that starts closes pytest's folder to others again.
    """
    with tempfile.TemporaryDirectory(prefix="lotpro-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "state"


@contextmanager
def running(*, seed: bool = False) -> Iterator[Stack]:
    """A stack of its own for a while; stopped cleanly at the end."""
    with fresh_state() as state:
        stack = start(state, seed=seed)
        try:
            yield stack
        finally:
            stack.stop()
