"""Audit, wired: the only place where its parts meet."""

from functools import cache, partial

from fastapi import APIRouter

from lotpro.audit.v1 import audit_pb2, audit_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_audit.alerts import api as alerts_api
from lotpro_audit.alerts import jobs as alerts_jobs
from lotpro_audit.clients.receivers import PublicReceivers
from lotpro_audit.db import METADATA, ROOM
from lotpro_audit.disclosures import api as disclosures_api
from lotpro_audit.events import api as events_api
from lotpro_audit.events import jobs
from lotpro_audit.exports import api as exports_api
from lotpro_audit.exports.jobs import Exporter, expire_exports
from lotpro_audit.holds import api as holds_api
from lotpro_audit.holds import jobs as holds_jobs
from lotpro_audit.participant.rpc import ParticipantRpc
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import consumers
from lotpro_audit.sequencer.rpc import AuditRpc
from lotpro_audit.sequencer.service import Sequencer
from lotpro_audit.settings import Settings
from lotpro_audit.streams import api as streams_api
from lotpro_audit.streams.jobs import Pump
from lotpro_audit.streams.service import Outside
from lotpro_audit.summaries import api as summaries_api
from lotpro_audit.tree import api as tree_api
from lotpro_audit.tree import jobs as tree_jobs
from lotpro_audit.tree.anchors import Anchors
from lotpro_audit.tree.notes import SigningKey
from lotpro_audit.verification import jobs as verification_jobs
from lotpro_audit.views import api as views_api
from lotpro_audit.views import consumers as views_consumers
from lotpro_audit.views import jobs as views_jobs
from lotpro_kit import rpc, service


def ports(runtime: service.Runtime[Settings]) -> Ports:
    """What use cases need of the outside, on a runtime."""
    settings = runtime.settings
    return Ports(
        keyring=runtime.keyring,
        blind_index=runtime.blind_index,
        sealing_key=lambda: settings.sealing_key.get_secret_value(),
        checkpoint_key=cache(lambda: SigningKey(settings.checkpoint_key.get_secret_value())),
        anchors=Anchors(runtime.blobs(settings.blob_url)),
        security_log=runtime.security_log,
        clock=runtime.clock,
    )


def wire(runtime: service.Runtime[Settings]) -> service.Parts:
    """Audit's doors on a runtime."""
    database, outside, settings = runtime.database, ports(runtime), runtime.settings
    receivers = PublicReceivers(lambda: settings.sandbox_receivers, ca_bundle=lambda: settings.ca_bundle)
    runtime.closing.append(receivers.close)
    streaming = Outside(database, outside, receivers)
    return service.Parts(
        routers=[
            events_api.router(database, runtime.cursors, outside),
            *_legal_routers(runtime, outside),
            tree_api.router(database, outside),
            exports_api.router(database, runtime.cursors, outside),
            alerts_api.router(database, runtime.cursors, outside),
            streams_api.router(database, runtime.cursors, streaming),
            views_api.router(database, runtime.cursors, outside),
        ],
        servicers=[
            rpc.Servicer(
                audit_pb2.DESCRIPTOR, audit_pb2_grpc.add_AuditServiceServicer_to_server, AuditRpc(database, outside)
            ),
            rpc.Servicer(
                participant_pb2.DESCRIPTOR,
                participant_pb2_grpc.add_PrivacyParticipantServiceServicer_to_server,
                ParticipantRpc(database, outside),
            ),
        ],
        consumers=[
            consumers.consumer(database, Sequencer(database, outside), outside), views_consumers.consumer(database),
        ],
        jobs=[
            jobs.forget_claims(database), jobs.make_days(database), jobs.expire_events(database, outside),
            holds_jobs.release_held(database, outside), holds_jobs.forget_legal(database, outside),
            expire_exports(database, outside), tree_jobs.accept_restored_log(database, outside),
            verification_jobs.verify_log(database, outside), alerts_jobs.forget_alerts(database),
            views_jobs.count_usage(database, outside),
        ],
        loops=[
            partial(jobs.keep_days_ready, database, outside),
            Exporter(database, outside).run,
            alerts_jobs.Watcher(database, outside).run,
            Pump(streaming).run,
        ],
    )


def _legal_routers(runtime: service.Runtime[Settings], outside: Ports) -> list[APIRouter]:
    """Holds, disclosures and the summary of suspicious activity."""
    database = runtime.database
    return [
        summaries_api.router(database, outside),
        holds_api.router(database, runtime.cursors, outside),
        disclosures_api.router(database, runtime.cursors, outside),
    ]


SERVICE: service.Service[Settings] = service.Service(
    name="audit",
    title="Audit",
    description="The security log: who did what, when and where, for 180 days.",
    settings=Settings,
    metadata=METADATA,
    migrations=ROOM / "migrations",
    wire=wire,
)
