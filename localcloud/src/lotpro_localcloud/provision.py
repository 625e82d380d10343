"""Databases and roles of the services, migrated to their newest schema; does nothing when all of it is there."""

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg

from lotpro_localcloud import keys, surroundings
from lotpro_localcloud.postgres import SUPERUSER
from lotpro_localcloud.state import State
from lotpro_localcloud.topology import HOST, SERVICES

START_SECONDS = 60
_REVISION = re.compile(r"^(down_revision|revision)\b[^=]*=\s*(?:\"([^\"]*)\"|'([^']*)'|None)", re.MULTILINE)


def main(argv: Sequence[str] | None = None) -> int:
    """`provision --state DIR --port PORT`: wait for PostgreSQL, then bring every service's database up to date."""
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud provision")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args(argv)
    state = State(arguments.state)
    migrated = asyncio.run(_provision(state, arguments.port, keys.ensure(state / "keys.json")))
    sys.stdout.write(json.dumps({"event": "provisioned", "migrated": migrated}) + "\n")
    return 0


async def _provision(state: State, port: int, secrets: Mapping[str, str]) -> list[str]:
    superuser = await _superuser_password(state)
    await _until_up(port)
    heads = await asyncio.gather(*(_head_of(name, port, secrets) for name in SERVICES))
    behind = [name for name, head in zip(SERVICES, heads, strict=True) if head is None or head != newest(name)]
    if not behind:
        return []
    # Only now: SQLAlchemy, Alembic and the services' models take seconds to import.
    from sqlalchemy.engine import URL

    from lotpro_kit import migrations

    def url(user: str, password: str, database: str) -> URL:
        return URL.create("postgresql+asyncpg", user, password, HOST, port, database)

    for name in behind:
        owner = secrets[f"{name}-migration-database-password"]
        await migrations.provision(
            url(SUPERUSER, superuser, "postgres"), name,
            owner_password=owner, app_password=secrets[f"{name}-database-password"],
        )
        await migrations.upgrade(url(f"{name}_owner", owner, name), migrations_of(name))
    return behind


async def _superuser_password(state: State) -> str:
    """The password that postgres makes on its first start."""
    file = state / "pg" / "superuser-password"
    deadline = time.monotonic() + START_SECONDS
    while not (file.exists() and file.read_text()):
        _give_up_after(deadline)
        await asyncio.sleep(0.05)
    return file.read_text()


async def _until_up(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await asyncpg.connect(host=HOST, port=port, user="nobody-at-all", password="", timeout=2)
        except asyncpg.InvalidPasswordError:
            return
        except (OSError, asyncpg.PostgresError, TimeoutError):
            _give_up_after(deadline)
            await asyncio.sleep(0.05)


def _give_up_after(deadline: float) -> None:
    if time.monotonic() > deadline:
        sys.exit("PostgreSQL did not answer in time")


async def _head_of(name: str, port: int, secrets: Mapping[str, str]) -> str | None:
    """The revision a service's database is at; None when the database, its role or the schema is not there."""
    try:
        connection = await asyncpg.connect(
            host=HOST, port=port, user=f"{name}_owner", database=name,
            password=secrets[f"{name}-migration-database-password"],
        )
    except asyncpg.PostgresError:
        return None
    try:
        return str(await connection.fetchval("SELECT version_num FROM alembic_version"))
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()


def migrations_of(name: str) -> Path:
    """The folder of a service's migrations."""
    return surroundings.root() / "services" / name / "migrations"


def newest(name: str) -> str:
    """The revision that no other comes after, read from the files without importing them."""
    revisions: set[str] = set()
    before: set[str] = set()
    for file in sorted((migrations_of(name) / "versions").glob("*.py")):
        for kind, *texts in _REVISION.findall(file.read_text(encoding="utf-8")):
            (revisions if kind == "revision" else before).add("".join(texts))
    heads = revisions - before
    if len(heads) != 1:
        sys.exit(f"{name} has {len(heads)} newest migrations, and must have one: {', '.join(sorted(heads)) or 'none'}")
    (head,) = heads
    return head


if __name__ == "__main__":
    sys.exit(main())
