"""Stripe's own SDK finds here what billing needs of Stripe, in the shapes its models promise."""

import ast
import inspect
import json
import time
from typing import Any
from uuid import uuid4

import pytest
import stripe

from localcloud.tests.providers.conftest import SECRETS, Cloud, Received
from lotpro_kit import testing
from lotpro_localcloud.providers.stripe.shapes import API_VERSION

DAY = 86_400


def client(cloud: Cloud, *, retries: int = 0, key: str = SECRETS["billing-stripe-api-key"]) -> stripe.StripeClient:
    return stripe.StripeClient(
        key, base_addresses={"api": f"{cloud.url}/stripe"}, max_network_retries=retries, stripe_version=API_VERSION
    )


@pytest.fixture
def v1(cloud: Cloud) -> Any:
    """The SDK's v1 services."""
    return client(cloud).v1


@pytest.fixture
def price(v1: Any) -> Any:
    """A monthly price of 49 dollars with a lookup key of its own."""
    return v1.prices.create(
        {
            "currency": "USD", "unit_amount": 4900, "recurring": {"interval": "month"}, "lookup_key": uuid4().hex,
            "product_data": {"name": "lotPro"},
        }
    )


@pytest.fixture
def customer(v1: Any) -> Any:
    return v1.customers.create({"email": "owner@example.com", "metadata": {"org_id": "1"}})


@pytest.fixture
def subscription(v1: Any, customer: Any, price: Any) -> Any:
    """A trial of 14 days on three units."""
    return v1.subscriptions.create(
        {
            "customer": customer.id, "items": [{"price": price.id, "quantity": 3}], "trial_period_days": 14,
            "metadata": {"org_id": "1"},
        }
    )


def required(model: type) -> set[str]:
    """The fields a model of the SDK promises always."""
    (definition,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id
        for field in definition.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and not any(word in ast.unparse(field.annotation) for word in ("Optional", "ClassVar"))
    }


def test_every_object_has_all_that_the_sdks_models_promise(v1: Any, subscription: Any, customer: Any) -> None:
    invoice = v1.invoices.retrieve(subscription.latest_invoice)
    item = subscription["items"].data[0]
    (event,) = v1.events.list({"limit": 1}).data
    product = v1.products.retrieve(item.price.product)
    for one in (v1.customers.retrieve(customer.id), product, item.price, subscription, item, invoice,
                invoice.lines.data[0], event):
        assert not required(type(one)) - one.to_dict().keys(), type(one).__name__


def test_a_trial_begins_with_a_paid_invoice_of_nothing(v1: Any, subscription: Any, customer: Any, price: Any) -> None:
    item = subscription["items"].data[0]
    assert (subscription.status, subscription.customer, item.price.id, item.quantity) == (
        "trialing", customer.id, price.id, 3
    )
    assert item.current_period_end == subscription.trial_end
    assert abs(subscription.trial_end - subscription.trial_start - 14 * DAY) <= 1
    invoice = v1.invoices.retrieve(subscription.latest_invoice)
    assert (invoice.status, invoice.total, invoice.currency) == ("paid", 0, "usd")
    assert invoice.parent.subscription_details.subscription == subscription.id
    for narrowed in ({"customer": customer.id}, {"subscription": subscription.id}, {"status": "paid"}):
        assert v1.invoices.list({**narrowed, "limit": 1}).data[0].id == invoice.id
    assert v1.invoices.list({"customer": customer.id, "status": "open"}).data == []
    kinds = [event.type for event in v1.events.list({"limit": 6}).data]
    assert {"customer.subscription.created", "invoice.created", "invoice.paid"} <= set(kinds)


