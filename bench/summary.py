"""What the summary of suspicious activity of an organisation takes, at a million events a month."""

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import psutil

from bench import figure
from lotpro_audit.app import SERVICE
from lotpro_audit.summaries import service
from lotpro_kit import testing
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database, fetch

EVENTS, DAYS, ROUNDS, WARM = 1_000_000, 30, 60, 8
#: One event in fifty looks like an attack: 20,000 a month, most of them failed sign-ins.
SUSPICIOUS = 50
PEOPLE, ADDRESSES = 2_000, 20_000
_FILL = """
INSERT INTO events (occurred_at, seq, org_seq, org_id, actor_id, ip_index, success, action, leaf)
SELECT $2::timestamptz + n * ($3::interval / $4::bigint), n, n, $1,
    md5('actor' || n * 7919 / $7::int % $5::int)::uuid,
    decode(substr(md5('ip' || n * 104729 / $7::int % $6::int), 1, 16), 'hex'),
    n % $7::int <> 0, CASE WHEN n % $7::int <> 0 THEN 'inventory:vehicle:view'
        ELSE (ARRAY['identity:session:create', 'identity:session:create', 'identity:session:create',
        'identity:session:refresh_reuse', 'identity:device:trust'])[1 + n / $7::int % 5] END,
    convert_to('{"seq":' || n || repeat(' ', 600) || ',"factor":"' || (ARRAY['password', 'totp'])[1 + n / 250 % 2]
        || '"}', 'UTF8')
FROM generate_series(0, $4::bigint - 1) AS n
"""


@asynccontextmanager
async def _filled(org_id: UUID, since: datetime) -> AsyncIterator[Database]:
    """A server of its own with a month of one organisation's events."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        server = testing.start(
            "lotpro_localcloud.postgres", "--state", str(state / "pg"), "--throw-away", log=state / "postgres.log"
        )
        try:
            await asyncio.to_thread(testing.wait_for_postgres, int(server.ready["port"]))
            password = (state / "pg" / "superuser-password").read_text()
            postgres = testing.Postgres(int(server.ready["port"]), password, server)
            name = await postgres.database_of(SERVICE)
            admin = await asyncpg.connect(
                host="127.0.0.1", port=postgres.port, user="lotpro_admin", password=password, database=name
            )
            for number in range(-180, DAYS + 8):
                await admin.execute("SELECT audit_make_day($1)", (since + timedelta(days=number)).date())
            await admin.execute(
                _FILL, org_id, since, timedelta(days=DAYS), EVENTS, PEOPLE, ADDRESSES, SUSPICIOUS, timeout=600
            )
            await admin.execute("VACUUM ANALYZE events", timeout=600)
            await admin.close()
            url = postgres.url("audit_app", None, name)
            database = Database(url, password=testing.APP_PASSWORD, pool_size=1)
            yield database
            await database.close()
        finally:
            server.stop(signal.SIGINT)


async def main() -> bool:
    """Print the figure; True when it meets its bar."""
    org_id = uuid4()
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = until - timedelta(days=DAYS)
    caller = Caller(kind="user", user_id=uuid4(), org_id=org_id, stores=None)
    samples: list[float] = []
    counted, cpu = 0, 0.0
    async with _filled(org_id, since) as database:
        async with database.begin(caller) as session:
            [row] = await fetch(session, "SELECT pg_backend_pid() AS pid")
        backend = psutil.Process(row["pid"])
        for number in range(ROUNDS + WARM):
            if number == WARM:
                cpu = _cpu(backend)
            begun = time.perf_counter()
            async with database.begin(caller) as session:
                found = await service.summary(session, org_id=org_id, stores=None, since=since, until=until)
            if number >= WARM:
                samples.append((time.perf_counter() - begun) * 1000)
            counted = sum(day.failed_sign_ins for day in found.days)
        cpu = (_cpu(backend) - cpu) / ROUNDS * 1000
    assert counted == EVENTS // SUSPICIOUS * 3 // 5, counted
    note = (
        f"of {EVENTS:,} events of a month {EVENTS // SUSPICIOUS:,} are suspicious; PostgreSQL's CPU {cpu:.0f} ms each"
    )
    return figure.report(
        "audit_summary_p50", figure.percentile(samples, 0.5), "ms", bar=50, better="lower", samples=samples, note=note
    )


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
