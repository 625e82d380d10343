"""Scheduled work on usage."""

from lotpro_audit.db import USAGE
from lotpro_audit.ports import Ports
from lotpro_audit.views import service
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run


def count_usage(database: Database, ports: Ports) -> Job:
    """Counts the use of features on days of which no page view can come any more, a transaction a day.

    A moment that has not come yet can only be tried with a dry run: a day is counted once, so never too early.
    """

    async def work(run: Run) -> Counts:
        as_of = run.as_of if run.dry_run else min(run.as_of, ports.clock())
        async with database.begin(system(scope=USAGE)) as session:
            days = await service.days_to_count(session, as_of=as_of)
        features = 0
        for day in days:
            async with database.begin(system(scope=USAGE)) as session:
                features += await service.count_day(session, day, now=ports.clock(), dry_run=run.dry_run)
        return {"days": len(days), "features": features}

    return Job("count-usage", "Count which features at least 10 people used on a day.", "30 2 * * *", work)
