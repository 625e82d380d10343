"""Scheduled work on the log's days."""

import asyncio

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lotpro_audit.db import RETENTION
from lotpro_audit.events import domain, service
from lotpro_audit.ports import Ports
from lotpro_kit import inbox, telemetry
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run

#: A worker that runs for weeks makes days ready by itself, far oftener than needed.
EVERY_SECONDS = 6 * 3600.0
AGAIN_SECONDS = 5.0

log = telemetry.logger(__name__)


def make_days(database: Database) -> Job:
    """Keeps tables for the next days ready."""

    async def work(run: Run) -> Counts:
        days = domain.days_ahead(run.as_of)
        async with database.begin(system(scope=RETENTION)) as session:
            if run.dry_run:
                return {"days": await service.count_missing_days(session, days)}
            return {"days": await service.make_days(session, days)}

    return Job("create-partitions", "Make the log's tables for today and the next 7 days.", "5 0 * * *", work)


def expire_events(database: Database, ports: Ports) -> Job:
    """Forgets days whose retention is over: 180 days (policy, Data Retention, security logs).

    One transaction a day. A moment that has not come yet can only be tried with a dry run: nothing goes early.
    """

    async def work(run: Run) -> Counts:
        as_of = run.as_of if run.dry_run else min(run.as_of, ports.clock())
        async with database.begin(system(scope=RETENTION)) as session:
            days = await service.expired_days(session, as_of=as_of)
        events = 0
        for day in days:
            async with database.begin(system(scope=RETENTION)) as session:
                events += await (service.count_day if run.dry_run else service.expire_day)(session, day)
        keys = 0
        while True:
            async with database.begin(system(scope=RETENTION)) as session:
                count = await service.forget_keys(session, as_of=as_of, dry_run=run.dry_run)
            keys += count
            if run.dry_run or count < service.KEYS_AT_ONCE:
                return {"days": len(days), "events": events, "keys": keys}

    return Job("expire-events", "Drop days of the security log that are older than 180 days.", "15 0 * * *", work)


def forget_claims(database: Database) -> Job:
    """Forgets the ids of events that came, once the log would refuse them as too old if they came again."""

    async def work(run: Run) -> Counts:
        if run.dry_run:
            return {"events": 0}
        async with database.begin(system(scope=RETENTION)) as session:
            return {"events": await inbox.forget(session, older_than_days=domain.claim_days())}

    return Job("forget-plumbing", "Drop ids of events that are past the log's days.", "15 3 * * *", work)


async def keep_days_ready(database: Database, ports: Ports) -> None:
    """Run beside the worker: makes the coming days' tables, at start and every six hours; waits for a lost database."""
    while True:
        pause = EVERY_SECONDS
        try:
            await make_days(database).work(Run(as_of=ports.clock()))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, TimeoutError, PoolTimeout) as error:
            log.warning("days are not ready", error=type(error).__name__)
            pause = AGAIN_SECONDS
        await asyncio.sleep(pause)
