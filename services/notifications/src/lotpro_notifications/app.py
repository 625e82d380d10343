"""Notifications, wired: the only place where its parts meet."""

import httpx

from lotpro.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_kit import rpc, service
from lotpro_notifications.clients.identity import IdentityOverGrpc
from lotpro_notifications.clients.inventory import InventoryOverGrpc
from lotpro_notifications.clients.mail import SendGrid
from lotpro_notifications.clients.outcome import TIMEOUT_SECONDS
from lotpro_notifications.clients.sms import Twilio
from lotpro_notifications.db import METADATA, ROOM
from lotpro_notifications.messages import api as messages_api
from lotpro_notifications.messages import consumers as messages_consumers
from lotpro_notifications.messages.jobs import Sender
from lotpro_notifications.messages.rpc import NotificationsRpc
from lotpro_notifications.participant.rpc import ParticipantRpc
from lotpro_notifications.ports import Ports
from lotpro_notifications.preferences import api as preferences_api
from lotpro_notifications.settings import Settings


def wire(runtime: service.Runtime[Settings]) -> service.Parts:
    """Notifications' doors on a runtime, and the loop that sends."""
    database, settings = runtime.database, runtime.settings
    # A proxy in the environment is for people's tools; what may leave a service is a matter of the network.
    http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)
    runtime.closing.append(http.aclose)
    ports = Ports(
        identity=IdentityOverGrpc(runtime.channel(settings.identity_grpc)),
        inventory=InventoryOverGrpc(runtime.channel(settings.inventory_grpc)),
        post=SendGrid(http, settings),
        texting=Twilio(http, settings),
        clock=runtime.clock,
        public_url=settings.public_url,
    )
    return service.Parts(
        routers=[
            messages_api.router(database, runtime.cursors), preferences_api.router(database, runtime.clock),
        ],
        servicers=[
            rpc.Servicer(
                notifications_pb2.DESCRIPTOR,
                notifications_pb2_grpc.add_NotificationsServiceServicer_to_server,
                NotificationsRpc(database),
            ),
            rpc.Servicer(
                participant_pb2.DESCRIPTOR,
                participant_pb2_grpc.add_PrivacyParticipantServiceServicer_to_server,
                ParticipantRpc(database, ports.identity),
            ),
        ],
        consumers=messages_consumers.consumers(database, ports),
        jobs=[service.housekeeping(database)],
        loops=[Sender(database, ports).run],
    )


SERVICE: service.Service[Settings] = service.Service(
    name="notifications",
    title="Notifications",
    description="E-mail and SMS to the people who use lotPro: codes, invitations and news.",
    settings=Settings,
    metadata=METADATA,
    migrations=ROOM / "migrations",
    wire=wire,
)
