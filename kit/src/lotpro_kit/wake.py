"""Work that a committed row wakes: PostgreSQL's LISTEN/NOTIFY, with a sweep for what waits for its time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lotpro_kit import telemetry
from lotpro_kit.db import Database

#: Rows that wait for their time are looked for this often; new rows wake the work at once.
SWEEP_SECONDS = 15.0

log = telemetry.logger(__name__)


class Loop:
    """Does `work` at its start, whenever `channel` is notified, after `wake`, and every SWEEP_SECONDS."""

    def __init__(
        self, database: Database, *, channel: str, work: Callable[[], Awaitable[None]], rest: float = 0.0
    ) -> None:
        """`rest`: seconds after each round of work in which notifications gather for the next one."""
        self._database = database
        self._channel = channel
        self._work = work
        self._rest = rest
        self._wake = asyncio.Event()

    def wake(self, *, after: float = 0.0) -> None:
        """Work again without a notification: soon, or in so many seconds, for a row that waits for its time."""
        if after <= 0:
            self._wake.set()
        elif after < SWEEP_SECONDS:
            asyncio.get_running_loop().call_later(after, self._wake.set)

    async def run(self) -> None:
        """Work until cancelled; a lost database is waited for."""
        while True:
            try:
                await self._listen_and_work()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, TimeoutError, PoolTimeout) as e:
                log.warning("loop lost the database", channel=self._channel, error=type(e).__name__)
                await asyncio.sleep(1)

    async def _listen_and_work(self) -> None:
        listener = await self._database.connect()
        try:
            await listener.add_listener(self._channel, lambda *_: self._wake.set())
            while not listener.is_closed():
                self._wake.clear()
                await self._work()
                _go_on_with_cancelling()
                if self._rest:
                    await asyncio.sleep(self._rest)
                # Not wait_for: in Python 3.11 it forgets a cancellation that comes together with the wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_SECONDS):
                        await self._wake.wait()
        finally:
            await listener.close(timeout=2)


def _go_on_with_cancelling() -> None:
    """Raise a cancellation that the work was told of and forgot: the bus's SDK uses wait_for, which may (see above)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
