"""The gRPC door of messages."""

from typing import Any

from lotpro.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from lotpro_kit import rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_notifications.db import SCOPE
from lotpro_notifications.messages import service
from lotpro_notifications.messages.domain import Message


class NotificationsRpc(notifications_pb2_grpc.NotificationsServiceServicer):
    """NotificationsService of the contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ListDeliveries(  # noqa: N802 - gRPC's name
        self, request: notifications_pb2.ListDeliveriesRequest, context: Any
    ) -> notifications_pb2.ListDeliveriesResponse:
        """How far the messages of an event have come; the event's id is what its service knows and nobody else."""
        event_id = rpc.request_id(request.source_event_id)
        async with self._database.begin(system(scope=SCOPE)) as session:
            found = await service.list_deliveries(session=session, event_id=event_id)
        return notifications_pb2.ListDeliveriesResponse(deliveries=map(_delivery, found))


def _delivery(message: Message) -> notifications_pb2.Delivery:
    delivery = notifications_pb2.Delivery(
        message_id=str(message.id), channel=message.channel or "", state=message.state
    )
    delivery.update_time.FromDatetime(message.updated_at)
    return delivery
