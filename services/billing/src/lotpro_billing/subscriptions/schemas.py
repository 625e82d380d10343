"""How subscriptions look over HTTP."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from lotpro_billing.entitlements.domain import Entitlement, Status
from lotpro_billing.subscriptions import domain
from lotpro_kit import api


class Subscription(api.Answer):
    """The organisation's subscription."""

    id: UUID | None = Field(
        description="Null while the trial is being set up.", examples=["0192e4a0-7c1e-7b3a-9d52-2f6f0c9a4e11"]
    )
    status: Status = Field(description="`pending` while the trial is being set up.", examples=["trialing"])
    plan: str = Field(examples=["lotpro_standard"])
    stores: int = Field(description="How many stores are paid for.", examples=[1])
    trial_ends_at: datetime | None = Field(examples=["2026-01-19T00:00:00Z"])
    period_ends_at: datetime | None = Field(description="When it renews or ends.", examples=["2026-01-19T00:00:00Z"])
    cancel_at_period_end: bool = Field(examples=[False])


def subscription(row: domain.Subscription | None, entitlement: Entitlement | None) -> Subscription:
    """A row as it is shown; an organisation whose event is still on its way is pending."""
    if row is None:
        return Subscription(
            id=None, status=Status.PENDING, plan="", stores=1, trial_ends_at=None, period_ends_at=None,
            cancel_at_period_end=False,
        )
    return Subscription(
        id=row.id,
        status=entitlement.status if entitlement else Status.PENDING,
        plan=row.plan,
        stores=row.quantity,
        trial_ends_at=row.trial_ends_at,
        period_ends_at=row.period_ends_at,
        cancel_at_period_end=row.cancel_at_period_end,
    )
