"""The event door: everything that arrives on security-events goes into the log."""

from lotpro.security.v1 import events_pb2
from lotpro_audit.db import INGEST
from lotpro_audit.events import service, wire
from lotpro_audit.events.domain import EventOutOfRange, EventUnreadable
from lotpro_audit.ports import Ports
from lotpro_kit import bus
from lotpro_kit.caller import system
from lotpro_kit.db import Database


def consumer(database: Database, ports: Ports) -> bus.Consumer:
    """The subscription to security-events."""

    async def on_security_event(event: events_pb2.SecurityEvent, delivery: bus.Delivery) -> None:
        try:
            async with database.begin(system(scope=INGEST)) as session:
                day = await service.append_event(session, ports, wire.read(event, delivery.id, ports))
        except (EventOutOfRange, EventUnreadable) as error:
            raise bus.Unreadable(error.code) from error
        ports.known_days.add(day)

    return bus.Consumer("security-events", {events_pb2.SecurityEvent: on_security_event})
