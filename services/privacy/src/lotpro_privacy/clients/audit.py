"""What privacy asks of audit: to write down an act before it happens."""

from typing import Protocol
from uuid import UUID

import grpc.aio

from lotpro.audit.v1 import audit_pb2, audit_pb2_grpc
from lotpro.security.v1 import events_pb2
from lotpro_kit import rpc


class Audit(Protocol):
    """Audit, as far as privacy needs it."""

    async def append(self, event_id: UUID, event: events_pb2.SecurityEvent) -> None:
        """The event stands in the log when this returns; raises Unavailable otherwise."""
        ...


class AuditOverGrpc:
    """AuditService."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = audit_pb2_grpc.AuditServiceStub(channel)

    async def append(self, event_id: UUID, event: events_pb2.SecurityEvent) -> None:
        with rpc.calling("audit"):
            await self._stub.AppendEvent(audit_pb2.AppendEventRequest(event_id=str(event_id), event=event))
