"""The event door: everything that arrives on security-events goes into the log, whoever's turn it is to write."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lotpro.security.v1 import events_pb2
from lotpro_audit.events import wire
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer.service import Sequencer, Written
from lotpro_audit.tree.service import LogDamaged
from lotpro_kit import bus, telemetry

#: A damaged log needs people; it is looked at again this often, in seconds.
DAMAGED_SECONDS = 30.0

log = telemetry.logger(__name__)


def consumer(sequencer: Sequencer, ports: Ports) -> bus.BurstConsumer:
    """The subscription to security-events."""

    @asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        try:
            async with sequencer.lead(), asyncio.TaskGroup() as tasks:
                following = tasks.create_task(sequencer.follow_intake())
                yield
                following.cancel()
        except LogDamaged as error:
            log.error("the log is damaged; nothing is written", reason=str(error))
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