def test_without_a_trial_there_is_no_way_to_pay_and_no_subscription(v1: Any, customer: Any, price: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    assert v1.subscriptions.list({"customer": customer.id}).data == []


def test_a_customers_subscriptions_are_listed_without_the_canceled_ones(
    v1: Any, subscription: Any, customer: Any
) -> None:
    def ids(**narrowed: str) -> list[str]:
        return [one.id for one in v1.subscriptions.list({"customer": customer.id, **narrowed}).data]

    assert ids() == ids(status="all") == ids(status="trialing") == [subscription.id]
    canceled = v1.subscriptions.cancel(subscription.id)
    assert canceled.status == "canceled"
    assert canceled.ended_at
    assert ids() == []
    assert ids(status="all") == ids(status="canceled") == ids(status="ended") == [subscription.id]
    with pytest.raises(stripe.InvalidRequestError) as gone:
        v1.subscriptions.cancel(subscription.id)
    assert gone.value.http_status == 404


def test_a_quantity_changes_and_the_event_says_what_it_was(v1: Any, subscription: Any) -> None:
    item = subscription["items"].data[0]
    changed = v1.subscriptions.update(subscription.id, {"items": [{"id": item.id, "quantity": 5}]})
    assert changed["items"].data[0].quantity == 5
    (event,) = v1.events.list({"type": "customer.subscription.updated", "limit": 1}).data
    assert event.data.object.id == subscription.id
    assert event.data.previous_attributes["items"]["data"][0]["quantity"] == 3
    assert v1.subscriptions.retrieve(subscription.id)["items"].data[0].quantity == 5
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription_item"):
        v1.subscriptions.update(subscription.id, {"items": [{"id": "si_other", "quantity": 5}]})


def test_a_subscription_can_be_told_to_end_with_its_period_and_told_otherwise(v1: Any, subscription: Any) -> None:
    ending = v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert (ending.cancel_at, ending.status) == (subscription.trial_end, "trialing")
    staying = v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    assert (staying.cancel_at, staying.canceled_at) == (None, None)


def test_metadata_is_merged_and_an_empty_value_removes_a_key(v1: Any, customer: Any) -> None:
    changed = v1.customers.update(customer.id, {"metadata": {"org_id": "", "plan": "x"}, "name": "Lot Ltd"})
    assert (changed.metadata.to_dict(), changed.name, changed.email) == ({"plan": "x"}, "Lot Ltd", "owner@example.com")


def test_a_price_is_found_by_its_lookup_key_which_is_its_own(v1: Any, price: Any) -> None:
    found = v1.prices.list({"lookup_keys": [price.lookup_key, "another"], "active": True}).data
    assert [one.id for one in found] == [price.id]
    assert (found[0].unit_amount, found[0].currency) == (4900, "usd")
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        v1.prices.create(
            {"currency": "usd", "unit_amount": 1, "recurring": {"interval": "month"}, "lookup_key": price.lookup_key,
             "product": price.product}
        )


def test_a_list_is_walked_by_pages_both_ways(v1: Any) -> None:
    email = f"{uuid4().hex}@example.com"
    made = [v1.customers.create({"email": email}).id for _ in range(7)][::-1]
    first = v1.customers.list({"email": email, "limit": 3})
    assert [one.id for one in first.data] == made[:3]
    assert first.has_more
    assert [one.id for one in first.auto_paging_iter()] == made
    back = v1.customers.list({"email": email, "limit": 3, "ending_before": made[5]})
    assert [one.id for one in back.data] == made[2:5]
    assert back.has_more
    assert not v1.customers.list({"email": email, "limit": 3, "ending_before": made[3]}).has_more


def test_events_are_narrowed_by_kind_and_by_time(v1: Any, customer: Any) -> None:
    now = int(time.time())
    recent = v1.events.list({"types": ["customer.created"], "created": {"gte": now - 60}, "limit": 100}).data
    assert customer.id in [event.data.object.id for event in recent]
    assert {event.type for event in recent} == {"customer.created"}
    assert v1.events.list({"created": {"gt": now + 60}}).data == []
    assert v1.events.retrieve(recent[0].id).data.object.id == recent[0].data.object.id


def test_the_same_key_gives_the_same_answer_and_other_parameters_are_refused(v1: Any) -> None:
    key = uuid4().hex
    first = v1.customers.create({"name": "A"}, {"idempotency_key": key})
    second = v1.customers.create({"name": "A"}, {"idempotency_key": key})
    assert first.id == second.id
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        v1.customers.create({"name": "B"}, {"idempotency_key": key})


def test_a_refused_request_leaves_its_key_free(v1: Any, customer: Any, price: Any) -> None:
    options: Any = {"idempotency_key": uuid4().hex}
    with pytest.raises(stripe.InvalidRequestError):
        v1.subscriptions.create(
            {"customer": customer.id, "items": [{"price": "price_no"}], "trial_period_days": 1}, options
        )
    made = v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "trial_period_days": 1}, options
    )
    assert made.status == "trialing"


