"""The processor: looks into stored webhooks, a few at a time."""

import asyncio

from lotpro_billing.db import SCOPE
from lotpro_billing.ports import Ports
from lotpro_billing.webhooks import repository, service
from lotpro_billing.webhooks.domain import WebhookEvent
from lotpro_kit import errors, telemetry, wake
from lotpro_kit.caller import system
from lotpro_kit.db import Database

#: Each holds a database connection while Stripe is asked, so they leave most of the pool to the doors.
AT_ONCE = 2

log = telemetry.logger(__name__)


class Processor:
    """Looks into stored webhooks until cancelled; woken by new ones. Several may run, also in different processes."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports
        self._loop = wake.Loop(database, channel=repository.CHANNEL, work=self._drain)

    async def run(self) -> None:
        """Process until cancelled."""
        await self._loop.run()

    def wake(self) -> None:
        """Look for stored webhooks soon."""
        self._loop.wake()

    async def _drain(self) -> None:
        await asyncio.gather(*(self._drain_one_by_one() for _ in range(AT_ONCE)))

    async def _drain_one_by_one(self) -> None:
        while await self._process_next():
            pass

    async def _process_next(self) -> bool:
        """Look into one event; False when none is due."""
        event: WebhookEvent | None = None
        now = self._ports.clock()
        try:
            async with self._database.begin(system(scope=SCOPE)) as session:
                event = await service.next_webhook(session=session, now=now)
                if event is None:
                    return False
                await service.process_webhook(session=session, ports=self._ports, event=event)
        except Exception as error:
            if event is None:
                raise
            # Also what nobody foresaw: one webhook that breaks us must not keep the others waiting.
            reason = error.code if isinstance(error, errors.Error) else errors.Error.code
            log.warning(
                "webhook not processed", event_id=event.event_id, type=event.type, code=reason,
                error=type(error).__name__, at=telemetry.place_of(error),
            )
            async with self._database.begin(system(scope=SCOPE)) as session:
                again = await service.postpone_webhook(session=session, event=event, reason=reason, now=now)
            self._loop.wake(after=(again - now).total_seconds())
        return True
