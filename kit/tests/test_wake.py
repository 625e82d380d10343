"""Work that a committed row wakes."""

import asyncio
from contextlib import suppress

from sqlalchemy import text

from kit.tests.conftest import Sample
from lotpro_kit import testing, wake
from lotpro_kit.caller import system


async def test_a_notification_wakes_the_work_and_a_lost_connection_is_made_again(sample: Sample) -> None:
    worked = 0

    async def work() -> None:
        nonlocal worked
        worked += 1

    async def more_than(number: int) -> bool:
        return worked > number

    async def notify(statement: str) -> None:
        async with sample.runtime.database.begin(system()) as session:
            await session.execute(text(statement))

    loop = wake.Loop(sample.runtime.database, channel="test_wake", work=work)
    running = asyncio.create_task(loop.run())
    try:
        await testing.eventually(lambda: more_than(0))
        before = worked
        await notify("SELECT pg_notify('test_wake', '')")
        await testing.eventually(lambda: more_than(before), within=2)
        before = worked
        await notify(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%test_wake%'"
            " AND pid <> pg_backend_pid()"
        )
        loop.wake()
        await testing.eventually(lambda: more_than(before), within=5)
        for after in (0.0, 0.1):
            before = worked
            loop.wake(after=after)
            await testing.eventually(lambda: more_than(before), within=2)  # noqa: B023 - awaited before it changes
    finally:
        # Woken and cancelled in one breath it must still end.
        loop.wake()
        running.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(running, return_exceptions=True)


async def test_work_that_forgets_that_it_was_cancelled_is_the_last(sample: Sample) -> None:
    """As the bus's SDK does in Python 3.11: a service would not end, and go on with the rows of the next one."""
    worked = 0
    begun = asyncio.Event()

    async def work() -> None:
        nonlocal worked
        worked += 1
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    running = asyncio.create_task(wake.Loop(sample.runtime.database, channel="test_wake", work=work).run())
    await begun.wait()
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=10)
    assert (done, worked) == ({running}, 1)
    assert running.cancelled()
