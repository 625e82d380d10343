"""What billing asks of Stripe, through its own SDK."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import stripe

from lotpro_billing.settings import Settings
from lotpro_kit import errors, telemetry

#: The version whose shapes are read below; the endpoint for webhooks is registered with the same one.
API_VERSION = "2026-10-28.endive"
#: Stripe's default is 80 s; whoever waits here holds a subscription's lock.
TIMEOUT_SECONDS = 10.0
#: The SDK repeats 409 and 5xx under the same idempotency key, never 429.
MAX_RETRIES = 2

log = telemetry.logger(__name__)


class StripeRefused(errors.Conflict):
    """Stripe will not do this however often it is asked."""

    code = "billing.stripe_refused"
    message = "The payment provider refused."


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sold: a price by its lookup key. `amount` in minor units of `currency` for a store and a month."""

    lookup_key: str
    name: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as Stripe has it now; times in UTC."""

    id: str
    customer_id: str
    status: str
    plan: str
    quantity: int
    trial_ends_at: datetime | None
    period_ends_at: datetime | None
    cancel_at_period_end: bool


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as Stripe has it now; amounts in minor units, times in UTC."""

    id: str
    customer_id: str
    subscription_id: str
    number: str
    status: str
    amount_due: int
    amount_paid: int
    currency: str
    period_starts_at: datetime
    period_ends_at: datetime
    issued_at: datetime


class Stripe(Protocol):
    """Stripe, as far as billing needs it.

    Every method raises Unavailable when asking again may help, StripeRefused when it cannot, NotFound for ids that
    Stripe does not know. A method with a key does its work once for each key.
    """

    async def price_of(self, plan: Plan) -> str:
        """The id of the plan's active price, made at Stripe when there is none."""
        ...

    async def create_customer(self, org_id: UUID, *, key: str) -> str:
        """The id of a new customer that stands for an organisation."""
        ...

    async def address_customer(self, customer_id: str, *, name: str, email: str) -> None:
        """Write down where a customer's invoices go."""
        ...

    async def subscription_of(self, customer_id: str) -> str | None:
        """The id of the customer's subscription that is not canceled, if it has one."""
        ...

    async def create_subscription(
        self, customer_id: str, *, org_id: UUID, price_id: str, trial_days: int, key: str
    ) -> str:
        """The id of a new subscription of one unit that begins with a trial."""
        ...

    async def subscription(self, subscription_id: str) -> Subscription:
        """A subscription as it is now."""
        ...

    async def invoice(self, invoice_id: str) -> Invoice:
        """An invoice as it is now."""
        ...


Answer = TypeVar("Answer")


