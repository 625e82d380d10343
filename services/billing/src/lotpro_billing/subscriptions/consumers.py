"""What billing does when identity says that an organisation was created."""

from uuid import UUID

from lotpro.identity.v1 import events_pb2
from lotpro_billing.ports import Ports
from lotpro_billing.settings import Settings
from lotpro_billing.subscriptions import service
from lotpro_kit import bus, inbox
from lotpro_kit.caller import system
from lotpro_kit.db import Database


def consumer(database: Database, ports: Ports, settings: Settings) -> bus.Consumer:
    """The handlers of identity's events."""

    async def on_organisation_created(event: events_pb2.OrganisationCreated, delivery: bus.Delivery) -> None:
        org_id = UUID(event.org_id)
        async with database.begin(system(org_id)) as session:
            if await inbox.claim(session, delivery.id):
                await service.request_subscription(
                    session=session, org_id=org_id, owner_id=UUID(event.owner_id), event_id=delivery.id,
                    plan=settings.stripe_price_lookup_key, now=ports.clock(),
                )

    return bus.Consumer("identity", {events_pb2.OrganisationCreated: on_organisation_created})
