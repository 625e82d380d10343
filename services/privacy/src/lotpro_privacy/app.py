"""Privacy, wired: the only place where its parts meet."""

from lotpro.privacy.v1 import privacy_pb2, privacy_pb2_grpc
from lotpro_kit import rpc, service
from lotpro_privacy.clients.audit import AuditOverGrpc
from lotpro_privacy.clients.participants import Participant, ParticipantOverGrpc
from lotpro_privacy.db import METADATA, ROOM
from lotpro_privacy.policy import api as policy_api
from lotpro_privacy.policy.rpc import PrivacyRpc
from lotpro_privacy.ports import Ports
from lotpro_privacy.requests import api as requests_api
from lotpro_privacy.requests import jobs
from lotpro_privacy.requests.domain import PARTICIPANTS
from lotpro_privacy.settings import Settings


def ports(runtime: service.Runtime[Settings]) -> Ports:
    """What use cases need of the outside, on a runtime."""
    channels = {name: runtime.channel(getattr(runtime.settings, f"{name}_grpc")) for name in PARTICIPANTS}
    participants: dict[str, Participant] = {
        name: ParticipantOverGrpc(name, channel) for name, channel in channels.items()
    }
    return Ports(
        participants=participants,
        audit=AuditOverGrpc(channels["audit"]),
        keyring=runtime.keyring,
        security_log=runtime.security_log,
        clock=runtime.clock,
    )


def wire(runtime: service.Runtime[Settings]) -> service.Parts:
    """Privacy's doors on a runtime."""
    database, outside = runtime.database, ports(runtime)
    return service.Parts(
        routers=[policy_api.router(), requests_api.router(database, runtime.cursors, outside)],
        servicers=[
            rpc.Servicer(privacy_pb2.DESCRIPTOR, privacy_pb2_grpc.add_PrivacyServiceServicer_to_server, PrivacyRpc())
        ],
        jobs=[service.housekeeping(database), jobs.purge_answers(database)],
        loops=[jobs.Engine(database, outside).run],
    )


SERVICE: service.Service[Settings] = service.Service(
    name="privacy",
    title="Privacy",
    description="Data-subject rights, and the privacy policy as text and as data.",
    settings=Settings,
    metadata=METADATA,
    migrations=ROOM / "migrations",
    wire=wire,
)
