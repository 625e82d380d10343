"""The engine that collects, and scheduled work on old cases."""

import lotpro_policy
from lotpro_kit import wake
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run
from lotpro_privacy.db import RETENTION
from lotpro_privacy.ports import Ports
from lotpro_privacy.requests import repository, service


def purge_answers(database: Database) -> Job:
    """Forgets cases whose evidence is past its retention (lotpro_policy: privacy_case_evidence)."""

    async def work(run: Run) -> Counts:
        before = lotpro_policy.policy().retention["privacy_case_evidence"].cutoff(run.as_of)
        async with database.begin(system(scope=RETENTION)) as session:
            return {"requests": await repository.purge(session, before=before, dry_run=run.dry_run)}

    return Job("purge-answers", "Remove requests and what was collected for them after 24 months.", "30 2 * * *", work)


def engine(database: Database, ports: Ports) -> wake.Loop:
    """Asks services as long as there is something to ask; sleeps until woken by a new case or a due retry."""

    async def work() -> None:
        while await service.collect_next(database, ports):
            pass

    return wake.Loop(database, channel=service.CHANNEL, work=work)