class StripeApi:
    """Stripe's API."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = _Transport(timeout=TIMEOUT_SECONDS)
        self._opened: stripe.StripeClient | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call] # the SDK left this one without types

    async def price_of(self, plan: Plan) -> str:
        found = await _asking(self._client.v1.prices.list_async({"lookup_keys": [plan.lookup_key], "active": True}))
        if found.data:
            return found.data[0].id
        price = await _asking(
            self._client.v1.prices.create_async(
                {
                    "lookup_key": plan.lookup_key,
                    "product_data": {"name": plan.name},
                    "unit_amount": plan.amount,
                    "currency": plan.currency,
                    "recurring": {"interval": "month"},
                },
                {"idempotency_key": f"price-{plan.lookup_key}-{plan.currency}-{plan.amount}"},
            )
        )
        return price.id

    async def create_customer(self, org_id: UUID, *, key: str) -> str:
        customer = await _asking(
            # Nothing that can change may be in here: a key that comes back with another body is refused.
            self._client.v1.customers.create_async({"metadata": {"org_id": str(org_id)}}, {"idempotency_key": key})
        )
        return customer.id

    async def address_customer(self, customer_id: str, *, name: str, email: str) -> None:
        await _asking(self._client.v1.customers.update_async(customer_id, {"name": name, "email": email}))

    async def subscription_of(self, customer_id: str) -> str | None:
        found = await _asking(self._client.v1.subscriptions.list_async({"customer": customer_id, "limit": 1}))
        return found.data[0].id if found.data else None

    async def create_subscription(
        self, customer_id: str, *, org_id: UUID, price_id: str, trial_days: int, key: str
    ) -> str:
        made = await _asking(
            self._client.v1.subscriptions.create_async(
                {
                    "customer": customer_id,
                    "items": [{"price": price_id, "quantity": 1}],
                    "trial_period_days": trial_days,
                    "metadata": {"org_id": str(org_id)},
                },
                {"idempotency_key": key},
            )
        )
        return made.id

    async def subscription(self, subscription_id: str) -> Subscription:
        found = await _asking(self._client.v1.subscriptions.retrieve_async(subscription_id))
        return _subscription(found.to_dict())

    async def invoice(self, invoice_id: str) -> Invoice:
        found = await _asking(self._client.v1.invoices.retrieve_async(invoice_id))
        return _invoice(found.to_dict())

    @property
    def _client(self) -> stripe.StripeClient:
        if self._opened is None:
            self._opened = stripe.StripeClient(
                self._settings.stripe_api_key.get_secret_value(),
                stripe_version=API_VERSION,
                base_addresses={"api": self._settings.stripe_api_url},
                max_network_retries=MAX_RETRIES,
                http_client=self._http,
            )
        return self._opened


class _Transport(stripe.HTTPXClient):
    """The SDK's own transport, but that it gives httpx a text as `content`: as `data`, httpx has deprecated it."""

    def _get_request_args_kwargs(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any
    ) -> list[tuple[str, str] | dict[str, Any]]:
        return [(method, url), {"headers": headers, "content": post_data or b"", "timeout": TIMEOUT_SECONDS}]


async def _asking(request: Awaitable[Answer]) -> Answer:
    """Stripe's answer; its errors become our kinds of refusal, without their texts."""
    try:
        return await request
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            raise errors.NotFound from error
        log.error("stripe refused", status=error.http_status, code=error.code or "", param=error.param or "")
        raise StripeRefused from error
    except (stripe.CardError, stripe.IdempotencyError) as error:
        log.error("stripe refused", status=error.http_status, code=error.code or "")
        raise StripeRefused from error
    except stripe.StripeError as error:
        # Away, overloaded (429) or our key is wrong: each may be right again later.
        log.warning("stripe unavailable", status=error.http_status or 0, error=type(error).__name__)
        raise errors.Unavailable("The payment provider does not answer as it should.") from error


def _subscription(body: Mapping[str, Any]) -> Subscription:
    """Since 2025 the period stands on the items; ours all have the same one."""
    item = body["items"]["data"][0]
    return Subscription(
        id=body["id"],
        customer_id=_id(body["customer"]),
        status=body["status"],
        plan=item["price"].get("lookup_key") or "",
        quantity=item.get("quantity") or 0,
        trial_ends_at=_moment(body.get("trial_end")),
        period_ends_at=_moment(item.get("current_period_end")),
        cancel_at_period_end=bool(body.get("cancel_at_period_end")),
    )


def _invoice(body: Mapping[str, Any]) -> Invoice:
    issued_at = datetime.fromtimestamp(body["created"], UTC)
    return Invoice(
        id=body["id"],
        customer_id=_id(body["customer"]),
        subscription_id=subscription_of_invoice(body),
        number=body.get("number") or "",
        status=body["status"],
        amount_due=body["amount_due"],
        amount_paid=body["amount_paid"],
        currency=body["currency"].upper(),
        period_starts_at=_moment(body.get("period_start")) or issued_at,
        period_ends_at=_moment(body.get("period_end")) or issued_at,
        issued_at=issued_at,
    )


def subscription_of_invoice(body: Mapping[str, Any]) -> str:
    """The id of the subscription an invoice belongs to; empty when it belongs to none."""
    details = (body.get("parent") or {}).get("subscription_details") or {}
    return _id(details.get("subscription") or "")


def _id(value: str | Mapping[str, Any]) -> str:
    """An id, also where Stripe expanded it to the object."""
    return value if isinstance(value, str) else str(value["id"])


def _moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
