"""The HTTP door of webhooks."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from lotpro_billing.db import SCOPE
from lotpro_billing.settings import Settings
from lotpro_billing.webhooks import domain, service
from lotpro_kit import api
from lotpro_kit.caller import system
from lotpro_kit.clock import Clock
from lotpro_kit.db import Database


def router(database: Database, settings: Settings, clock: Clock) -> APIRouter:
    """What the payment provider calls."""
    routes = APIRouter(prefix="/api/billing/v1", tags=["webhooks"])

    @routes.post(
        "/webhooks/stripe",
        status_code=200,
        response_class=Response,
        responses=api.problems(domain.WebhookUnsigned, domain.WebhookUnreadable),
    )
    async def receive_stripe_webhook(
        request: Request,
        stripe_signature: Annotated[str, Header(max_length=4096, examples=["t=1767627120,v1=5257a869e7"])] = "",
    ) -> Response:
        """Take an event from Stripe; 200 means that it is stored. Events of unknown types are stored too."""
        body = await request.body()
        secrets = [part.strip() for part in settings.stripe_webhook_secret.get_secret_value().split(",")]
        now = clock()
        domain.verify(body, stripe_signature, secrets=[secret for secret in secrets if secret], now=now)
        notice = domain.read(body)
        async with database.begin(system(scope=SCOPE)) as session:
            await service.store_webhook(session=session, notice=notice, now=now)
        return Response(status_code=200)

    return routes
