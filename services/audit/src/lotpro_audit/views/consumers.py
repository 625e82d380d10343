"""What happens to objections when people are gone."""

from uuid import UUID

from lotpro.identity.v1 import events_pb2
from lotpro_audit.db import USAGE
from lotpro_audit.views import service
from lotpro_kit import bus
from lotpro_kit.caller import system
from lotpro_kit.db import Database


def consumer(database: Database) -> bus.Consumer:
    """The handler of identity's events about accounts that ended; handling one again changes nothing."""

    async def on_account_ended(
        event: events_pb2.AccountAnonymised | events_pb2.AccountDeleted, delivery: bus.Delivery
    ) -> None:
        async with database.begin(system(scope=USAGE)) as session:
            await service.forget_person(session, user_id=UUID(event.user_id))

    return bus.Consumer(
        "identity",
        {events_pb2.AccountAnonymised: on_account_ended, events_pb2.AccountDeleted: on_account_ended},
    )
