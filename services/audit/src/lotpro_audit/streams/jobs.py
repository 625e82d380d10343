"""The work on streams: sending what was logged, as soon as it is, each stream for itself."""

import asyncio
from functools import partial
from uuid import UUID

from lotpro_audit.db import STREAMS
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.streams import service
from lotpro_audit.streams.service import Outside
from lotpro_kit import telemetry, wake
from lotpro_kit.caller import system

#: Streams that are sent at once in a process; the rest waits for a place, the longest waiting first.
AT_ONCE = 64

log = telemetry.logger(__name__)


class Pump:
    """Sends every stream's events in their order, whoever else is stuck. Any number of processes may."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._loop = wake.Loop(outside.database, channel=sequencer.LOGGED, work=self.look)
        self._running: dict[UUID, asyncio.Task[None]] = {}
        #: Somebody waits for a place, or a stream that runs may have looked before the newest event came.
        self._more = False

    async def run(self) -> None:
        """Send until cancelled; a lost database is waited for."""
        try:
            await self._loop.run()
        finally:
            # What is on its way comes again when its lease has run out: whether it arrived is not known.
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def look(self) -> None:
        """Begin to send to every stream that has something to be sent and is not being sent."""
        async with self._outside.database.begin(system(scope=STREAMS)) as session:
            due = await service.due(session, self._outside.ports)
        for org_id, stream_id in due:
            if stream_id in self._running or len(self._running) >= AT_ONCE:
                self._more = True
                continue
            task = asyncio.create_task(self._send(org_id, stream_id))
            self._running[stream_id] = task
            task.add_done_callback(partial(self._ended, stream_id))

    async def idle(self) -> None:
        """Wait until nothing is being sent."""
        while self._running:
            await asyncio.gather(*self._running.values())

    def _ended(self, stream_id: UUID, _: "asyncio.Task[None]") -> None:
        del self._running[stream_id]
        if self._more:
            self._more = False
            self._loop.wake()

    async def _send(self, org_id: UUID, stream_id: UUID) -> None:
        """Send batch after batch, until there is nothing more or one did not arrive."""
        try:
            while await self._send_batch(org_id, stream_id):
                pass
        except Exception as error:
            # One stream's trouble is nobody else's; it is looked at again when its lease has run out.
            log.error("stream not sent", error=type(error).__name__, at=telemetry.place_of(error))

    async def _send_batch(self, org_id: UUID, stream_id: UUID) -> bool:
        database, ports = self._outside.database, self._outside.ports
        async with database.begin(system(org_id)) as session:
            batch = await service.lease_batch(session, ports, org_id=org_id, stream_id=stream_id)
        if batch is None:
            return False
        fate = await service.send_batch(self._outside, batch)
        async with database.begin(system(org_id)) as session:
            wait = await service.settle_batch(session, ports, batch, fate)
        if wait is not None:
            log.info("stream waits", stream=str(stream_id), reason=fate.error, seconds=round(wait.total_seconds()))
            self._loop.wake(after=wait.total_seconds())
        return fate.arrived
