"""Makes `.venv` from requirements.lock: standard library only, for nothing is installed yet when it runs."""

import hashlib
import os
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "lotpro-stamp"
SOURCES = ("policy/src", "proto/gen", "kit/src", "localcloud/src")
OLDEST = (3, 11)


def main() -> int:
    """Set up what is missing; says one sentence and answers 1 when this machine lacks something.

    setup.sh has already seen to it that this Python is new enough.
    """
    if STAMP.exists() and STAMP.read_text() == _stamp():
        return 0
    began = time.monotonic()
    if not PYTHON.exists() or _version_of(PYTHON) < OLDEST:
        try:
            _make_venv()
        except ModuleNotFoundError as error:
            return _complain(
                f"{sys.executable} has no module {error.name}, so it cannot make a virtual environment. "
                f"On Debian and Ubuntu: apt install python{_dotted(sys.version_info[:2])}-venv."
            )
    _say("installing the packages of requirements.lock (about 110 MB to download the first time)")
    if not (_install_by_uv() or _install_by_pip()):
        return _complain("The packages could not be installed: see the messages above, then run `make setup` again.")
    _write_paths()
    STAMP.write_text(_stamp())
    _say(f"ready after {time.monotonic() - began:.0f} s")
    return 0


def _stamp() -> str:
    """Changes with the lock, with where the repository lies and with the services it has."""
    return f"{hashlib.sha256(LOCK.read_bytes()).hexdigest()} {ROOT} {' '.join(_sources())}"


def _make_venv() -> None:
    """A fresh virtual environment with pip; raises ModuleNotFoundError when this Python cannot."""
    import ensurepip  # noqa: F401 - Debian ships venv without it, and then fails halfway with a long message

    _say(f"making .venv with Python {_dotted(sys.version_info[:3])}")
    venv.create(VENV, clear=True, symlinks=True, with_pip=True)


def _install_by_uv() -> bool:
    """Let uv install the lock, seconds instead of minutes; False when it cannot, for example reach the index."""
    if not _has_locked_uv() and not _run(
        str(PYTHON), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", _block("uv")
    ):
        return False
    # All indexes are asked, as pip does: with hashes no index can slip in another file.
    options = ("--quiet", "--require-hashes", "--index-strategy", "unsafe-best-match", "--python", str(PYTHON))
    done = _run(str(VENV / "bin" / "uv"), "pip", "sync", *options, str(LOCK), **_index_for_uv())
    if not done:
        _say("uv could not do it here; pip does the same, more slowly")
    return done


def _install_by_pip() -> bool:
    return _run(str(PYTHON), "-m", "pip", "install", "--require-hashes", "--requirement", str(LOCK))


def _has_locked_uv() -> bool:
    wanted = re.search(r"^uv==(\S+)", LOCK.read_text(), re.MULTILINE)
    assert wanted, "requirements.lock has no uv"
    try:
        said = subprocess.run([VENV / "bin" / "uv", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return said.split()[1:2] == [wanted.group(1)]


def _block(package: str) -> str:
    """A requirements file with one package of the lock, its hashes included."""
    block = re.search(rf"^{package}==.*?(?=^\S)", LOCK.read_text() + "\nend", re.MULTILINE | re.DOTALL)
    assert block, f"requirements.lock has no {package}"
    file = VENV / f"{package}.requirements"
    file.write_text("\n".join(line for line in block.group().splitlines() if not line.lstrip().startswith("#")) + "\n")
    return str(file)


def _index_for_uv() -> dict[str, str]:
    """The machine's package index as pip knows it (pip.conf, PIP_*), told to uv, which reads neither."""
    listed = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        # pip lists files before the environment, which wins.
        found[key.rpartition(".")[2].replace("_", "-")] = value.strip().strip("'\"").replace("\\n", " ").strip()
    told = {
        "UV_DEFAULT_INDEX": found.get("index-url", ""),
        "UV_INDEX": found.get("extra-index-url", ""),
        "UV_FIND_LINKS": ",".join(found.get("find-links", "").split()),
        "SSL_CERT_FILE": found.get("cert", ""),
        "UV_INSECURE_HOST": found.get("trusted-host", ""),
        "UV_NO_INDEX": "1" if found.get("no-index", "").lower() in ("1", "true", "yes", "on") else "",
        "UV_HTTP_TIMEOUT": found.get("default-timeout", found.get("timeout", "")),
    }
    return {name: value for name, value in told.items() if value and name not in os.environ}


def _sources() -> list[str]:
    services = sorted(str(folder.relative_to(ROOT)) for folder in ROOT.glob("services/*/src"))
    return [*SOURCES, *services]


def _write_paths() -> None:
    """Put the source folders on the environment's path; nothing of ours is built or copied."""
    site = next((VENV / "lib").glob("python3.*/site-packages"))
    (site / "lotpro.pth").write_text("".join(f"{ROOT / source}\n" for source in _sources()))


def _run(*command: str, **environment: str) -> bool:
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode == 0


def _version_of(python: Path) -> tuple[int, ...]:
    done = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
    )
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else (0,)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _say(text: str) -> None:
    sys.stdout.write(f"setup: {text}\n")
    sys.stdout.flush()


def _complain(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
