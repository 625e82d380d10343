"""The workers that make exports, and the job that forgets them."""

import asyncio
from typing import Any

from lotpro_audit.db import RETENTION
from lotpro_audit.exports import repository, service
from lotpro_audit.exports.service import LeaseLost
from lotpro_audit.ports import Ports
from lotpro_kit import telemetry, wake
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run

#: While exports are made, new ones are looked for this often, in seconds.
LOOK_SECONDS = 0.5
#: Exports that are destroyed in one transaction.
EXPIRED_AT_ONCE = 20

log = telemetry.logger(__name__)


def expire_exports(database: Database, ports: Ports) -> Job:
    """Destroys exports that are a day old: their keys, and with them every copy of their files."""

    async def work(run: Run) -> Counts:
        if run.dry_run:
            async with database.begin(system(scope=RETENTION)) as session:
                return {"exports": await service.count_expired(session, as_of=run.as_of)}
        total = 0
        while True:
            async with database.begin(system(scope=RETENTION)) as session:
                count = await service.expire(session, ports, as_of=run.as_of, limit=EXPIRED_AT_ONCE)
            total += count
            if count < EXPIRED_AT_ONCE:
                return {"exports": total}

    return Job("expire-exports", "Destroy exports that were opened a day ago.", "45 * * * *", work)


class Exporter:
    """Makes exports as long as there are any to make; sleeps until a new one, or until one is to be taken over."""

    def __init__(self, database: Database, ports: Ports, *, at_once: int = service.AT_ONCE) -> None:
        self._database, self._ports, self._at_once = database, ports, at_once
        self._loop = wake.Loop(database, channel=repository.CHANNEL, work=self.work)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    async def work(self) -> None:
        """Make everything that is due, one export an organisation and a few in all side by side."""
        making: set[asyncio.Task[None]] = set()
        try:
            while True:
                while (leased := await service.lease_next(self._database, self._ports)) is not None:
                    making.add(asyncio.create_task(self._make(leased)))
                if not making:
                    break
                done, making = await asyncio.wait(making, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for finished in done:
                    finished.result()
        finally:
            for unfinished in making:
                unfinished.cancel()
            await asyncio.gather(*making, return_exceptions=True)
        due = await service.next_due(self._database, self._ports)
        if due is not None:
            self._loop.wake(after=(due - self._ports.clock()).total_seconds())

    async def _make(self, leased: Any) -> None:
        """Make one; whatever stops it, others are not, and it goes on with the next lease of it."""
        try:
            await service.make(self._database, self._ports, leased, at_once=self._at_once)
        except LeaseLost:
            log.info("an export was taken over or deleted", export=str(leased.id))
        except Exception as error:
            log.warning(
                "an export was interrupted", export=str(leased.id), error=type(error).__name__,
                at=telemetry.place_of(error),
            )
