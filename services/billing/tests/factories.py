"""What billing's tests stand on: Stripe and identity, as far as billing speaks to them."""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_kit import bus, errors, ids
from lotpro_kit.clock import utc_now

WEBHOOK_SECRET = "whsec_test"
Json = dict[str, Any]


class Identity(identity_pb2_grpc.IdentityServiceServicer):
    """Identity's gRPC: every organisation and every person exists."""

    def __init__(self) -> None:
        self.away = False

    async def GetOrganisation(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        if self.away:
            raise errors.Unavailable
        return identity_pb2.GetOrganisationResponse(org_id=request.org_id, name=f"Dealer {request.org_id}")

    async def GetContacts(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        people = [identity_pb2.Contact(user_id=one, email=f"{one}@example.com") for one in request.user_ids]
        return identity_pb2.GetContactsResponse(contacts=people)

    async def GetMembers(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        raise errors.NotFound

    async def RevealCode(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        raise errors.NotFound


@dataclass
class FakeStripe:
    """Stripe's API over HTTP: customers, prices, subscriptions and invoices with idempotency keys."""

    prices: list[Json] = field(default_factory=list)
    customers: dict[str, Json] = field(default_factory=dict)
    subscriptions: dict[str, Json] = field(default_factory=dict)
    invoices: dict[str, Json] = field(default_factory=dict)
    #: Statuses that the next requests are answered with instead.
    failures: list[int] = field(default_factory=list)
    #: Organisations whose new subscription is made but whose answer never comes.
    silent_for: set[str] = field(default_factory=set)
    _answers: dict[str, tuple[str, Json]] = field(default_factory=dict)
    _numbers: Callable[[], int] = field(default_factory=lambda: itertools.count(1).__next__)

    def app(self) -> Starlette:
        """The ASGI app, under `/stripe` like the local one."""
        routes = [
            ("/prices", self._list_prices, ["GET"]),
            ("/prices", self._add_price, ["POST"]),
            ("/customers", self._add_customer, ["POST"]),
            ("/customers/{id}", self._change_customer, ["POST"]),
            ("/subscriptions", self._list_subscriptions, ["GET"]),
            ("/subscriptions", self._add_subscription, ["POST"]),
            ("/subscriptions/{id}", self._subscription, ["GET"]),
            ("/invoices/{id}", self._invoice, ["GET"]),
        ]
        return Starlette(routes=[Route(f"/stripe/v1{path}", self._door(to), methods=how) for path, to, how in routes])

    def of_org(self, org_id: UUID) -> list[Json]:
        """The subscriptions of an organisation."""
        return [one for one in self.subscriptions.values() if one["metadata"]["org_id"] == str(org_id)]

    def add_invoice(self, subscription_id: str, **facts: Any) -> str:
        """An invoice of a subscription; answers its id."""
        invoice_id = f"in_{uuid4().hex}"
        now = int(time.time())
        self.invoices[invoice_id] = {
            "id": invoice_id, "object": "invoice", "customer": self.subscriptions[subscription_id]["customer"],
            "parent": {"subscription_details": {"subscription": subscription_id}}, "number": f"LOT-{self._numbers()}",
            "status": "open", "amount_due": 9900, "amount_paid": 0, "currency": "usd", "created": now,
            "period_start": now, "period_end": now + 2_592_000, **facts,
        }
        return invoice_id

    def _door(self, to: Callable[[Request, Json], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            if self.failures:
                return JSONResponse({"error": {"type": "api_error", "message": "no"}}, self.failures.pop(0))
            form = {key: str(value) for key, value in (await request.form()).items()}
            key, spelled = request.headers.get("idempotency-key", ""), json.dumps(form, sort_keys=True)
            if key in self._answers and request.method == "POST":
                before, body = self._answers[key]
                if before != spelled:
                    return JSONResponse({"error": {"type": "idempotency_error", "message": "no"}}, 400)
                return JSONResponse(body)
            body = to(request, form)
            if body is None:
                missing = {"type": "invalid_request_error", "code": "resource_missing", "message": "no"}
                return JSONResponse({"error": missing}, 404)
            if key:
                self._answers[key] = (spelled, body)
            if form.get("metadata[org_id]", "") in self.silent_for and "items[0][price]" in form:
                await asyncio.sleep(60)
            return JSONResponse(body)

        return answer

    def _list_prices(self, request: Request, form: Json) -> Json:
        wanted = request.query_params.get("lookup_keys[0]")
        return _list([price for price in self.prices if price["lookup_key"] == wanted])

    def _add_price(self, request: Request, form: Json) -> Json:
        price = {
            "id": f"price_{uuid4().hex}", "object": "price", "lookup_key": form["lookup_key"],
            "unit_amount": int(form["unit_amount"]), "currency": form["currency"],
            "recurring": {"interval": form["recurring[interval]"]},
        }
        self.prices.append(price)
        return price

    def _add_customer(self, request: Request, form: Json) -> Json:
        customer_id = f"cus_{uuid4().hex}"
        metadata = {"org_id": form["metadata[org_id]"]}
        self.customers[customer_id] = {"id": customer_id, "object": "customer", "metadata": metadata}
        return self.customers[customer_id]

    def _change_customer(self, request: Request, form: Json) -> Json | None:
        customer = self.customers.get(request.path_params["id"])
        if customer is not None:
            customer.update(form)
        return customer

    def _list_subscriptions(self, request: Request, form: Json) -> Json:
        wanted = request.query_params["customer"]
        running = [one for one in self.subscriptions.values() if one["status"] != "canceled"]
        return _list([one for one in running if one["customer"] == wanted])

    def _add_subscription(self, request: Request, form: Json) -> Json:
        now = int(time.time())
        trial_end = now + int(form["trial_period_days"]) * 86_400
        (price,) = [price for price in self.prices if price["id"] == form["items[0][price]"]]
        item = {
            "id": f"si_{uuid4().hex}", "object": "subscription_item", "price": price,
            "quantity": int(form["items[0][quantity]"]), "current_period_start": now, "current_period_end": trial_end,
        }
        subscription = {
            "id": f"sub_{uuid4().hex}", "object": "subscription", "customer": form["customer"], "status": "trialing",
            "metadata": {"org_id": form["metadata[org_id]"]}, "items": _list([item]), "trial_end": trial_end,
            "cancel_at_period_end": False, "created": now,
        }
        self.subscriptions[subscription["id"]] = subscription
        return subscription

    def _subscription(self, request: Request, form: Json) -> Json | None:
        return self.subscriptions.get(request.path_params["id"])

    def _invoice(self, request: Request, form: Json) -> Json | None:
        return self.invoices.get(request.path_params["id"])


def _list(data: list[Json]) -> Json:
    return {"object": "list", "data": data, "has_more": False, "url": "/v1/list"}


def webhook(kind: str, thing: Json, *, event_id: str = "", created: int | None = None) -> bytes:
    """The body of a webhook about an object."""
    event = {
        "id": event_id or f"evt_{uuid4().hex}", "object": "event", "type": kind, "created": created or int(time.time()),
        "api_version": "2026-10-28.endive", "data": {"object": thing},
    }
    return json.dumps(event).encode()


def signature(body: bytes, *, secret: str = WEBHOOK_SECRET, at: datetime | None = None) -> str:
    """Stripe's signature header for a body."""
    stamp = int((at or utc_now()).timestamp())
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


def delivery() -> bus.Delivery:
    """An event as it comes from the bus."""
    return bus.Delivery(id=ids.new(), type="", source="", time=utc_now(), attempt=1)
