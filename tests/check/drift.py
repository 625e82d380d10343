"""Whether every service's migrations make exactly the tables its models describe, on a real PostgreSQL."""

import asyncio
import importlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from gateway.render import SERVICES
from lotpro_kit import migrations, service, testing

PASSWORD = "only-for-this-check"


async def _drift(admin: URL, spec: service.Service[Any]) -> list[str]:
    await migrations.provision(admin, spec.name, owner_password=PASSWORD, app_password=PASSWORD)
    url = admin.set(username=f"{spec.name}_owner", password=PASSWORD, database=spec.name)
    await migrations.upgrade(url, spec.migrations)
    return await migrations.drift(url, spec.metadata)


def main() -> int:
    """1 and a line for each difference when models and migrations disagree."""
    differences = []
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        server = testing.start(
            "lotpro_localcloud.postgres", "--state", str(state / "pg"), "--throw-away", log=state / "postgres.log"
        )
        try:
            testing.wait_for_postgres(int(server.ready["port"]))
            password = (state / "pg" / "superuser-password").read_text()
            admin = URL.create(
                "postgresql+asyncpg", "lotpro_admin", password, "127.0.0.1", int(server.ready["port"]), "postgres"
            )
            for name in SERVICES:
                spec = importlib.import_module(f"lotpro_{name}.app").SERVICE
                differences += [f"{name}: {line}" for line in asyncio.run(_drift(admin, spec))]
        finally:
            server.stop(signal.SIGINT)
    for line in differences:
        print(line)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
