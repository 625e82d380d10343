"""Scheduled work on the log's days."""

import asyncio

from lotpro_audit.db import RETENTION
from lotpro_audit.events import domain, repository, service
from lotpro_audit.ports import Ports
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run

#: A worker that runs for weeks makes days ready by itself, twice as often as needed.
EVERY_SECONDS = 6 * 3600.0


def make_days(database: Database) -> Job:
    """Keeps tables for the next days ready."""

    async def work(run: Run) -> Counts:
        days = domain.days_ahead(run.as_of)
        async with database.begin(system(scope=RETENTION)) as session:
            if run.dry_run:
                return {"days": len(set(days) - set(await repository.days(session)))}
            return {"days": await service.make_days(session, days)}

    return Job("create-partitions", "Make the log's tables for today and the next 7 days.", "5 0 * * *", work)


def expire_events(database: Database) -> Job:
    """Forgets days whose retention is over: 180 days (policy, Data Retention, security logs)."""

    async def work(run: Run) -> Counts:
        async with database.begin(system(scope=RETENTION)) as session:
            return await service.expire_days(session, as_of=run.as_of, dry_run=run.dry_run)

    return Job("expire-events", "Drop days of the security log that are older than 180 days.", "15 0 * * *", work)


async def keep_days_ready(database: Database, ports: Ports) -> None:
    """Run beside the worker: makes the coming days' tables, at start and every six hours."""
    while True:
        await make_days(database).work(Run(as_of=ports.clock()))
        await asyncio.sleep(EVERY_SECONDS)
