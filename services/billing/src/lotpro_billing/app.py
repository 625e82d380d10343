"""Billing, wired: the only place where its parts meet."""

from lotpro.billing.v1 import billing_pb2, billing_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_billing.clients.identity import IdentityOverGrpc
from lotpro_billing.clients.stripe import StripeApi
from lotpro_billing.db import METADATA, ROOM
from lotpro_billing.entitlements import api as entitlements_api
from lotpro_billing.entitlements.rpc import BillingRpc
from lotpro_billing.ledger import api as ledger_api
from lotpro_billing.participant.rpc import ParticipantRpc
from lotpro_billing.ports import Ports
from lotpro_billing.settings import Settings
from lotpro_billing.subscriptions import api as subscriptions_api
from lotpro_billing.subscriptions import consumers as subscriptions_consumers
from lotpro_billing.subscriptions.jobs import Starter
from lotpro_billing.webhooks import api as webhooks_api
from lotpro_billing.webhooks.jobs import Processor
from lotpro_kit import rpc, service


def wire(runtime: service.Runtime[Settings]) -> service.Parts:
    """Billing's doors on a runtime, and the loops that work with Stripe."""
    database, settings = runtime.database, runtime.settings
    stripe = StripeApi(settings)
    runtime.closing.append(stripe.close)
    ports = Ports(
        identity=IdentityOverGrpc(runtime.channel(settings.identity_grpc)), stripe=stripe, clock=runtime.clock
    )
    return service.Parts(
        routers=[
            subscriptions_api.router(database),
            entitlements_api.router(database),
            ledger_api.router(database, runtime.cursors),
            webhooks_api.router(database, settings, runtime.clock),
        ],
        servicers=[
            rpc.Servicer(
                billing_pb2.DESCRIPTOR, billing_pb2_grpc.add_BillingServiceServicer_to_server, BillingRpc(database)
            ),
            rpc.Servicer(
                participant_pb2.DESCRIPTOR,
                participant_pb2_grpc.add_PrivacyParticipantServiceServicer_to_server,
                ParticipantRpc(database),
            ),
        ],
        consumers=[subscriptions_consumers.consumer(database, ports, settings)],
        jobs=[service.housekeeping(database)],
        loops=[Starter(database, ports, settings).run, Processor(database, ports).run],
    )


SERVICE: service.Service[Settings] = service.Service(
    name="billing",
    title="Billing",
    description="An organisation's subscription, what it entitles to, and its invoices.",
    settings=Settings,
    metadata=METADATA,
    migrations=ROOM / "migrations",
    wire=wire,
)
