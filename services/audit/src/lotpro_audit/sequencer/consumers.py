"""The event door: everything that arrives on security-events goes into the log, whoever's turn it is to write."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lotpro.security.v1 import events_pb2
from lotpro_audit.events import wire
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer.service import Sequencer, Written
from lotpro_audit.tree import jobs as tree_jobs
from lotpro_audit.tree.service import LogDamaged
from lotpro_audit.verification import alarm
from lotpro_kit import bus
from lotpro_kit.db import Database

#: A damaged log needs people; it is looked at again this often, in seconds.
DAMAGED_SECONDS = 30.0


def consumer(database: Database, sequencer: Sequencer, ports: Ports) -> bus.BurstConsumer:
    """The subscription to security-events."""

    told: set[str] = set()

    @asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        try:
            async with sequencer.lead(), asyncio.TaskGroup() as tasks:
                beside = (
                    tasks.create_task(sequencer.follow_intake()),
                    tasks.create_task(tree_jobs.keep_anchored(database, ports)),
                )
                yield
                for task in beside:
                    task.cancel()
        except* LogDamaged as damaged:
            reason = str(damaged.exceptions[0])
            if reason not in told:
                told.add(reason)
                await alarm.sound(database, ports, reason=reason, damages=1)
            await asyncio.sleep(DAMAGED_SECONDS)
            raise

    async def on_security_events(
        arrived: Sequence[tuple[events_pb2.SecurityEvent, bus.Delivery]]
    ) -> list[bus.Unreadable | None]:
        answers = await sequencer.append([wire.read(event, delivery.id, ports) for event, delivery in arrived])
        return [None if isinstance(answer, Written) else bus.Unreadable(answer.code) for answer in answers]

    return bus.BurstConsumer(
        "security-events", events_pb2.SecurityEvent, handle=on_security_events, turn=turn
    )
