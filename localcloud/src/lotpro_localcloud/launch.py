"""Begins the services, each as a fork of one process that has imported what all of them share.

Nine tenths of what a service imports is the kit and the SDKs under it: a second and a half of CPU, and 60 MiB, for
each. Here that is paid once, and while PostgreSQL still starts. A fork then runs `python -m lotpro_<name> serve` as
ever, with its own environment, and becomes the supervisor's own child when this process ends.
"""

import argparse
import gc
import importlib
import json
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lotpro_localcloud import processes

#: What every service imports before it is ready, some of it only then.
SHARED = ("lotpro_kit.service", "aiohttp", "httpcore", "pydantic.v1", "uvicorn.protocols.http.httptools_impl")


def main(argv: Sequence[str] | None = None) -> int:
    """`launch --parent PID --logs DIR`: read service -> environment (JSON) from standard input, answer service -> pid.

    Ends as soon as all are begun; in a fork it is the service that ends.
    """
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud launch")
    parser.add_argument("--parent", type=int, required=True, help="who adopts the services and dies with them")
    parser.add_argument("--logs", type=Path, required=True)
    arguments = parser.parse_args(argv)
    for module in SHARED:
        importlib.import_module(module)
    environments: Mapping[str, Mapping[str, str]] = json.load(sys.stdin)
    _check_alone()
    # The forks share these objects' memory for as long as nobody writes to them, and the collector would.
    gc.collect()
    gc.freeze()
    pids: dict[str, int] = {}
    for name, environment in environments.items():
        pid = os.fork()
        if pid == 0:
            _become(name, environment, arguments.logs / f"{name}.log", parent=arguments.parent)
        pids[name] = pid
    sys.stdout.write(json.dumps(pids) + "\n")
    return 0


def _check_alone() -> None:
    """A fork has one thread, whatever locks the others held: no import may have started any."""
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        sys.exit(f"{threads - 1} threads were started by importing {', '.join(SHARED)}: no service can be forked")


def _become(name: str, environment: Mapping[str, str], log: Path, *, parent: int) -> None:
    """Be the service until it ends, as if it had been started from a shell; does not return."""
    os.setpgid(0, 0)
    with Path(os.devnull).open("rb") as nothing, processes.fresh(log).open("ab") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    processes.wait_for_adoption(parent)
    processes.call(f"lotpro-{name}")
    os.environ.clear()
    os.environ.update(environment)
    module = f"lotpro_{name}"
    sys.argv = [module, "serve"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit(f"{module} has no command line")


if __name__ == "__main__":
    sys.exit(main())
