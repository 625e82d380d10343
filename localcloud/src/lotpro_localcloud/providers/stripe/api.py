"""Stripe's endpoints: keys, idempotency, customers, prices, subscriptions, invoices, events, signed webhooks."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lotpro_localcloud.providers.deliveries import Deliveries
from lotpro_localcloud.providers.faults import Faults
from lotpro_localcloud.providers.store import Store
from lotpro_localcloud.providers.stripe import shapes
from lotpro_localcloud.providers.stripe.forms import Form, Json, Refused, missing, nested, no_such

PROVIDER = "stripe"
DAY = 86_400
#: Stripe's: a trial ends at most 730 days from now, a subscription has at most 20 items, a page at most 100 objects.
LONGEST_TRIAL_DAYS = 730
MOST_ITEMS = 20
LARGEST_PAGE = 100
#: Resource in the path -> its object, and what its list may be narrowed by.
RESOURCES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "customers": ("customer", ("email",)),
    "products": ("product", ("active",)),
    "prices": ("price", ("active", "lookup_keys", "product", "type")),
    "subscriptions": ("subscription", ("customer", "status")),
    "invoices": ("invoice", ("customer", "status", "subscription")),
    "events": ("event", ("type", "types")),
}
#: What a list of subscriptions shows when no status is asked for.
UNENDED = ("trialing", "active", "past_due", "unpaid", "paused", "incomplete")
_PAGING = ("limit", "starting_after", "ending_before", "created", "expand")
_PERSON = ("email", "name", "phone", "description")


@dataclass(frozen=True, slots=True)
class Call:
    """A request being worked on: what changes it makes and how its events name it."""

    method: str
    path: str
    given: Json
    request_id: str
    key: str
    now: int

    def form(self, *known: str) -> Form:
        """Its parameters; `expand` is known everywhere and leaves ids as they are."""
        return Form(self.given, (*known, "expand"))


class Stripe:
    """Stripe's API, on a store."""

    def __init__(
        self, store: Store, faults: Faults, deliveries: Deliveries, secret: Callable[[str], str], *, webhook_url: str
    ) -> None:
        """`secret` answers what the vault holds under a name; events go to `webhook_url`, to nobody if it is empty."""
        self._store, self._faults, self._deliveries = store, faults, deliveries
        self._secret, self._webhook_url = secret, webhook_url
        deliveries.signed_by(PROVIDER, self._sign)

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [Route("/stripe/v1/{path:path}", self._endpoint, methods=["GET", "POST", "DELETE"])]

    async def _endpoint(self, request: Request) -> Response:
        return await self._faults.around(PROVIDER, lambda: self._answer(request))

    async def _answer(self, request: Request) -> Response:
        content = await request.body()
        headers = {"Request-Id": shapes.new_id("req"), "Stripe-Version": shapes.API_VERSION}
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        if key:
            headers["Idempotency-Key"] = key
        try:
            self._check_key(request)
            pairs = parse_qsl((content.decode(errors="replace")) or request.url.query, keep_blank_values=True)
            path = request.path_params["path"].strip("/")
            call = Call(request.method, path, nested(pairs), headers["Request-Id"], key, int(time.time()))
            body, replayed = self._once(call, hashlib.sha256(f"{call.method} {path}\n".encode() + content).hexdigest())
        except Refused as refused:
            return JSONResponse(refused.body, refused.status, headers)
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        return Response(body, 200, headers, media_type="application/json")

    def _check_key(self, request: Request) -> None:
        right = f"Bearer {self._secret('billing-stripe-api-key')}"
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), right.encode()):
            raise Refused(401, "Invalid API Key provided.")

    def _once(self, call: Call, fingerprint: str) -> tuple[str, bool]:
        """The same answer for the same idempotency key; all changes of a request stand or fall together."""
        if call.key and (earlier := self._store.answer(call.key)):
            if earlier[0] != fingerprint:
                raise Refused(
                    400, "Keys for idempotent requests can only be used with the same parameters they were first used"
                    f" with. Try using a key other than '{call.key}' if you meant to execute a different request.",
                    kind="idempotency_error",
                )
            return earlier[2], True
        with self._store.changes():
            body = json.dumps(self._route(call))
            if call.key:
                self._store.keep_answer(call.key, fingerprint, 200, body)
        return body, False

    def _route(self, call: Call) -> Json:
        resource, _, object_id = call.path.partition("/")
        if call.method == "GET" and resource in RESOURCES:
            kind, filters = RESOURCES[resource]
            if not object_id:
                return self._list(call, kind, filters)
            call.form()
            return self._get(kind, object_id)
        works: Mapping[tuple[str, str], Callable[..., Json]] = {
            ("POST", "customers"): self._create_customer,
            ("POST", "customers/"): self._update_customer,
            ("POST", "products"): self._create_product,
            ("POST", "prices"): self._create_price,
            ("POST", "subscriptions"): self._create_subscription,
            ("POST", "subscriptions/"): self._update_subscription,
            ("DELETE", "subscriptions/"): self._cancel_subscription,
        }
        work = works.get((call.method, f"{resource}/" if object_id else resource))
        if work is None or "/" in object_id:
            raise Refused(404, f"Unrecognized request URL ({call.method}: /v1/{call.path}).")
        return work(call, object_id) if object_id else work(call)

    def _get(self, kind: str, object_id: str, *, param: str = "id") -> Json:
        found = self._store.object(kind, object_id)
        if found is None:
            raise no_such(kind, object_id, param=param, status=404 if param == "id" else 400)
        return shapes.completed(kind, found)

    def _list(self, call: Call, kind: str, filters: tuple[str, ...]) -> Json:
        form = call.form(*filters, *_PAGING)
        limit = form.number("limit", least=1) or 10
        if limit > LARGEST_PAGE:
            raise Refused(400, f"This value must be less than or equal to {LARGEST_PAGE}.", param="limit")
        cursors = {name: form.text(name) or "" for name in ("starting_after", "ending_before")}
        for name, cursor in cursors.items():
            if cursor:
                self._get(kind, cursor, param=name)
        found = self._store.objects(
            kind, among=_among(form, kind), compared=_created(call, form), limit=limit + 1,
            older_than=cursors["starting_after"], newer_than=cursors["ending_before"],
        )
        has_more = len(found) > limit
        page = found[-limit:] if cursors["ending_before"] else found[:limit]
        return shapes.listed(f"/v1/{call.path}", page, has_more=has_more)

    def _create_customer(self, call: Call) -> Json:
        form = call.form(*_PERSON, "metadata")
        made = shapes.customer(call.now, fields=_person(form), metadata=form.metadata())
        return self._made(call, "customer.created", made)

    def _update_customer(self, call: Call, object_id: str) -> Json:
        form = call.form(*_PERSON, "metadata")
        before = self._get("customer", object_id)
        return self._changed(
            call, "customer.updated", before, {**_person(form), "metadata": form.metadata(before["metadata"])}
        )

    def _create_product(self, call: Call) -> Json:
        return self._product(call, call.form("name", "description", "metadata"))

    def _product(self, call: Call, form: Form) -> Json:
        made = shapes.product(
            call.now, name=form.needed("name"), description=form.text("description"), metadata=form.metadata()
        )
        return self._made(call, "product.created", made)

    def _create_price(self, call: Call) -> Json:
        form = call.form(
            "product", "product_data", "currency", "unit_amount", "lookup_key", "nickname", "recurring", "metadata"
        )
        currency = form.needed("currency").lower()
        if not re.fullmatch("[a-z]{3}", currency):
            raise Refused(400, f"Invalid currency: {currency}.", param="currency")
        amount = form.number("unit_amount")
        if amount is None:
            raise missing("unit_amount")
        lookup_key = form.text("lookup_key")
        if lookup_key and self._store.objects("price", among={"lookup_key": [lookup_key]}, limit=1):
            raise Refused(
                400, f"A price (`{lookup_key}`) already uses that lookup key.", code="resource_already_exists",
                param="lookup_key",
            )
        recurring = form.form("recurring", ("interval", "interval_count"))
        interval = recurring.one_of("interval", ("day", "week", "month", "year"), "")
        product = form.text("product")
        if product:
            self._get("product", product, param="product")
        else:
            product = self._product(call, form.form("product_data", ("name", "metadata")))["id"]
        made = shapes.price(
            call.now, product_id=product, currency=currency, amount=amount, lookup_key=lookup_key,
            nickname=form.text("nickname"), interval=interval,
            interval_count=recurring.number("interval_count", least=1) or 1, metadata=form.metadata(),
        )
        return self._made(call, "price.created", made)

    def _create_subscription(self, call: Call) -> Json:
        form = call.form(
            "customer", "items", "trial_period_days", "trial_end", "metadata", "description", "payment_behavior",
            "proration_behavior",
        )
        customer = self._get("customer", form.needed("customer"), param="customer")
        entries = form.forms("items", ("price", "quantity", "metadata"))
        if not entries:
            raise missing("items")
        if len(entries) > MOST_ITEMS:
            raise Refused(400, f"A subscription can have at most {MOST_ITEMS} items.", param="items")
        prices = [self._get("price", entry.needed("price"), param=entry.param("price")) for entry in entries]
        if len({price["currency"] for price in prices}) > 1:
            raise Refused(400, "All prices on a subscription must have the same currency.", param="items")
        end = _trial_end(call, form)
        if end is None:
            # No way to pay can be given to this Stripe, so nothing but a trial can begin.
            raise Refused(
                400, "This customer has no attached payment source or default payment method. Please consider adding a"
                " default payment method.", code="resource_missing",
            )
        made = shapes.subscription(
            call.now, customer_id=customer["id"], currency=prices[0]["currency"], trial_end=end,
            description=form.text("description"), metadata=form.metadata(),
        )
        items = [
            self._item(call, made, entry, price, end=end) for entry, price in zip(entries, prices, strict=True)
        ]
        made["items"] = shapes.listed(f"/v1/subscription_items?subscription={made['id']}", items)
        sequence = customer["next_invoice_sequence"]
        invoice = shapes.trial_invoice(
            call.now, customer=customer, subscription=made, number=f"{customer['invoice_prefix']}-{sequence:04d}"
        )
        made["latest_invoice"] = invoice["id"]
        customer |= {"next_invoice_sequence": sequence + 1, "currency": made["currency"]}
        self._store.put_object("customer", customer)
        self._made(call, "customer.subscription.created", made)
        for kind in ("invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded"):
            self._made(call, kind, invoice)
        return made

    def _item(self, call: Call, subscription: Json, entry: Form, price: Json, *, end: int) -> Json:
        quantity = entry.number("quantity")
        return shapes.subscription_item(
            call.now, subscription_id=subscription["id"], price=price, quantity=1 if quantity is None else quantity,
            end=end, metadata=entry.metadata(),
        )

    def _update_subscription(self, call: Call, object_id: str) -> Json:
        form = call.form(
            "items", "cancel_at_period_end", "metadata", "description", "proration_behavior", "payment_behavior"
        )
        before = self._get("subscription", object_id)
        if before["status"] == "canceled":
            raise Refused(400, "A canceled subscription can only update its cancellation_details and metadata.")
        items = [dict(item) for item in before["items"]["data"]]
        for entry in form.forms("items", ("id", "price", "quantity", "metadata")):
            self._change_item(call, before, items, entry)
        changes: Json = {
            "items": {**before["items"], "data": items}, "metadata": form.metadata(before["metadata"]),
        }
        if "description" in form:
            changes["description"] = form.text("description")
        ending = form.flag("cancel_at_period_end")
        if ending is not None and ending != before["cancel_at_period_end"]:
            changes |= {
                "cancel_at_period_end": ending,
                "cancel_at": items[0]["current_period_end"] if ending else None,
                "canceled_at": call.now if ending else None,
            }
        return self._changed(call, "customer.subscription.updated", before, changes)

    def _change_item(self, call: Call, subscription: Json, items: list[Json], entry: Form) -> None:
        """An entry with an id changes that item, one without adds an item."""
        price_id = entry.text("price")
        price = self._get("price", price_id, param=entry.param("price")) if price_id else None
        item_id = entry.text("id")
        if item_id is None:
            if price is None:
                raise missing(entry.param("price"))
            items.append(self._item(call, subscription, entry, price, end=items[0]["current_period_end"]))
            return
        item = next((item for item in items if item["id"] == item_id), None)
        if item is None:
            raise no_such("subscription_item", item_id, param=entry.param("id"), status=400)
        if price is not None:
            item |= shapes.subscription_item(
                item["created"], subscription_id=subscription["id"], price=price, quantity=item["quantity"],
                end=item["current_period_end"], metadata=item["metadata"],
            ) | {"id": item["id"], "current_period_start": item["current_period_start"]}
        quantity = entry.number("quantity")
        item["quantity"] = item["quantity"] if quantity is None else quantity
        item["metadata"] = entry.metadata(item["metadata"])

    def _cancel_subscription(self, call: Call, object_id: str) -> Json:
        form = call.form("cancellation_details", "invoice_now", "prorate")
        told = form.form("cancellation_details", ("comment", "feedback"))
        before = self._get("subscription", object_id)
        if before["status"] == "canceled":
            raise no_such("subscription", object_id)
        details = {
            "comment": told.text("comment"), "feedback": told.text("feedback"), "reason": "cancellation_requested",
        }
        ended = before | {
            "status": "canceled", "canceled_at": call.now, "ended_at": call.now, "cancellation_details": details,
        }
        return self._made(call, "customer.subscription.deleted", ended)

    def _changed(self, call: Call, kind: str, before: Json, changes: Json) -> Json:
        """Store an object's changes; an event only when something is other than before."""
        different = {name: before.get(name) for name, value in changes.items() if before.get(name) != value}
        if not different:
            return before
        return self._made(call, kind, before | changes, before=different)

    def _made(self, call: Call, kind: str, subject: Json, *, before: Json | None = None) -> Json:
        """Store an object, the event of it, and its webhook to come."""
        self._store.put_object(subject["object"], subject)
        request = {"id": call.request_id, "idempotency_key": call.key or None}
        webhooks = 1 if self._webhook_url else 0
        event = shapes.event(call.now, kind, subject, before=before, request=request, webhooks=webhooks)
        self._store.put_object("event", event)
        if self._webhook_url:
            self._deliveries.plan(PROVIDER, self._webhook_url, json.dumps(event, indent=2))
        return subject

    def _sign(self, _: str, body: bytes) -> Mapping[str, str]:
        """Signed as it leaves, with each secret while the endpoint's secret is being rotated."""
        stamp = int(time.time())
        marks = [
            hmac.new(secret.strip().encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            for secret in self._secret("billing-stripe-webhook-secret").split(",")
        ]
        return {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": ",".join([f"t={stamp}", *(f"v1={mark}" for mark in marks)]),
        }


def _person(form: Form) -> dict[str, str | None]:
    given = {name: form.text(name) for name in _PERSON if name in form}
    email = given.get("email")
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        raise Refused(400, f"Invalid email address: {email}", code="email_invalid", param="email")
    return given


def _trial_end(call: Call, form: Form) -> int | None:
    """When the trial ends; None without one."""
    days = form.number("trial_period_days")
    end = form.number("trial_end")
    if days and end:
        raise Refused(400, "You may only specify one of these parameters: trial_end, trial_period_days.")
    if days:
        end = call.now + days * DAY
    if end is not None and not call.now < end <= call.now + LONGEST_TRIAL_DAYS * DAY:
        raise Refused(400, f"Trials end in the future, within {LONGEST_TRIAL_DAYS} days.", param="trial_end")
    return end


def _among(form: Form, kind: str) -> dict[str, list[str | int]]:
    """What a list is narrowed to."""
    among: dict[str, list[str | int]] = {}
    for name in ("customer", "email", "product", "subscription", "type"):
        if value := (form.text(name) if name in form else None):
            among[name] = [value]
    if (active := form.flag("active")) is not None:
        among["active"] = [int(active)]
    for name, field in (("lookup_keys", "lookup_key"), ("types", "type")):
        if values := form.texts(name):
            among[field] = list(values)
    status = form.text("status")
    if kind == "subscription" and status != "all":
        among["status"] = ["canceled"] if status == "ended" else [status] if status else list(UNENDED)
    elif kind == "invoice" and status:
        among["status"] = [status]
    return among


def _created(call: Call, form: Form) -> list[tuple[str, str, int]]:
    """`created=<moment>` or `created[gte]=<moment>` and its like."""
    if isinstance(call.given.get("created"), str):
        moment = form.number("created") or 0
        return [("created", "gte", moment), ("created", "lte", moment)]
    bounds = form.form("created", ("gt", "gte", "lt", "lte"))
    return [("created", name, bounds.number(name) or 0) for name in ("gt", "gte", "lt", "lte") if name in bounds]
