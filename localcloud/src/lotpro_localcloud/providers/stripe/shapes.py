"""What Stripe's objects look like in API version 2026-10-28.endive (checked against the SDK's own models by a test)."""

import secrets
import string
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

API_VERSION = "2026-10-28.endive"
_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """An id as Stripe gives them."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(16))}"


def _new(prefix: str, kind: str, now: int, **fields: Any) -> Json:
    return {"id": new_id(prefix), "object": kind, "created": now, "livemode": False, **fields}


def listed(url: str, data: list[Json], *, has_more: bool = False) -> Json:
    """A list object."""
    return {"object": "list", "url": url, "has_more": has_more, "data": data}


def customer(now: int, *, fields: Mapping[str, str | None], metadata: Mapping[str, str]) -> Json:
    """A customer who has paid for nothing and has no way to pay yet."""
    return _new(
        "cus", "customer", now, address=None, balance=0, currency=None, default_source=None, delinquent=False,
        discount=None, invoice_prefix="".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(8)),
        invoice_settings={
            "custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None,
        },
        metadata=dict(metadata), next_invoice_sequence=1, preferred_locales=[], shipping=None, tax_exempt="none",
        test_clock=None, **{"description": None, "email": None, "name": None, "phone": None, **fields},
    )


def product(now: int, *, name: str, description: str | None, metadata: Mapping[str, str]) -> Json:
    """A product."""
    return _new(
        "prod", "product", now, active=True, default_price=None, description=description, images=[],
        marketing_features=[], metadata=dict(metadata), name=name, package_dimensions=None, shippable=None,
        statement_descriptor=None, tax_code=None, type="service", unit_label=None, updated=now, url=None,
    )


def price(
    now: int, *, product_id: str, currency: str, amount: int, lookup_key: str | None, nickname: str | None,
    interval: str, interval_count: int, metadata: Mapping[str, str],
) -> Json:
    """A recurring price per unit; `amount` in minor units."""
    return _new(
        "price", "price", now, active=True, billing_scheme="per_unit", currency=currency, custom_unit_amount=None,
        lookup_key=lookup_key, metadata=dict(metadata), nickname=nickname, product=product_id,
        recurring={
            "interval": interval, "interval_count": interval_count, "meter": None, "trial_period_days": None,
            "usage_type": "licensed",
        },
        tax_behavior="unspecified", tiers_mode=None, transform_quantity=None, type="recurring", unit_amount=amount,
        unit_amount_decimal=str(amount),
    )


def completed(kind: str, found: Json) -> Json:
    """An object that an earlier version of this Stripe stored, with the fields that have come since."""
    if kind == "customer":
        return customer(found["created"], fields={}, metadata={}) | found
    if kind == "price":
        blank = price(
            found["created"], product_id=found["product"], currency=found["currency"], amount=found["unit_amount"],
            lookup_key=None, nickname=None, interval="month", interval_count=1, metadata={},
        )
        return blank | found
    return found


def subscription(
    now: int, *, customer_id: str, currency: str, trial_end: int, description: str | None, metadata: Mapping[str, str]
) -> Json:
    """A subscription on trial; its items and latest invoice are put in afterwards."""
    return _new(
        "sub", "subscription", now, application=None, application_fee_percent=None,
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None}, billing_cycle_anchor=trial_end,
        billing_cycle_anchor_config=None,
        billing_mode={"flexible": {"proration_discounts": "included"}, "type": "flexible"}, billing_schedules=[],
        billing_thresholds=None, cancel_at=None, cancel_at_period_end=False, canceled_at=None,
        cancellation_details={"comment": None, "feedback": None, "reason": None},
        collection_method="charge_automatically", currency=currency, customer=customer_id, days_until_due=None,
        default_payment_method=None, default_source=None, default_tax_rates=[], description=description, discounts=[],
        ended_at=None, invoice_settings={"account_tax_ids": None, "issuer": {"type": "self"}}, latest_invoice=None,
        metadata=dict(metadata), next_pending_invoice_item_invoice=None, on_behalf_of=None, pause_collection=None,
        payment_settings={
            "payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off",
        },
        pending_invoice_item_interval=None, pending_setup_intent=None, pending_update=None, schedule=None,
        start_date=now, status="trialing", test_clock=None, transfer_data=None, trial_end=trial_end,
        trial_settings={"end_behavior": {"missing_payment_method": "create_invoice"}}, trial_start=now,
    )


def subscription_item(
    now: int, *, subscription_id: str, price: Mapping[str, Any], quantity: int, end: int, metadata: Mapping[str, str]
) -> Json:
    """An item; since 2025 the period stands here."""
    made = _new(
        "si", "subscription_item", now, billing_thresholds=None, current_period_end=end, current_period_start=now,
        discounts=[], metadata=dict(metadata), plan=_plan(price), price=dict(price), quantity=quantity,
        subscription=subscription_id, tax_rates=[],
    )
    del made["livemode"]
    return made


def _plan(price: Mapping[str, Any]) -> Json:
    """The older name of a price; Stripe still sends both."""
    return {
        "id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"], "billing_scheme": "per_unit", "created": price["created"],
        "currency": price["currency"], "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"], "livemode": False, "metadata": price["metadata"],
        "meter": None, "nickname": price["nickname"], "product": price["product"], "tiers_mode": None,
        "transform_usage": None, "trial_period_days": None, "usage_type": "licensed",
    }


def trial_invoice(now: int, *, customer: Mapping[str, Any], subscription: Mapping[str, Any], number: str) -> Json:
    """The invoice that begins a trial: nothing is due, so it is paid."""
    parent = {
        "quote_details": None, "type": "subscription_details",
        "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
    }
    made = _new(
        "in", "invoice", now, account_country="US", account_name="lotPro on this machine", account_tax_ids=None,
        amount_due=0, amount_overpaid=0, amount_paid=0, amount_remaining=0, amount_shipping=0, application=None,
        attempt_count=0, attempted=True, auto_advance=False,
        automatic_tax={
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None,
        },
        automatically_finalizes_at=None, billing_reason="subscription_create",
        collection_method=subscription["collection_method"], currency=subscription["currency"], custom_fields=None,
        customer=customer["id"], customer_address=None, customer_email=customer["email"],
        customer_name=customer["name"], customer_phone=customer["phone"], customer_shipping=None,
        customer_tax_exempt="none", customer_tax_ids=[], default_payment_method=None, default_source=None,
        default_tax_rates=[], description=None, discounts=[], due_date=None, effective_at=now, ending_balance=0,
        footer=None, from_invoice=None, hosted_invoice_url=None, invoice_pdf=None, issuer={"type": "self"},
        last_finalization_error=None, latest_revision=None, metadata={}, next_payment_attempt=None, number=number,
        on_behalf_of=None, parent=parent,
        payment_settings={"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        period_end=now, period_start=now, post_payment_credit_notes_amount=0, pre_payment_credit_notes_amount=0,
        receipt_number=None, rendering=None, shipping_cost=None, shipping_details=None, starting_balance=0,
        statement_descriptor=None, status="paid",
        status_transitions={"finalized_at": now, "marked_uncollectible_at": None, "paid_at": now, "voided_at": None},
        subtotal=0, subtotal_excluding_tax=0, test_clock=None, total=0, total_discount_amounts=[],
        total_excluding_tax=0, total_pretax_credit_amounts=[], total_taxes=[], webhooks_delivered_at=None,
    )
    lines = [_trial_line(made["id"], subscription, item) for item in subscription["items"]["data"]]
    made["lines"] = listed(f"/v1/invoices/{made['id']}/lines", lines)
    return made


def _trial_line(invoice_id: str, subscription: Mapping[str, Any], item: Mapping[str, Any]) -> Json:
    details = {
        "invoice_item": None, "proration": False, "proration_details": {"credited_items": None},
        "subscription": subscription["id"], "subscription_item": item["id"],
    }
    return {
        "id": new_id("il"), "object": "line_item", "amount": 0, "currency": subscription["currency"],
        "description": "Free trial", "discount_amounts": [], "discountable": True, "discounts": [],
        "invoice": invoice_id, "livemode": False, "metadata": subscription["metadata"],
        "parent": {
            "invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details",
        },
        "period": {"end": item["current_period_end"], "start": item["current_period_start"]},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
            "type": "price_details", "unit_amount_decimal": "0",
        },
        "quantity": item["quantity"], "subtotal": 0, "taxes": [],
    }


def event(
    now: int, kind: str, subject: Mapping[str, Any], *, before: Json | None, request: Json, webhooks: int
) -> Json:
    """What happened to an object, with the object as it is now; `before` has the fields that were other."""
    data: Json = {"object": dict(subject), **({"previous_attributes": before} if before is not None else {})}
    return _new(
        "evt", "event", now, account=None, api_version=API_VERSION, context=None, data=data, pending_webhooks=webhooks,
        request=request, type=kind,
    )
