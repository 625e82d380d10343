"""Webhooks: stored when signed, looked into with a fresh fetch, harmless when repeated, reordered or invented."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from lotpro_billing.db import SCOPE
from lotpro_billing.webhooks import domain
from lotpro_kit import testing
from lotpro_kit.caller import system
from services.billing.tests.conftest import Billing
from services.billing.tests.factories import signature, webhook


async def stored(billing: Billing, body_of: str) -> Any:
    """The row of a webhook, once it is no longer waiting."""

    async def settled() -> Any:
        async with billing.runtime.database.begin(system(scope=SCOPE)) as session:
            found = await session.execute(
                text("SELECT state, reason, org_id FROM webhook_events WHERE event_id = :id"), {"id": body_of}
            )
            row = found.one_or_none()
        return row if row is not None and row.state != "stored" else None

    return await testing.eventually(settled)


def event_id() -> str:
    return f"evt_{uuid4().hex}"


async def test_what_stripe_says_now_counts_and_not_what_the_webhook_said(billing: Billing) -> None:
    subscription = await billing.started()
    claimed = {**subscription, "status": "canceled"}
    subscription["status"] = "active"
    async with billing.working():
        answered = await billing.post_webhook(webhook("customer.subscription.deleted", claimed))
        assert (answered.status_code, answered.content) == (200, b"")
        await billing.until_status("active")


async def test_the_same_event_50_times_at_once_has_one_effect_and_every_answer_is_200(billing: Billing) -> None:
    subscription = await billing.started()
    subscription["status"] = "past_due"
    body = webhook("customer.subscription.updated", subscription)
    async with billing.working():
        answers = await asyncio.gather(*(billing.post_webhook(body) for _ in range(50)))
        await billing.until_status("past_due")
    assert {answer.status_code for answer in answers} == {200}
    told = await testing.events(billing.runtime.database, containing=str(billing.org_id))
    assert [data["status"] for kind, data in told if kind.endswith("EntitlementChanged")] == ["trialing", "past_due"]


async def test_every_order_of_events_ends_in_the_same_state(billing: Billing) -> None:
    subscription = await billing.started()
    invoice = billing.stripe.invoices[billing.stripe.add_invoice(subscription["id"], status="paid", amount_paid=9900)]
    subscription["status"] = "canceled"
    kinds = ["customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted"]
    about = [(kind, subscription) for kind in kinds] + [("invoice.paid", invoice)]
    async with billing.working():
        for order in itertools.permutations(about):
            for kind, thing in order:
                assert (await billing.post_webhook(webhook(kind, thing))).status_code == 200
        await testing.eventually(lambda: _all_processed(billing, subscription["id"], events=24 * 4))
    entitlement = await billing.view("entitlement")
    assert (entitlement["status"], entitlement["features"]) == ("canceled", [])
    (paid,) = (await billing.view("invoices"))["items"]
    assert (paid["status"], paid["amount_paid"], paid["currency"]) == ("paid", 9900, "USD")


async def _all_processed(billing: Billing, subscription_id: str, *, events: int) -> bool:
    async with billing.runtime.database.begin(system(scope=SCOPE)) as session:
        found = await session.execute(
            text("SELECT count(*) FROM webhook_events WHERE subscription_id = :id AND state = 'processed'"),
            {"id": subscription_id},
        )
    return bool(found.scalar_one() == events)


async def _invoices(billing: Billing, count: int) -> bool:
    return len((await billing.view("invoices"))["items"]) == count


async def test_an_invoice_is_listed_as_it_is_now_and_every_state_it_had_stays_in_the_ledger(billing: Billing) -> None:
    subscription = await billing.started()
    invoice = billing.stripe.invoices[billing.stripe.add_invoice(subscription["id"])]
    async with billing.working():
        await billing.post_webhook(webhook("invoice.finalized", invoice))
        await testing.eventually(lambda: _invoices(billing, 1))
        invoice.update(status="paid", amount_paid=9900)
        await billing.post_webhook(webhook("invoice.paid", invoice))

        async def paid() -> bool:
            return [one["status"] for one in (await billing.view("invoices"))["items"]] == ["paid"]

        await testing.eventually(paid)
    async with billing.runtime.database.begin(system(billing.org_id)) as session:
        states = await session.execute(text("SELECT status FROM ledger_entries ORDER BY id"))
        assert list(states.scalars()) == ["open", "paid"]


async def test_unsigned_altered_old_and_future_webhooks_are_refused_and_stored_nowhere(billing: Billing) -> None:
    known = event_id()
    body = webhook("customer.subscription.updated", {"id": "sub_1", "object": "subscription"}, event_id=known)
    now = billing.clock()
    good = signature(body, at=now)
    old = signature(body, at=now - timedelta(seconds=301))
    future = signature(body, at=now + timedelta(seconds=302))
    refused: list[httpx.Response] = [
        await billing.post_webhook(body, header)
        for header in (
            "", "nonsense", "t=,v1=", good.replace("v1=", "v0="), signature(body, secret="whsec_other", at=now), old,
            future, good.replace("t=", "t=1,t="), "t=9999999999999999999999,v1=00", "t=²,v1=é",
        )
    ]
    refused.append(await billing.post_webhook(body.replace(b"sub_1", b"sub_2"), good))
    refused.append(await billing.post_webhook(b"\xff\xfe" + body, good))
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(401, "billing.webhook_unsigned")}
    async with billing.runtime.database.begin(system(scope=SCOPE)) as session:
        found = await session.execute(text("SELECT 1 FROM webhook_events WHERE event_id = :id"), {"id": known})
        assert found.one_or_none() is None
    assert (await billing.post_webhook(body, signature(body, at=now - timedelta(seconds=299)))).status_code == 200


async def test_both_secrets_are_good_while_the_endpoints_secret_is_rotated(billing: Billing) -> None:
    body, now = webhook("ping", {}), billing.clock()
    for secret in ("whsec_old", "whsec_new"):
        domain.verify(body, signature(body, secret=secret, at=now), secrets=["whsec_old", "whsec_new"], now=now)
    with pytest.raises(domain.WebhookUnsigned):
        domain.verify(body, signature(body, secret="whsec_x", at=now), secrets=["whsec_old", "whsec_new"], now=now)


async def test_signed_nonsense_is_refused_and_an_unknown_type_is_stored(billing: Billing) -> None:
    for body in (b"", b"[]", b"{", b"\xff", b'{"id": "evt_1"}', b'{"id": 1, "type": {}, "created": "x", "data": {}}'):
        answered = await billing.post_webhook(body)
        assert (answered.status_code, answered.json()["code"]) == (422, "billing.webhook_unreadable")
    known = event_id()
    async with billing.working():
        answered = await billing.post_webhook(webhook("entirely.new.thing", {"id": "x_1"}, event_id=known))
        assert answered.status_code == 200
        row = await stored(billing, known)
    assert (row.state, row.reason) == ("ignored", "billing.unhandled_type")


async def test_another_tenants_customer_or_subscription_changes_nothing(billing: Billing) -> None:
    subscription = await billing.started()
    stranger = {**subscription, "id": f"sub_{uuid4().hex}"}
    foreign_invoice = billing.stripe.add_invoice(subscription["id"], customer="cus_of_somebody_else")
    unknown, stolen, foreign = event_id(), event_id(), event_id()
    subscription["status"] = "trialing"
    async with billing.working():
        await billing.post_webhook(
            webhook("customer.subscription.updated", {"id": "sub_x", "object": "subscription"}, event_id=unknown)
        )
        await billing.post_webhook(webhook("customer.subscription.updated", stranger, event_id=stolen))
        await billing.post_webhook(
            webhook("invoice.paid", billing.stripe.invoices[foreign_invoice], event_id=foreign)
        )
        fates = [await stored(billing, known) for known in (unknown, stolen, foreign)]
    assert [fate.reason for fate in fates] == [
        "billing.unknown_subscription", "billing.unknown_subscription", "billing.foreign_subscription"
    ]
    assert (await billing.view("invoices"))["items"] == []


async def test_a_stripe_outage_delays_what_a_webhook_means_and_the_entitlement_is_still_served(
    billing: Billing,
) -> None:
    subscription = await billing.started()
    subscription["status"] = "active"
    async with billing.working() as (_, processor):
        billing.stripe.failures += [429, 429]
        known = event_id()
        await billing.post_webhook(webhook("customer.subscription.updated", subscription, event_id=known))

        async def failed() -> bool:
            return not billing.stripe.failures

        async def later() -> bool:
            billing.clock.advance(timedelta(seconds=5))
            processor.wake()
            return await failed()

        await testing.eventually(later)

        async def active() -> bool:
            await later()
            return bool((await billing.view("entitlement"))["status"] == "active")

        await testing.eventually(active)


async def test_a_webhook_that_overtakes_our_own_commit_waits_for_it(billing: Billing) -> None:
    await billing.create_organisation()
    customer_id = f"cus_{uuid4().hex}"
    async with billing.runtime.database.begin(system(billing.org_id)) as session:
        await session.execute(
            text("UPDATE subscriptions SET stripe_customer_id = :customer, next_attempt_at = :later"),
            {"customer": customer_id, "later": billing.clock() + timedelta(hours=1)},
        )
    early = {"id": "sub_early", "object": "subscription", "customer": customer_id}
    known = event_id()
    async with billing.working():
        await billing.post_webhook(webhook("customer.subscription.created", early, event_id=known))

        async def waits() -> bool:
            async with billing.runtime.database.begin(system(scope=SCOPE)) as session:
                found = await session.execute(
                    text("SELECT state, reason, attempts FROM webhook_events WHERE event_id = :id"), {"id": known}
                )
                row = found.one()
            return (row.state, row.reason) == ("stored", "billing.not_started_yet") and row.attempts > 0

        await testing.eventually(waits)


async def test_a_webhook_that_breaks_us_keeps_no_other_waiting(billing: Billing) -> None:
    subscription = await billing.started()
    whole = subscription["items"]
    broken, fine = event_id(), event_id()
    async with billing.working():
        subscription["items"] = {"object": "list", "data": []}
        await billing.post_webhook(webhook("customer.subscription.updated", subscription, event_id=broken))

        async def postponed() -> bool:
            async with billing.runtime.database.begin(system(scope=SCOPE)) as session:
                found = await session.execute(
                    text("SELECT reason FROM webhook_events WHERE event_id = :id"), {"id": broken}
                )
            return bool(found.scalar_one() == "internal.error")

        await testing.eventually(postponed)
        subscription["items"] = whole
        await billing.post_webhook(webhook("customer.subscription.updated", subscription, event_id=fine))
        assert (await stored(billing, fine)).state == "processed"
