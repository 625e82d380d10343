"""What inventory does when identity says that a store was opened."""

from uuid import UUID

from lotpro.identity.v1 import events_pb2
from lotpro_inventory.clients.identity import Identity
from lotpro_inventory.stores import service
from lotpro_kit import bus, inbox
from lotpro_kit.caller import system
from lotpro_kit.db import Database


def consumer(database: Database, identity: Identity) -> bus.Consumer:
    """The handlers of identity's events."""

    async def on_store_opened(event: events_pb2.StoreOpened, delivery: bus.Delivery) -> None:
        org_id = UUID(event.org_id)
        async with database.begin(system(org_id)) as session:
            if not await inbox.claim(session, delivery.id):
                return
            await service.learn_stores(session=session, identity=identity, org_id=org_id)

    return bus.Consumer("identity", {events_pb2.StoreOpened: on_store_opened})
