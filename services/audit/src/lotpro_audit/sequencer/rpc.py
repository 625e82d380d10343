"""The gRPC door: an event is in the log before the caller goes on."""

from typing import Any

from lotpro.audit.v1 import audit_pb2, audit_pb2_grpc
from lotpro_audit.events import wire
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service
from lotpro_kit import rpc
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
        event = wire.read(request.event, event_id, self._ports)
        seq = await service.append_and_wait(self._database, self._ports, event)
        return audit_pb2.AppendEventResponse(event_id=str(event_id), seq=seq)
