"""The part of Stripe that a subscription needs: customers, prices, subscriptions, invoices, events, webhooks."""

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lotpro_localcloud.providers.faults import Faults
from lotpro_localcloud.providers.store import Store

API_VERSION = "2026-10-28.endive"
DAY = 86_400
MONTH = 30 * DAY
#: Stripe repeats a webhook that was not taken for three days; here it tries 12 times, from 1 s to 5 min apart.
WEBHOOK_ATTEMPTS = 12
LONGEST_PAUSE = 300.0

Json = dict[str, Any]


class Refused(Exception):
    """An error in Stripe's shape."""

    def __init__(self, status: int, message: str, *, code: str = "", param: str = "", kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {
                "type": kind or "invalid_request_error", "message": message,
                **({"code": code} if code else {}), **({"param": param} if param else {}),
            }
        }


class Stripe:
    """Stripe's API as its own SDK speaks it."""

    def __init__(self, store: Store, faults: Faults, secret: Callable[[str], str], *, webhook_url: str) -> None:
        self._store, self._faults, self._secret, self._webhook_url = store, faults, secret, webhook_url
        self._wake = asyncio.Event()

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [Route("/stripe/v1/{path:path}", self._endpoint, methods=["GET", "POST", "DELETE"])]

    async def _endpoint(self, request: Request) -> Response:
        return await self._faults.around("stripe", lambda: self._answer(request))

    async def _answer(self, request: Request) -> Response:
        content = await request.body()
        request_id = f"req_{secrets.token_hex(7)}"
        headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION}
        try:
            self._check_key(request)
            status, body = self._once(request, content)
        except Refused as refused:
            return JSONResponse(refused.body, refused.status, headers)
        return Response(body, status, headers, media_type="application/json")

    def _check_key(self, request: Request) -> None:
        right = f"Bearer {self._secret('billing-stripe-api-key')}"
        if not hmac.compare_digest(request.headers.get("authorization", ""), right):
            raise Refused(401, "Invalid API Key provided.", kind="authentication_error")

    def _once(self, request: Request, content: bytes) -> tuple[int, str]:
        """The same answer for the same idempotency key; all changes of a request stand or fall together."""
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        fingerprint = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + content).hexdigest()
        if key and (earlier := self._store.answer(key)):
            if earlier[0] != fingerprint:
                raise Refused(
                    400, "Keys for idempotent requests can only be used with the same parameters they were first used"
                    " with.", kind="idempotency_error",
                )
            return earlier[1], earlier[2]
        parameters = _nested(parse_qsl(content.decode() or request.url.query, keep_blank_values=True))
        self._store.begin()
        try:
            body = json.dumps(self._route(request.method, request.path_params["path"].strip("/"), parameters))
            if key:
                self._store.keep_answer(key, fingerprint, 200, body)
            self._store.commit()
        except BaseException:
            self._store.rollback()
            raise
        self._wake.set()
        return 200, body

    def _route(self, method: str, path: str, given: Json) -> Json:
        for verb, pattern, work in self._operations():
            match = re.fullmatch(pattern, path)
            if verb == method and match:
                return work(given, *match.groups())
        raise Refused(404, f"Unrecognized request URL ({method}: /v1/{path}).")

    def _operations(self) -> list[tuple[str, str, Callable[..., Json]]]:
        found: list[tuple[str, str, Callable[..., Json]]] = []
        for plural, kind in (
            ("customers", "customer"), ("products", "product"), ("prices", "price"),
            ("subscriptions", "subscription"), ("invoices", "invoice"), ("events", "event"),
        ):
            found += [
                ("GET", plural, lambda given, kind=kind, plural=plural: self._list(kind, plural, given)),
                ("GET", f"{plural}/([^/]+)", lambda _, object_id, kind=kind: self._get(kind, object_id)),
            ]
        return [
            *found,
            ("POST", "customers", self._create_customer),
            ("POST", "customers/([^/]+)", lambda given, object_id: self._update("customer", object_id, given)),
            ("POST", "products", self._create_product),
            ("POST", "prices", self._create_price),
            ("POST", "subscriptions", self._create_subscription),
            ("POST", "subscriptions/([^/]+)", self._update_subscription),
            ("DELETE", "subscriptions/([^/]+)", self._cancel_subscription),
        ]

    def _get(self, kind: str, object_id: str) -> Json:
        found = self._store.object(kind, object_id)
        if found is None:
            raise Refused(404, f"No such {kind}: '{object_id}'", code="resource_missing", param="id")
        return found

    def _list(self, kind: str, plural: str, given: Json) -> Json:
        wanted = {name: given[name] for name in ("customer", "type", "active", "status") if name in given}
        keys = set((given.get("lookup_keys") or {}).values()) if isinstance(given.get("lookup_keys"), dict) else set()
        items = [
            item for item in self._store.objects(kind)
            if all(name == "status" or _text(item.get(name)) == value for name, value in wanted.items())
            and (not keys or item.get("lookup_key") in keys)
            and (kind != "subscription" or given.get("status") in ("all", item["status"])
                 or (not given.get("status") and item["status"] != "canceled"))
        ]
        after = given.get("starting_after")
        if after:
            places = [number for number, item in enumerate(items) if item["id"] == after]
            items = items[places[0] + 1 :] if places else []
        limit = int(given.get("limit", 10))
        return {"object": "list", "url": f"/v1/{plural}", "has_more": len(items) > limit, "data": items[:limit]}

    def _new(self, prefix: str, kind: str, **fields: Any) -> Json:
        made = {
            "id": f"{prefix}_{secrets.token_urlsafe(12).replace('-', '0').replace('_', '1')}", "object": kind,
            "created": int(time.time()), "livemode": False, "metadata": {}, **fields,
        }
        self._store.put_object(kind, made)
        return made

    def _create_customer(self, given: Json) -> Json:
        made = self._new(
            "cus", "customer", email=given.get("email"), name=given.get("name"), metadata=given.get("metadata", {}),
            balance=0, currency=None, delinquent=False, invoice_settings={"default_payment_method": None},
        )
        self._happened("customer.created", made)
        return made

    def _update(self, kind: str, object_id: str, given: Json) -> Json:
        changed = self._get(kind, object_id)
        changed |= {name: value for name, value in given.items() if name in ("name", "email", "phone", "description")}
        changed["metadata"] = changed["metadata"] | given.get("metadata", {})
        self._store.put_object(kind, changed)
        self._happened(f"{kind}.updated", changed)
        return changed

    def _create_product(self, given: Json) -> Json:
        return self._new(
            "prod", "product", name=_needed(given, "name"), active=True, metadata=given.get("metadata", {})
        )

    def _create_price(self, given: Json) -> Json:
        product = given.get("product") or self._create_product(given.get("product_data", {}))["id"]
        self._get("product", product)
        lookup_key = given.get("lookup_key")
        if lookup_key and any(price.get("lookup_key") == lookup_key for price in self._store.objects("price")):
            raise Refused(400, f"A price already uses that lookup key: {lookup_key}", param="lookup_key")
        recurring = given.get("recurring", {})
        return self._new(
            "price", "price", active=True, currency=_needed(given, "currency"), product=product,
            unit_amount=int(_needed(given, "unit_amount")), lookup_key=lookup_key, type="recurring",
            billing_scheme="per_unit", metadata=given.get("metadata", {}),
            recurring={
                "interval": recurring.get("interval", "month"), "interval_count": 1, "usage_type": "licensed",
                "meter": None, "trial_period_days": None,
            },
        )

    def _create_subscription(self, given: Json) -> Json:
        customer = self._get("customer", _needed(given, "customer"))
        now = int(time.time())
        trial_end = given.get("trial_end")
        if given.get("trial_period_days"):
            trial_end = now + int(given["trial_period_days"]) * DAY
        end = int(trial_end) if trial_end else now + MONTH
        items = [
            self._item(number, entry, start=now, end=end)
            for number, entry in sorted(_needed(given, "items").items(), key=lambda pair: int(pair[0]))
        ]
        made = self._new(
            "sub", "subscription", customer=customer["id"], status="trialing" if trial_end else "active",
            items={"object": "list", "data": items, "has_more": False, "url": "/v1/subscription_items"},
            trial_start=now if trial_end else None, trial_end=int(trial_end) if trial_end else None, start_date=now,
            billing_cycle_anchor=end, cancel_at_period_end=False, cancel_at=None, canceled_at=None, ended_at=None,
            collection_method="charge_automatically", currency=items[0]["price"]["currency"],
            metadata=given.get("metadata", {}), latest_invoice=None, default_payment_method=None,
        )
        for item in items:
            item["subscription"] = made["id"]
        invoice = self._invoice(made, amount=0 if trial_end else _total(items), start=now, end=now)
        made["latest_invoice"] = invoice["id"]
        self._store.put_object("subscription", made)
        self._happened("customer.subscription.created", made)
        self._happened("invoice.created", invoice)
        self._happened("invoice.paid", invoice)
        return made

    def _item(self, number: str, entry: Json, *, start: int, end: int) -> Json:
        price = self._get("price", _needed(entry, "price", param=f"items[{number}][price]"))
        return {
            "id": f"si_{secrets.token_hex(8)}", "object": "subscription_item", "created": start, "metadata": {},
            "price": price, "quantity": int(entry.get("quantity", 1)), "current_period_start": start,
            "current_period_end": end, "subscription": None, "tax_rates": [],
        }

    def _invoice(self, subscription: Json, *, amount: int, start: int, end: int) -> Json:
        number = len(self._store.objects("invoice")) + 1
        parent = {
            "type": "subscription_details", "quote_details": None,
            "subscription_details": {"subscription": subscription["id"], "metadata": subscription["metadata"]},
        }
        return self._new(
            "in", "invoice", customer=subscription["customer"], number=f"LOTPRO-{number:06d}", status="paid",
            amount_due=amount, amount_paid=amount, amount_remaining=0, total=amount, subtotal=amount,
            currency=subscription["currency"], period_start=start, period_end=end, parent=parent,
            billing_reason="subscription_create", hosted_invoice_url=None, invoice_pdf=None, attempted=True,
            lines={"object": "list", "data": [], "has_more": False, "url": "/v1/invoices/lines"},
        )

    def _update_subscription(self, given: Json, object_id: str) -> Json:
        changed = self._get("subscription", object_id)
        for entry in given.get("items", {}).values():
            for item in changed["items"]["data"]:
                if item["id"] == entry.get("id") and "quantity" in entry:
                    item["quantity"] = int(entry["quantity"])
        if "cancel_at_period_end" in given:
            changed["cancel_at_period_end"] = given["cancel_at_period_end"] == "true"
        changed["metadata"] = changed["metadata"] | given.get("metadata", {})
        self._store.put_object("subscription", changed)
        self._happened("customer.subscription.updated", changed)
        return changed

    def _cancel_subscription(self, _: Json, object_id: str) -> Json:
        changed = self._get("subscription", object_id)
        now = int(time.time())
        changed |= {"status": "canceled", "canceled_at": now, "ended_at": now}
        self._store.put_object("subscription", changed)
        self._happened("customer.subscription.deleted", changed)
        return changed

    def _happened(self, kind: str, subject: Mapping[str, Any]) -> None:
        """An event, as it is now, and its webhook to come."""
        event = self._new(
            "evt", "event", type=kind, api_version=API_VERSION, pending_webhooks=1, data={"object": dict(subject)},
            request={"id": None, "idempotency_key": None},
        )
        if self._webhook_url:
            self._store.plan_webhook(event["id"], attempts=0, at=time.time())

    async def send_webhooks(self) -> None:
        """Send webhooks as they become due, for ever; nothing runs while none waits."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            while True:
                waiting = self._store.webhooks()
                pause = max(0.0, waiting[0][2] - time.time()) if waiting else None
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                    continue
                except TimeoutError:
                    await self._send(client, *waiting[0][:2])

    async def _send(self, client: httpx.AsyncClient, event_id: str, attempts: int) -> None:
        event = self._store.object("event", event_id)
        body = json.dumps(event)
        stamp = int(time.time())
        secret = self._secret("billing-stripe-webhook-secret").split(",")[0]
        mark = hmac.new(secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={stamp},v1={mark}", "Content-Type": "application/json; charset=utf-8"}
        try:
            answer = await client.post(self._webhook_url, content=body, headers=headers)
            taken = answer.is_success
        except httpx.HTTPError:
            taken = False
        if taken or attempts + 1 >= WEBHOOK_ATTEMPTS:
            self._store.webhook_done(event_id)
        else:
            pause = min(2.0**attempts, LONGEST_PAUSE)
            self._store.plan_webhook(event_id, attempts=attempts + 1, at=time.time() + pause)


def _nested(pairs: list[tuple[str, str]]) -> Json:
    """`items[0][price]=x` as {"items": {"0": {"price": "x"}}}."""
    nested: Json = {}
    for name, value in pairs:
        *path, last = re.findall(r"[^\[\]]+", name) or [name]
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return nested


def _needed(given: Json, name: str, *, param: str = "") -> Any:
    if not given.get(name):
        raise Refused(400, f"Missing required param: {param or name}.", code="parameter_missing", param=param or name)
    return given[name]


def _text(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _total(items: list[Json]) -> int:
    return sum(int(item["price"]["unit_amount"]) * int(item["quantity"]) for item in items)
