"""What notifications does when other services say what happened: it queues messages."""

from uuid import UUID

from lotpro.audit.v1 import events_pb2 as audit_events
from lotpro.identity.v1 import events_pb2 as identity_events
from lotpro.inventory.v1 import events_pb2 as inventory_events
from lotpro.privacy.v1 import events_pb2 as privacy_events
from lotpro_kit import bus, ids, inbox
from lotpro_kit.caller import system
from lotpro_kit.db import Database
from lotpro_notifications.db import SCOPE
from lotpro_notifications.messages import service
from lotpro_notifications.messages.service import Cause
from lotpro_notifications.ports import Ports
from lotpro_notifications.preferences import service as preferences

#: Nobody sits waiting for these; they must not delay the codes that somebody does wait for.
_UNHURRIED = frozenset({"alert", "undo_email", "invitation"})


def consumers(database: Database, ports: Ports) -> list[bus.Consumer]:
    """The handlers of identity's, inventory's, privacy's and audit's events."""

    async def on_code_requested(event: identity_events.CodeRequested, delivery: bus.Delivery) -> None:
        cause = Cause(delivery.id, delivery.time, ids.parse(event.org_id))
        async with database.begin(system(cause.org_id, scope=SCOPE)) as session:
            if await inbox.claim(session, delivery.id):
                await service.queue_code(
                    session=session, cause=cause, challenge_id=UUID(event.challenge_id),
                    user_id=ids.parse(event.user_id), urgent=event.purpose not in _UNHURRIED, now=ports.clock(),
                )

    async def on_vehicle_sold(event: inventory_events.VehicleSold, delivery: bus.Delivery) -> None:
        org_id = UUID(event.org_id)
        # Asked before the transaction, so that it waits for nobody.
        owners = await ports.identity.owners(org_id)
        contacts = await ports.identity.contacts(owners) if owners else {}
        phones = [owner for owner in owners if owner in contacts and contacts[owner].phone]
        async with database.begin(system(org_id, scope=SCOPE)) as session:
            if await inbox.claim(session, delivery.id):
                quiet = await preferences.without_sms(session=session, user_ids=phones)
                await service.queue_vehicle_sold(
                    session=session,
                    cause=Cause(delivery.id, delivery.time, org_id),
                    sale_id=UUID(event.sale_id),
                    customer_id=ids.parse(event.customer_id),
                    by_mail=[owner for owner in owners if owner in contacts],
                    by_sms=[owner for owner in phones if owner not in quiet],
                    now=ports.clock(),
                )

    async def on_request_answered(event: privacy_events.RequestAnswered, delivery: bus.Delivery) -> None:
        org_id = ids.parse(event.org_id)
        async with database.begin(system(org_id, scope=SCOPE)) as session:
            if await inbox.claim(session, delivery.id):
                await service.queue_request_answered(
                    session=session, cause=Cause(delivery.id, delivery.time, org_id),
                    request_id=UUID(event.request_id), opened_by=UUID(event.opened_by), now=ports.clock(),
                )

    async def on_alert_raised(event: audit_events.AlertRaised, delivery: bus.Delivery) -> None:
        org_id = UUID(event.org_id)
        # Asked before the transaction, so that it waits for nobody.
        recipients = await ports.identity.members_with(org_id, event.recipient_roles)
        async with database.begin(system(org_id, scope=SCOPE)) as session:
            if await inbox.claim(session, delivery.id):
                await service.queue_alert_raised(
                    session=session, cause=Cause(delivery.id, delivery.time, org_id), alert_id=UUID(event.alert_id),
                    count=event.count, to=recipients, now=ports.clock(),
                )

    async def on_inactivity_warned(event: identity_events.AccountInactivityWarned, delivery: bus.Delivery) -> None:
        async with database.begin(system(scope=SCOPE)) as session:
            if await inbox.claim(session, delivery.id):
                await service.queue_account_inactive(
                    session=session, cause=Cause(delivery.id, delivery.time, None), user_id=UUID(event.user_id),
                    days_left=event.days_left, now=ports.clock(),
                )

    async def on_deletion_ordered(event: identity_events.AccountDeletionOrdered, delivery: bus.Delivery) -> None:
        cause = Cause(delivery.id, delivery.time, ids.parse(event.org_id))
        async with database.begin(system(cause.org_id, scope=SCOPE)) as session:
            if await inbox.claim(session, delivery.id):
                await service.queue_account_removed(
                    session=session, cause=cause, user_id=UUID(event.user_id), now=ports.clock()
                )

    async def on_account_ended(
        event: identity_events.AccountAnonymised | identity_events.AccountDeleted, delivery: bus.Delivery
    ) -> None:
        user_id = UUID(event.user_id)
        async with database.begin(system(scope=SCOPE)) as session:
            if await inbox.claim(session, delivery.id):
                await service.forget_person(session=session, user_id=user_id, now=ports.clock())
                await preferences.forget_preferences(session=session, user_id=user_id)

    return [
        bus.Consumer(
            "identity",
            {
                identity_events.CodeRequested: on_code_requested,
                identity_events.AccountInactivityWarned: on_inactivity_warned,
                identity_events.AccountDeletionOrdered: on_deletion_ordered,
                identity_events.AccountAnonymised: on_account_ended,
                identity_events.AccountDeleted: on_account_ended,
            },
        ),
        bus.Consumer("inventory", {inventory_events.VehicleSold: on_vehicle_sold}),
        bus.Consumer("privacy", {privacy_events.RequestAnswered: on_request_answered}),
        bus.Consumer("audit", {audit_events.AlertRaised: on_alert_raised}),
    ]
