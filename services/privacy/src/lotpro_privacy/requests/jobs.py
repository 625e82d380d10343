"""The engine that collects, and scheduled work on old cases."""

import asyncio

import lotpro_policy
from lotpro_kit import wake
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run
from lotpro_privacy.db import RETENTION
from lotpro_privacy.ports import Ports
from lotpro_privacy.requests import repository, service

#: Services asked side by side: one that is slow holds up neither the others nor other cases.
AT_ONCE = 6
#: While somebody is being asked, new cases are looked for this often.
LOOK_SECONDS = 0.5
#: Cases removed in one transaction.
PURGED_AT_ONCE = 100


def purge_answers(database: Database) -> Job:
    """Forgets closed cases whose evidence is past its retention (lotpro_policy: privacy_case_evidence, 24 months)."""

    async def work(run: Run) -> Counts:
        before = lotpro_policy.policy().retention["privacy_case_evidence"].cutoff(run.as_of)
        if run.dry_run:
            async with database.begin(system(scope=RETENTION)) as session:
                return {"requests": await repository.closed_before(session, before=before)}
        total = 0
        while True:
            async with database.begin(system(scope=RETENTION)) as session:
                count = await repository.purge(session, before=before, limit=PURGED_AT_ONCE)
            total += count
            if count < PURGED_AT_ONCE:
                return {"requests": total}

    return Job("purge-answers", "Remove requests 24 months after their answer.", "30 2 * * *", work)


class Engine:
    """Asks services as long as there is something to ask; sleeps until a new case, or until a retry is due."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports
        self._loop = wake.Loop(database, channel=service.CHANNEL, work=self.collect)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    async def collect(self) -> None:
        """Ask everything that is due, AT_ONCE services side by side; then see to it that retries come on time."""
        asking: set[asyncio.Task[None]] = set()
        try:
            while True:
                while len(asking) < AT_ONCE:
                    task = await service.lease_next(self._database, self._ports)
                    if task is None:
                        break
                    asking.add(asyncio.create_task(service.collect(self._database, self._ports, task)))
                if not asking:
                    break
                done, asking = await asyncio.wait(
                    asking, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                for finished in done:
                    finished.result()
        finally:
            for unfinished in asking:
                unfinished.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        due = await service.next_due(self._database)
        if due is not None:
            self._loop.wake(after=(due - self._ports.clock()).total_seconds())
