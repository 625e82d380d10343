"""Audit, wired: the only place where its parts meet."""

from functools import partial

from lotpro.audit.v1 import audit_pb2, audit_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_audit.db import METADATA, ROOM
from lotpro_audit.events import api as events_api
from lotpro_audit.events import consumers, jobs
from lotpro_audit.events.rpc import AuditRpc
from lotpro_audit.participant.rpc import ParticipantRpc
from lotpro_audit.ports import Ports
from lotpro_audit.settings import Settings
from lotpro_kit import inbox, rpc, service
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run


def wire(runtime: service.Runtime[Settings]) -> service.Parts:
    """Audit's doors on a runtime."""
    database, settings = runtime.database, runtime.settings
    ports = Ports(
        keyring=runtime.keyring,
        sealing_key=lambda: settings.sealing_key.get_secret_value(),
        security_log=runtime.security_log,
        clock=runtime.clock,
    )
    return service.Parts(
        routers=[events_api.router(database, runtime.cursors, ports)],
        servicers=[
            rpc.Servicer(
                audit_pb2.DESCRIPTOR, audit_pb2_grpc.add_AuditServiceServicer_to_server, AuditRpc(database, ports)
            ),
            rpc.Servicer(
                participant_pb2.DESCRIPTOR,
                participant_pb2_grpc.add_PrivacyParticipantServiceServicer_to_server,
                ParticipantRpc(database, ports),
            ),
        ],
        consumers=[consumers.consumer(database, ports)],
        jobs=[_forget_claims(database), jobs.make_days(database), jobs.expire_events(database)],
        loops=[partial(jobs.keep_days_ready, database, ports)],
    )


def _forget_claims(database: Database) -> Job:
    """Audit answers no idempotency keys, so it has only inbox claims to forget."""

    async def work(run: Run) -> Counts:
        if run.dry_run:
            return {"events": 0}
        async with database.begin(system(scope="retention")) as session:
            return {"events": await inbox.forget(session)}

    return Job("forget-plumbing", "Drop old inbox claims.", "15 3 * * *", work)


SERVICE: service.Service[Settings] = service.Service(
    name="audit",
    title="Audit",
    description="The security log: who did what, when and where, for 180 days.",
    settings=Settings,
    metadata=METADATA,
    migrations=ROOM / "migrations",
    wire=wire,
)
