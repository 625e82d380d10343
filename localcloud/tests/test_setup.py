"""`make setup` on machines that lack something says so in one sentence."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LOCALCLOUD = Path(__file__).parents[1]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A clone on a machine with a shell and nothing else; its programs are in `bin`."""
    (tmp_path / "localcloud").mkdir()
    for name in ("setup.sh", "setup_environment.py"):
        shutil.copy(LOCALCLOUD / name, tmp_path / "localcloud" / name)
    (tmp_path / "bin").mkdir()
    for program in ("sh", "dirname", "cut"):
        found = shutil.which(program)
        assert found
        (tmp_path / "bin" / program).symlink_to(found)
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    file = folder / "bin" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def set_up(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", str(folder / "localcloud" / "setup.sh")], env={"PATH": str(folder / "bin")}, capture_output=True,
        text=True, check=False, timeout=30,
    )


def test_without_python(bare: Path) -> None:
    said = set_up(bare)
    assert said.returncode == 1
    assert said.stderr == "lotPro needs Python 3.11 or newer, and none was found on this machine.\n"


def test_with_a_python_that_is_too_old(bare: Path) -> None:
    program(bare, "python3", '[ "$1" = -V ] && echo "Python 3.9.2" && exit 0; exit 1')
    said = set_up(bare)
    assert said.returncode == 1
    assert said.stderr == "lotPro needs Python 3.11 or newer; this machine's is 3.9.2.\n"


def test_with_a_python_that_cannot_make_virtual_environments(bare: Path) -> None:
    """Debian's python3 without python3-venv has no ensurepip."""
    (bare / "requirements.lock").write_text("")
    (bare / "without").mkdir()
    (bare / "without" / "ensurepip.py").write_text("raise ModuleNotFoundError(name='ensurepip')\n")
    program(bare, "python3", f'PYTHONPATH={bare / "without"} exec {sys.executable} "$@"')
    said = set_up(bare)
    assert said.returncode == 1
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert said.stderr.startswith(f"{sys.executable} has no module ensurepip")
    assert said.stderr.endswith(f"apt install python{version}-venv.\n")
    assert said.stderr.count("\n") == 1


def test_when_all_is_there_it_does_nothing() -> None:
    said = subprocess.run(
        ["sh", str(LOCALCLOUD / "setup.sh")], capture_output=True, text=True, check=False, timeout=300
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
