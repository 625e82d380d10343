"""The HTTP door of entitlements."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from lotpro_billing.entitlements import schemas, service
from lotpro_billing.subscriptions.domain import organisation_of
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database

Viewing = Annotated[Caller, Depends(api.requires("billing:subscription:view"))]


def router(database: Database) -> APIRouter:
    """The operations on entitlements."""
    routes = APIRouter(prefix="/api/billing/v1", tags=["entitlements"])

    @routes.get(
        "/entitlement",
        response_model=schemas.Entitlement,
        responses=api.problems(errors.Unauthenticated, errors.Forbidden, errors.NotFound),
    )
    async def view_entitlement(caller: Viewing) -> Response:
        """See what the organisation may use; answered from our own snapshot, also while Stripe is away."""
        async with database.begin(caller) as session:
            found = await service.entitlement_of(session=session, org_id=organisation_of(caller))
        return api.answer(200, schemas.entitlement(found))

    return routes
