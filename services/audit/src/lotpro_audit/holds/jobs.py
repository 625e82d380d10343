"""Scheduled work on holds."""

from lotpro_audit.db import RETENTION
from lotpro_audit.disclosures import service as disclosures
from lotpro_audit.events import days
from lotpro_audit.holds import service
from lotpro_audit.ports import Ports
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run


def release_held(database: Database, ports: Ports) -> Job:
    """Erases events that outlived their day for a hold, once no hold reaches them any more.

    The log says what goes. The data keys that nobody needs then go with the next run of `expire-events`. A moment that
    has not come yet can only be tried with a dry run: nothing goes early.
    """

    async def work(run: Run) -> Counts:
        events = 0
        while True:
            async with database.begin(system(scope=RETENTION)) as session:
                if run.dry_run:
                    return {"events": await service.count_unreached(session, now=run.as_of)}
                now = min(run.as_of, ports.clock())
                count = await service.erase_unreached(session, ports, now=now)
            await days.wait_until_said(database)
            events += count
            if count < service.AT_ONCE:
                return {"events": events}

    return Job("release-held", "Erase events of days that went, once no hold keeps them.", "30 0 * * *", work)


def forget_legal(database: Database, ports: Ports) -> Job:
    """Forgets holds that were over, and disclosures recorded, 24 months ago (lotpro_policy: legal_records)."""

    async def work(run: Run) -> Counts:
        as_of = run.as_of if run.dry_run else min(run.as_of, ports.clock())
        async with database.begin(system(scope=RETENTION)) as session:
            return {
                "holds": await service.forget_holds(session, as_of=as_of, dry_run=run.dry_run),
                "disclosures": await disclosures.forget_disclosures(session, as_of=as_of, dry_run=run.dry_run),
            }

    return Job("forget-legal", "Drop legal records that are older than 24 months.", "45 3 * * *", work)
