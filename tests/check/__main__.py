"""`make check`: every judgement that needs no running suite, side by side; `--write` renews what is generated."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PACKAGES = ("policy/src", "kit/src", "localcloud/src", *sorted(map(str, ROOT.glob("services/*/src"))))
#: What is typed besides the packages; tests of services are run, not typed.
TYPED = ("gateway", "bench", "tests/check", "tests/e2e", "tests/chaos", "localcloud/setup_environment.py")


def checks() -> dict[str, Sequence[str]]:
    """Each check by its name, as a command that ends with 0 when all is well."""
    python = sys.executable
    typed = [path for path in TYPED if (ROOT / path).exists()]
    return {
        "types": (str(BIN / "mypy"), "--no-error-summary", *PACKAGES, *typed),
        "generated files": (python, "-m", "tests.check.generated"),
        "migrations": (python, "-m", "tests.check.drift"),
        "imports": (str(BIN / "lint-imports"), "--no-logo"),
        "lint": (str(BIN / "ruff"), "check", "--no-cache", "--quiet", "."),
        "contracts": (str(BIN / "buf"), "lint", "proto"),
        **_compatibility(),
    }


def _compatibility() -> dict[str, Sequence[str]]:
    """Nothing that is on main may be broken; without main there is nothing to compare with."""
    known = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "main:proto/buf.yaml"],
        cwd=ROOT, capture_output=True, check=False,
    )
    if known.returncode != 0:
        return {}
    against = f"{ROOT / '.git'}#ref=main,subdir=proto"
    return {"compatibility": (str(BIN / "buf"), "breaking", "proto", "--against", against)}


async def _run(name: str, command: Sequence[str], two_at_a_time: asyncio.Semaphore) -> bool:
    """Run one check; a line when it is well, all it said when it is not."""
    async with two_at_a_time:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
    well = process.returncode == 0
    print(f"{'ok  ' if well else 'FAIL'} {name:<16} {time.monotonic() - began:5.1f} s", flush=True)
    if not well:
        print(said.decode(errors="replace").rstrip(), flush=True)
    return well


async def _run_all(names: Sequence[str]) -> bool:
    two_at_a_time = asyncio.Semaphore(2)
    wanted = {name: command for name, command in checks().items() if not names or name in names}
    results = await asyncio.gather(*(_run(name, command, two_at_a_time) for name, command in wanted.items()))
    bad = results.count(False)
    print(f"{bad} of {len(results)} checks failed" if bad else f"all {len(results)} checks are well")
    return bad == 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        from tests.check import generated

        sys.exit(generated.main(write=True))
    sys.exit(0 if asyncio.run(_run_all(sys.argv[1:])) else 1)
