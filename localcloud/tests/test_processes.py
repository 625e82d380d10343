"""Children die with us, are stopped in order, and tell how they ended."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lotpro_localcloud import processes
from lotpro_localcloud.processes import Child

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def start(folder: Path, code: str, name: str = "child") -> Child:
    return processes.start(
        name, [sys.executable, "-c", code], environment=dict(os.environ), log=folder / f"{name}.log", directory=folder
    )


def wait_until_it_says(child: Child, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in child.log.read_text():
        assert time.monotonic() < deadline, child.log.read_text()
        time.sleep(0.02)


async def test_a_child_that_obeys_is_stopped_by_the_signal_alone(tmp_path: Path) -> None:
    child = start(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    wait_until_it_says(child, "up")
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, child.look)
    assert await processes.stop([child], by=signal.SIGTERM, within=10) == []
    assert child.how_it_ended == "SIGTERM"


async def test_a_child_that_is_deaf_is_killed_and_named(tmp_path: Path) -> None:
    child = start(tmp_path, DEAF, "deaf")
    wait_until_it_says(child, "up")
    assert await processes.stop([child], by=signal.SIGTERM, within=0.2) == ["deaf"]
    assert child.popen.poll() == -signal.SIGKILL


async def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        child = start(tmp_path, f"print('{word}')")
        child.popen.wait(10)
    assert (tmp_path / "child.log").read_text() == "second\n"
    assert (tmp_path / "child.log.1").read_text() == "first\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's tie between parent and child is Linux's")
def test_children_die_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from lotpro_localcloud import processes\n"
        f"child = processes.start('deaf', [sys.executable, '-c', {DEAF!r}], environment=dict(os.environ),"
        f" log=Path({str(tmp_path / 'deaf.log')!r}), directory=Path('/'))\n"
        "print(child.popen.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    # An orphan may stay a zombie where the first process of the container does not collect it.
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)
