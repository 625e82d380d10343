"""The gRPC door: an event is written before the caller goes on."""

from typing import Any

from lotpro.audit.v1 import audit_pb2, audit_pb2_grpc
from lotpro_audit.db import INGEST
from lotpro_audit.events import service, wire
from lotpro_audit.ports import Ports
from lotpro_kit import rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database


class AuditRpc(audit_pb2_grpc.AuditServiceServicer):
    """AuditService of the contract."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports

    async def AppendEvent(  # noqa: N802 - gRPC's name
        self, request: audit_pb2.AppendEventRequest, context: Any
    ) -> audit_pb2.AppendEventResponse:
        """Write one event; the same id again changes nothing."""
        event_id = rpc.request_id(request.event_id)
        async with self._database.begin(system(scope=INGEST)) as session:
            day = await service.append_event(session, self._ports, wire.read(request.event, event_id, self._ports))
        self._ports.known_days.add(day)
        return audit_pb2.AppendEventResponse(event_id=str(event_id))
