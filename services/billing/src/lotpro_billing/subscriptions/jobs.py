"""The starter: asks Stripe for the subscriptions that were written down, each once however often it is tried."""

from lotpro_billing.clients.stripe import Plan
from lotpro_billing.db import SCOPE
from lotpro_billing.ports import Ports
from lotpro_billing.settings import Settings
from lotpro_billing.subscriptions import repository, service
from lotpro_billing.subscriptions.domain import (
    STANDARD_AMOUNT,
    STANDARD_CURRENCY,
    STANDARD_NAME,
    TRIAL_DAYS,
    Subscription,
    idempotency_key,
)
from lotpro_kit import telemetry, wake
from lotpro_kit.caller import system
from lotpro_kit.db import Database

log = telemetry.logger(__name__)


class Starter:
    """Starts pending subscriptions until cancelled; woken by new rows. Several may run, also in different processes.

    The event's id is in the row before Stripe is called and is the idempotency key, so a process that dies after
    Stripe's answer and before the commit leaves a row that is tried again, and one subscription.
    """

    def __init__(self, database: Database, ports: Ports, settings: Settings) -> None:
        self._database, self._ports, self._settings = database, ports, settings
        self._loop = wake.Loop(database, channel=repository.CHANNEL, work=self._drain)
        self._price_id = ""

    async def run(self) -> None:
        """Start what is pending until cancelled."""
        await self._loop.run()

    def wake(self) -> None:
        """Look for pending subscriptions soon."""
        self._loop.wake()

    async def _drain(self) -> None:
        while True:
            async with self._database.begin(system(scope=SCOPE)) as session:
                row = await service.lease_pending(session=session, now=self._ports.clock())
            if row is None:
                return
            try:
                await self._start(row)
            except Exception as error:
                # Also what nobody foresaw: one subscription that breaks us must not keep the others waiting.
                log.warning(
                    "subscription not started", subscription_id=str(row.id), error=type(error).__name__,
                    at=telemetry.place_of(error),
                )
                now = self._ports.clock()
                async with self._database.begin(system(row.org_id)) as session:
                    again = await service.postpone(session=session, row=row, now=now)
                self._loop.wake(after=(again - now).total_seconds())

    async def _start(self, row: Subscription) -> None:
        stripe = self._ports.stripe
        customer_id = row.stripe_customer_id
        if customer_id is None:
            key = idempotency_key(row.source_event_id, "customer")
            customer_id = await stripe.create_customer(row.org_id, key=key)
            async with self._database.begin(system(row.org_id)) as session:
                await service.note_customer(
                    session=session, row=row, customer_id=customer_id, now=self._ports.clock()
                )
        payer = await self._ports.identity.payer(row.org_id, row.owner_id)
        await stripe.address_customer(customer_id, name=payer.organisation_name, email=payer.email)
        # Stripe forgets idempotency keys after a day; what was made before that is found here.
        stripe_id = await stripe.subscription_of(customer_id) if row.attempts > 1 else None
        if stripe_id is None:
            stripe_id = await stripe.create_subscription(
                customer_id,
                org_id=row.org_id,
                price_id=await self._price(),
                trial_days=TRIAL_DAYS,
                key=idempotency_key(row.source_event_id, "subscription"),
            )
        async with self._database.begin(system(row.org_id)) as session:
            await service.refresh_subscription(session=session, ports=self._ports, row=row, stripe_id=stripe_id)
        log.info("subscription started", subscription_id=str(row.id))

    async def _price(self) -> str:
        """The plan's price at Stripe, looked up once in a process's life."""
        if not self._price_id:
            plan = Plan(
                self._settings.stripe_price_lookup_key, STANDARD_NAME, STANDARD_AMOUNT, STANDARD_CURRENCY
            )
            self._price_id = await self._ports.stripe.price_of(plan)
        return self._price_id