@pytest.mark.parametrize(
    ("work", "status", "code", "param"),
    [
        (lambda v1: v1.customers.retrieve("cus_no"), 404, "resource_missing", "id"),
        (lambda v1: v1.customers.create({"email": "nobody"}), 400, "email_invalid", "email"),
        (lambda v1: v1.customers.create({"nmae": "A"}), 400, "parameter_unknown", "nmae"),
        (lambda v1: v1.customers.list({"limit": 0}), 400, "parameter_invalid_integer", "limit"),
        (lambda v1: v1.customers.list({"starting_after": "cus_no"}), 400, "resource_missing", "starting_after"),
        (lambda v1: v1.products.create({}), 400, "parameter_missing", "name"),
        (lambda v1: v1.subscriptions.create({"customer": "cus_no", "items": []}), 400, "resource_missing", "customer"),
        (lambda v1: v1.charges.list(), 404, None, None),
    ],
)
def test_a_wrong_request_is_refused_in_stripes_shape(
    v1: Any, work: Any, status: int, code: str | None, param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        work(v1)
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (status, code, param)
    assert refused.value.request_id


def test_a_wrong_key_is_refused(cloud: Cloud) -> None:
    with pytest.raises(stripe.AuthenticationError):
        client(cloud, key="sk_test_wrong").v1.customers.list()


def test_a_price_of_a_subscription_that_is_not_there_is_named(v1: Any, customer: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        v1.subscriptions.create({"customer": customer.id, "items": [{"price": "price_no"}], "trial_period_days": 1})
    assert (refused.value.http_status, refused.value.param) == (400, "items[0][price]")


async def webhooks(cloud: Cloud, containing: str, *, number: int) -> list[Received]:
    """The first so many webhooks in which something stands."""

    async def all_came() -> Any:
        found = cloud.receiver.on("/stripe", containing)
        return found if len(found) >= number else None

    found: list[Received] = await testing.eventually(all_came)
    return found


@pytest.mark.parametrize("secret", SECRETS["billing-stripe-webhook-secret"].split(","))
async def test_webhooks_come_signed_with_the_new_and_the_old_secret(
    cloud: Cloud, subscription: Any, secret: str
) -> None:
    came = await webhooks(cloud, subscription.id, number=5)
    events = [
        stripe.Webhook.construct_event(one.body, one.headers["stripe-signature"], secret)
        for one in came
    ]
    assert {event.type for event in events} == {
        "customer.subscription.created", "invoice.created", "invoice.finalized", "invoice.paid",
        "invoice.payment_succeeded",
    }
    assert {event.api_version for event in events} == {API_VERSION}
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(came[0].body + b" ", came[0].headers["stripe-signature"], secret)


async def test_a_webhook_that_is_refused_comes_again(cloud: Cloud, v1: Any) -> None:
    cloud.receiver.refusals["/stripe"] = 2
    customer = v1.customers.create({"name": "patience"})
    (came,) = await webhooks(cloud, customer.id, number=1)
    assert json.loads(came.body)["type"] == "customer.created"


# The SDK gives httpx a form's text as `data`, which httpx has deprecated; billing's transport gives it as `content`.
@pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
async def test_the_asynchronous_client_works_too(cloud: Cloud) -> None:
    transport = stripe.HTTPXClient()
    found = stripe.StripeClient(
        SECRETS["billing-stripe-api-key"], base_addresses={"api": f"{cloud.url}/stripe"}, http_client=transport
    )
    made = await found.v1.customers.create_async({"name": "asked for without waiting"})
    assert (await found.v1.customers.list_async({"limit": 100})).data[0].id == made.id
    await transport.close_async()  # type: ignore[no-untyped-call] # the SDK left this one without types
