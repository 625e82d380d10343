"""Services begun as forks: they run as ever, are ours when the launcher has ended, and die with us."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from lotpro_localcloud import processes

#: Begins a service that has no settings as a fork, adopts it, says its number, and waits for as long as it may live.
SUPERVISOR = """
import json, os, subprocess, sys, time
from lotpro_localcloud import processes
command = [sys.executable, "-m", "lotpro_localcloud", "launch", "--parent", str(os.getpid()), "--logs", sys.argv[1]]
with processes.adopting():
    launched = subprocess.run(command, input=sys.argv[2].encode(), stdout=subprocess.PIPE)
    begun = {name: processes.Adopted(pid) for name, pid in json.loads(launched.stdout.splitlines()[0]).items()}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(one.poll() is None for one in begun.values()):
        time.sleep(0.02)
    print(json.dumps({name: one.returncode for name, one in begun.items()}))
"""


def environment(**told: str) -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | told


def test_a_service_runs_as_from_a_shell_with_its_own_environment_and_log(tmp_path: Path) -> None:
    """Without settings each says what it lacks and ends with 2: in its log, told to its supervisor."""
    orders = {"audit": environment(), "privacy": environment(LOTPRO_ENVIRONMENT="development")}
    done = subprocess.run(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), json.dumps(orders)], capture_output=True, text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"audit": 2, "privacy": 2}
    said = {name: (tmp_path / f"{name}.log").read_text() for name in orders}
    assert "audit: environment: Field required" in said["audit"]
    assert "privacy: environment: Field required" not in said["privacy"]
    assert "privacy: vault_url: Field required" in said["privacy"]


def test_nothing_is_forked_from_a_process_with_threads(tmp_path: Path) -> None:
    code = (
        "import sys, threading\n"
        "from lotpro_localcloud import launch\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "launch.main(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--parent", "1", "--logs", str(tmp_path)], input='{"audit": {}}',
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("1 threads were started by importing")
    assert list(tmp_path.iterdir()) == []


def test_an_adopted_process_dies_when_its_new_parent_is_killed() -> None:
    begin = (
        "import os, signal, sys, time\n"
        "from lotpro_localcloud import processes\n"
        "grandparent = os.getppid()\n"
        "pid = os.fork()\n"
        "if pid:\n"
        "    os._exit(0)\n"
        "processes.wait_for_adoption(grandparent)\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    code = (
        "import subprocess, sys, time\n"
        "from lotpro_localcloud import processes\n"
        "with processes.adopting():\n"
        f"    subprocess.Popen([sys.executable, '-c', {begin!r}])\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.ppid() == parent.pid
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it outlived the one that adopted it"
        time.sleep(0.02)


def test_how_an_adopted_process_ended_is_known_and_nobody_else_is_hit() -> None:
    adopted = processes.Adopted(os.posix_spawn("/bin/sleep", ["sleep", "60"], {}))
    assert adopted.poll() is None
    adopted.send_signal(signal.SIGTERM)
    assert adopted.wait() == -signal.SIGTERM
    adopted.kill()
    assert adopted.poll() == -signal.SIGTERM
