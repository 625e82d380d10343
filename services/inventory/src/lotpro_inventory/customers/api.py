"""The HTTP door of customers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from lotpro_inventory.customers import schemas, service
from lotpro_inventory.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

Adding = Annotated[Caller, Depends(api.requires("inventory:customer:add"))]
Viewing = Annotated[Caller, Depends(api.requires("inventory:customer:view"))]
Listing = Annotated[Caller, Depends(api.requires("inventory:customer:list"))]

_REFUSED = (errors.Unauthenticated, errors.Forbidden)


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """The operations on customers."""
    routes = APIRouter(prefix="/api/inventory/v1", tags=["customers"])

    @routes.post(
        "/customers",
        status_code=201,
        response_model=schemas.Customer,
        responses=api.problems(
            *_REFUSED, errors.NotFound, errors.Invalid, errors.Unavailable, api.IdempotencyKeyReused,
            api.IdempotencyInFlight,
        ),
    )
    async def add_customer(body: schemas.AddCustomer, caller: Adding, once: api.Idempotent) -> Response:
        """Record a customer of a store."""

        async def make() -> api.Made:
            made = await service.add_customer(
                session=session, caller=caller, ports=ports, store_id=body.store_id, contact=body.contact()
            )
            return 201, schemas.customer(made), api.etag(made.version)

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get(
        "/customers/{customer_id}",
        response_model=schemas.Customer,
        responses=api.problems(*_REFUSED, errors.NotFound),
    )
    async def view_customer(customer_id: str, caller: Viewing) -> Response:
        """See one customer's data; that you looked is recorded."""
        wanted = api.path_id(customer_id)
        async with database.begin(caller) as session:
            found = await service.view_customer(session=session, caller=caller, ports=ports, customer_id=wanted)
        return api.answer(200, schemas.customer(found), api.etag(found.version))

    @routes.get(
        "/customers",
        response_model=schemas.CustomerPage,
        responses=api.problems(*_REFUSED, errors.Invalid, InvalidCursor),
    )
    async def list_customers(
        caller: Listing,
        store_id: UUID | None = None,
        limit: api.Limit = 50,
        cursor: api.CursorParameter = None,
    ) -> Response:
        """List customers, the newest first; that you looked is recorded."""
        listing = f"customers|{store_id}"
        before = UUID(str(cursors.read(caller, listing, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            found = await service.list_customers(
                session=session, caller=caller, ports=ports, store_id=store_id, before=before, limit=limit + 1
            )
        page = found[:limit]
        more = cursors.write(caller, listing, [str(page[-1].id)]) if len(found) > limit else None
        return api.answer(200, schemas.CustomerPage(items=[schemas.customer(row) for row in page], next_cursor=more))

    @routes.post(
        "/customers:find",
        response_model=schemas.CustomerPage,
        responses=api.problems(*_REFUSED, errors.Invalid),
    )
    async def find_customers(body: schemas.FindCustomers, caller: Listing) -> Response:
        """Find customers by e-mail address, which therefore stands in no URL; that you looked is recorded."""
        async with database.begin(caller) as session:
            found = await service.find_customers(
                session=session, caller=caller, ports=ports, store_id=body.store_id, email=body.email
            )
        return api.answer(200, schemas.CustomerPage(items=[schemas.customer(row) for row in found], next_cursor=None))

    return routes
