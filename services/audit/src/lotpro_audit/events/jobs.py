"""Scheduled work on the log's days."""

import asyncio
from datetime import date

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lotpro_audit.db import RETENTION
from lotpro_audit.events import days, domain
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_kit import telemetry
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run

#: A worker that runs for weeks makes days ready by itself, far oftener than needed.
EVERY_SECONDS = 6 * 3600.0
AGAIN_SECONDS = 5.0
#: Ids that are dropped in one transaction.
CLAIMS_AT_ONCE = 20_000

log = telemetry.logger(__name__)


def make_days(database: Database) -> Job:
    """Keeps tables for the next days ready."""

    async def work(run: Run) -> Counts:
        coming = domain.days_ahead(run.as_of)
        async with database.begin(system(scope=RETENTION)) as session:
            if run.dry_run:
                return {"days": await days.count_missing_days(session, coming)}
            return {"days": await days.make_days(session, coming)}

    return Job("create-partitions", "Make the log's tables for today and the next 7 days.", "5 0 * * *", work)


def expire_events(database: Database, ports: Ports) -> Job:
    """Forgets days whose retention is over: 180 days (policy, Data Retention, security logs).

    Each day is held against the tree, what holds reach is copied with its proof, and the day goes together with what
    the log is to say of it; whoever dies on the way is followed by the next run. A day that is damaged stays. A moment
    that has not come yet can only be tried with a dry run: nothing goes early.
    """

    async def work(run: Run) -> Counts:
        as_of = run.as_of if run.dry_run else min(run.as_of, ports.clock())
        async with database.begin(system(scope=RETENTION)) as session:
            expired = await days.expired_days(session, as_of=as_of)
        events, failed = 0, 0
        if not run.dry_run:
            await days.wait_until_said(database)
        for day in expired:
            try:
                events += await (_count(database, day) if run.dry_run else _expire(database, ports, day))
            except days.DayDamaged as error:
                failed += 1
                log.error("a day of the log is damaged and stays", reason=str(error))
        keys = await _forget_keys(database, Run(as_of, run.dry_run))
        return {"days": len(expired) - failed, "events": events, "keys": keys, "failed": failed}

    return Job("expire-events", "Drop days of the security log that are older than 180 days.", "15 0 * * *", work)


async def _count(database: Database, day: date) -> int:
    async with database.begin(system(scope=RETENTION)) as session:
        return await days.count_day(session, day)


async def _expire(database: Database, ports: Ports, day: date) -> int:
    now = ports.clock()
    going = await days.prepare(database, day, now=now)
    async with database.begin(system(scope=RETENTION)) as session:
        await days.drop(session, day, ports, going=going, now=now)
    await days.wait_until_said(database)
    return 0 if going is None else going.count


async def _forget_keys(database: Database, run: Run) -> int:
    keys = 0
    while True:
        async with database.begin(system(scope=RETENTION)) as session:
            count = await days.forget_keys(session, as_of=run.as_of, dry_run=run.dry_run)
        keys += count
        if run.dry_run or count < days.KEYS_AT_ONCE:
            return keys


def forget_claims(database: Database) -> Job:
    """Forgets the ids of events that came, once the log would refuse them as too old if they came again."""

    async def work(run: Run) -> Counts:
        events = 0
        while not run.dry_run:
            async with database.begin(system(scope=RETENTION)) as session:
                count = await sequencer.forget_claims(session, as_of=run.as_of, limit=CLAIMS_AT_ONCE)
            events += count
            if count < CLAIMS_AT_ONCE:
                break
        return {"events": events}

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
