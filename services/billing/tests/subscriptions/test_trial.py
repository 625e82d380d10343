"""The trial: one for each organisation, whatever happens on the way to Stripe."""

import asyncio
import sys
from datetime import timedelta
from uuid import uuid4

from lotpro_billing.subscriptions.domain import LEASE
from lotpro_kit import testing
from services.billing.tests.conftest import Billing


async def test_a_new_organisation_is_on_trial_for_14_days(billing: Billing) -> None:
    assert (await billing.view("subscription"))["status"] == "pending"
    at_stripe = await billing.started()
    shown = await billing.view("subscription")
    assert {key: shown[key] for key in ("status", "plan", "stores", "cancel_at_period_end")} == {
        "status": "trialing", "plan": "lotpro_standard", "stores": 1, "cancel_at_period_end": False
    }
    assert at_stripe["trial_end"] - at_stripe["created"] == 14 * 86_400
    customer = billing.stripe.customers[at_stripe["customer"]]
    assert (customer["name"], customer["email"]) == (f"Dealer {billing.org_id}", f"{billing.owner_id}@example.com")
    entitlement = await billing.view("entitlement")
    assert (entitlement["status"], entitlement["stores_limit"]) == ("trialing", 1)
    assert "inventory" in entitlement["features"]
    told = await testing.events(billing.runtime.database, containing=str(billing.org_id))
    assert [(kind.rsplit(".", 1)[-1], body.get("status")) for kind, body in told] == [
        ("SubscriptionStarted", None), ("EntitlementChanged", "trialing")
    ]


async def test_repeated_and_parallel_events_start_one_subscription(billing: Billing) -> None:
    async with billing.working():
        caused = await billing.create_organisation()
        await asyncio.gather(*(billing.create_organisation(caused) for _ in range(10)))
        await billing.create_organisation()
        await billing.until_status("trialing")
    assert len(billing.stripe.of_org(billing.org_id)) == 1


async def test_an_outage_of_stripe_or_identity_delays_the_trial_and_takes_nothing(billing: Billing) -> None:
    billing.stripe.failures += [500, 500, 500, 429]
    billing.identity.away = True
    async with billing.working() as (starter, _):
        await billing.create_organisation()

        async def passed_stripe() -> bool:
            billing.clock.advance(timedelta(seconds=20))
            starter.wake()
            return any(one["metadata"]["org_id"] == str(billing.org_id) for one in billing.stripe.customers.values())

        await testing.eventually(passed_stripe)
        during = await billing.view("entitlement")
        assert (during["status"], bool(during["features"])) == ("pending", True)
        billing.identity.away = False

        async def trialing() -> bool:
            await passed_stripe()
            return bool((await billing.view("entitlement"))["status"] == "trialing")

        await testing.eventually(trialing)
    assert len(billing.stripe.of_org(billing.org_id)) == 1
    assert sum(one["metadata"]["org_id"] == str(billing.org_id) for one in billing.stripe.customers.values()) == 1


async def test_kill_9_between_stripes_answer_and_the_commit_leaves_one_subscription(
    billing: Billing, postgres: testing.Postgres
) -> None:
    billing.stripe.silent_for.add(str(billing.org_id))
    await billing.create_organisation()
    url = postgres.url("billing_app", testing.APP_PASSWORD, "billing").render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.billing.tests.crash", url, billing.runtime.settings.stripe_api_url
    )

    async def made() -> bool:
        assert process.returncode is None, "the starter ended by itself"
        return bool(billing.stripe.of_org(billing.org_id))

    await testing.eventually(made, within=30)
    process.kill()
    await process.wait()
    billing.stripe.silent_for.clear()
    assert (await billing.view("subscription"))["status"] == "pending"
    billing.clock.advance(LEASE * 2)
    async with billing.working():
        await billing.until_status("trialing")
    assert len(billing.stripe.of_org(billing.org_id)) == 1


async def test_strangers_see_nothing_of_an_organisations_subscription(billing: Billing) -> None:
    await billing.started()
    for what in ("subscription", "entitlement", "invoices"):
        async with billing.anonymous() as client:
            assert (await client.get(f"/api/billing/v1/{what}")).status_code == 401
        async with billing.client("store_admin", "sales") as client:
            assert (await client.get(f"/api/billing/v1/{what}")).status_code == 403
    async with billing.client("org_owner", org_id=uuid4()) as client:
        assert (await client.get("/api/billing/v1/subscription")).json()["id"] is None
        assert (await client.get("/api/billing/v1/entitlement")).json()["plan"] == ""
        assert (await client.get("/api/billing/v1/invoices")).json()["items"] == []
