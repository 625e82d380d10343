"""The folder everything local lives in (`.lotpro/`): its layout, its lock, its end."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class InUse(Exception):
    """Another stack runs on this state."""

    def __init__(self, pid: str) -> None:
        super().__init__(f"process {pid}" if pid else "another process")


@dataclass(frozen=True, slots=True)
class State:
    """Paths below one root; nothing outside it is ever written."""

    root: Path

    def __truediv__(self, name: str) -> Path:
        """`state / "logs"` is the folder of the logs."""
        return self.root / name

    def make(self) -> None:
        """Create the folders; only their owner can look inside."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("pg", "servicebus", "providers", "ca", "logs", "telemetry", "gateway"):
            (self.root / name).mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the state for this process; raises InUse. The kernel lets go of it however the process ends."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise InUse(file.read().strip()) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def remove(self) -> None:
        """Delete everything; raises InUse while a stack runs on it."""
        if self.root.exists():
            with self.lock():
                shutil.rmtree(self.root)


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file, empty when there is none."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def write_json(file: Path, value: dict[str, Any]) -> None:
    """Replace a file by a JSON object at once, readable by its owner only."""
    beside = file.with_name(file.name + ".new")
    beside.touch(0o600)
    beside.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    beside.replace(file)
