"""The sender: takes due messages from the queue, lane by lane, and gives them to the providers."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from lotpro_kit import telemetry, wake
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_notifications.db import SCOPE
from lotpro_notifications.messages import repository, service
from lotpro_notifications.messages.domain import AT_ONCE, LEASE, Lane, Message, State
from lotpro_notifications.messages.service import Fate
from lotpro_notifications.ports import Ports

#: At the end of the process, messages in flight are waited for this long: less than the kit's SHUTDOWN_SECONDS.
FINISH_SECONDS = 18.0

log = telemetry.logger(__name__)


class Sender:
    """Sends until cancelled; woken by new rows. Several may run, also in different processes.

    A message is leased in one transaction, sent outside any, and settled in another. Who dies in between leaves a
    lease that runs out, and then nobody knows whether it was sent: it becomes UNKNOWN and is not sent again.
    """

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database = database
        self._ports = ports
        self._loop = wake.Loop(database, channel=repository.CHANNEL, work=self._dispatch)
        self._in_flight: dict[Lane, set[asyncio.Task[None]]] = {lane: set() for lane in Lane}
        #: Lanes that took as many messages as they had places for: more may be waiting.
        self._full: set[Lane] = set()

    async def run(self) -> None:
        """Send until cancelled, then finish what is in flight."""
        try:
            await self._loop.run()
        finally:
            flying = [task for tasks in self._in_flight.values() for task in tasks]
            if flying:
                await asyncio.wait(flying, timeout=FINISH_SECONDS)

    def wake(self) -> None:
        """Look for due messages soon."""
        self._loop.wake()

    async def _dispatch(self) -> None:
        """Begin sending as many due messages as there are free places in each lane."""
        now = self._ports.clock()
        free = {lane: AT_ONCE[lane] - len(tasks) for lane, tasks in self._in_flight.items()}
        async with self._database.begin(system(scope=SCOPE)) as session:
            lost = await repository.give_up_leases(session, now=now)
            leased = await repository.lease_due(session, free=free, now=now)
        for message in lost:
            log.warning("message lost by its sender", message_id=str(message.id), kind=message.kind)
        taken = Counter(message.lane for message in leased)
        self._full = {lane for lane in Lane if taken[lane] == free[lane]}
        for message in leased:
            self._start(message.lane, self._send(message))

    def _start(self, lane: Lane, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(sending)
        self._in_flight[lane].add(task)
        task.add_done_callback(self._finished(lane))

    def _finished(self, lane: Lane) -> Callable[[asyncio.Task[None]], None]:
        def finished(task: asyncio.Task[None]) -> None:
            self._in_flight[lane].discard(task)
            if lane in self._full:
                self._loop.wake()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("sending broke", error=type(error).__name__, at=telemetry.place_of(error))

        return finished

    async def _send(self, message: Message) -> None:
        with telemetry.span(f"send {message.kind}", lane=message.lane):
            fate = await service.send_message(ports=self._ports, message=message)
            await self._settle(message, fate)
        log.info("message", message_id=str(message.id), kind=message.kind, state=fate.state, reason=fate.reason or "")
        if fate.state is State.QUEUED and fate.next_attempt_at is not None:
            self._loop.wake(after=(fate.next_attempt_at - self._ports.clock()).total_seconds())

    async def _settle(self, message: Message, fate: Fate) -> None:
        """Write the fate down; a lost database is tried again for as long as the lease lasts."""
        until = asyncio.get_running_loop().time() + LEASE.total_seconds() / 2
        while True:
            try:
                async with self._database.begin(system(message.org_id, scope=SCOPE)) as session:
                    await service.settle_message(session=session, message=message, fate=fate, now=self._ports.clock())
                return
            except (SQLAlchemyError, OSError) as error:
                if asyncio.get_running_loop().time() > until:
                    raise
                log.warning("message not settled yet", message_id=str(message.id), error=type(error).__name__)
                await asyncio.sleep(0.5)
