"""The HTTP door of invoices."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from lotpro_billing.ledger import schemas, service
from lotpro_billing.subscriptions.domain import organisation_of
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

Viewing = Annotated[Caller, Depends(api.requires("billing:subscription:view"))]


def router(database: Database, cursors: Cursors) -> APIRouter:
    """The operations on invoices."""
    routes = APIRouter(prefix="/api/billing/v1", tags=["invoices"])

    @routes.get(
        "/invoices",
        response_model=schemas.InvoicePage,
        responses=api.problems(
            errors.Unauthenticated, errors.Forbidden, errors.NotFound, errors.Invalid, InvalidCursor
        ),
    )
    async def list_invoices(
        caller: Viewing, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> Response:
        """List the organisation's invoices, the one that changed last first."""
        before = UUID(str(cursors.read(caller, "invoices", cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            found = await service.list_invoices(
                session=session, org_id=organisation_of(caller), before=before, limit=limit + 1
            )
        page = found[:limit]
        more = cursors.write(caller, "invoices", [str(page[-1].id)]) if len(found) > limit else None
        items = [schemas.invoice(entry) for entry in page]
        return api.answer(200, schemas.InvoicePage.model_construct(items=items, next_cursor=more))

    return routes
