"""The work on alerts: looking at what was logged, as soon as it is, and forgetting what is over."""

from lotpro_audit.alerts import service
from lotpro_audit.db import ALERTS, RETENTION
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_kit import wake
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run


class Watcher:
    """Holds every organisation's log against its alerts; any number of processes may."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports

    async def run(self) -> None:
        """Look whenever something was logged, until cancelled; a lost database is waited for."""
        await wake.Loop(self._database, channel=sequencer.LOGGED, work=self.look).run()

    async def look(self) -> None:
        """Look at what was logged until now: a transaction for each organisation in turn, until none is behind."""
        while True:
            async with self._database.begin(system(scope=ALERTS)) as session:
                behind = await service.behind(session)
            going_on = False
            for org_id in behind:
                async with self._database.begin(system(org_id)) as session:
                    going_on |= await service.evaluate(session, self._ports, org_id=org_id)
            if not going_on:
                return


def forget_alerts(database: Database) -> Job:
    """Forgets raised alerts with the days of the log they are about, and counts that can matter no more."""

    async def work(run: Run) -> Counts:
        async with database.begin(system(scope=RETENTION)) as session:
            windows, raised = await service.forget_old(session, as_of=run.as_of, dry_run=run.dry_run)
        return {"windows": windows, "raised": raised}

    return Job("forget-alerts", "Drop raised alerts older than 180 days, and counts that are over.", "45 0 * * *", work)
