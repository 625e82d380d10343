"""The HTTP door of subscriptions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from lotpro_billing.entitlements import service as entitlements
from lotpro_billing.subscriptions import schemas, service
from lotpro_billing.subscriptions.domain import organisation_of
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database

Viewing = Annotated[Caller, Depends(api.requires("billing:subscription:view"))]


def router(database: Database) -> APIRouter:
    """The operations on the organisation's subscription."""
    routes = APIRouter(prefix="/api/billing/v1", tags=["subscriptions"])

    @routes.get(
        "/subscription",
        response_model=schemas.Subscription,
        responses=api.problems(errors.Unauthenticated, errors.Forbidden, errors.NotFound),
    )
    async def view_subscription(caller: Viewing) -> Response:
        """See the organisation's subscription; answered from our own rows, also while Stripe is away."""
        org_id = organisation_of(caller)
        async with database.begin(caller) as session:
            found = await service.subscription_of(session=session, org_id=org_id)
            entitlement = await entitlements.entitlement_of(session=session, org_id=org_id)
        return api.answer(200, schemas.subscription(found, entitlement))

    return routes
