"""How entitlements look over HTTP."""

from datetime import datetime

from pydantic import Field

from lotpro_billing.entitlements import domain
from lotpro_billing.entitlements.domain import Status, features_of
from lotpro_kit import api


class Entitlement(api.Answer):
    """What the organisation may use now."""

    status: Status = Field(
        description="`pending` while the trial is being set up: everything may be used already.", examples=["trialing"]
    )
    plan: str = Field(description="Empty while it is not known.", examples=["lotpro_standard"])
    features: list[str] = Field(examples=[["inventory", "sales"]])
    stores_limit: int = Field(examples=[1])
    valid_until: datetime | None = Field(
        description="End of the period that is settled; null while it is not known.", examples=["2026-01-19T00:00:00Z"]
    )


def entitlement(row: domain.Entitlement | None) -> Entitlement:
    """A row as it is shown; an organisation whose event is still on its way is pending."""
    if row is None:
        return Entitlement(
            status=Status.PENDING, plan="", features=list(features_of(Status.PENDING)), stores_limit=1, valid_until=None
        )
    return Entitlement(
        status=row.status, plan=row.plan, features=list(features_of(row.status)), stores_limit=row.stores_limit,
        valid_until=row.valid_until,
    )
