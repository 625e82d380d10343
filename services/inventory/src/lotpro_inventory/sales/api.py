"""The HTTP door of sales."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from lotpro_inventory.ports import Ports
from lotpro_inventory.sales import schemas, service
from lotpro_inventory.vehicles.domain import VehicleAlreadySold
from lotpro_inventory.vehicles.states import TransitionRefused
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

Selling = Annotated[Caller, Depends(api.requires("inventory:vehicle:sell"))]
Viewing = Annotated[Caller, Depends(api.requires("inventory:sale:view"))]

_REFUSED = (errors.Unauthenticated, errors.Forbidden)


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """The operations on sales."""
    routes = APIRouter(prefix="/api/inventory/v1", tags=["sales"])

    @routes.post(
        "/vehicles/{vehicle_id}:sell",
        status_code=201,
        response_model=schemas.Sale,
        responses=api.problems(
            *_REFUSED, errors.NotFound, errors.Invalid, errors.PreconditionRequired, errors.PreconditionFailed,
            VehicleAlreadySold, TransitionRefused, api.IdempotencyKeyReused, api.IdempotencyInFlight,
        ),
    )
    async def sell_vehicle(
        vehicle_id: str, body: schemas.SellVehicle, caller: Selling, version: api.ExpectedVersion, once: api.Idempotent
    ) -> Response:
        """Sell a vehicle to a customer, known or new. Only one seller can."""
        wanted = api.path_id(vehicle_id)

        async def make() -> api.Made:
            made = await service.sell_vehicle(
                session=session, caller=caller, ports=ports, vehicle_id=wanted, expected_version=version,
                customer=body.buyer(), price=body.price,
            )
            return 201, schemas.sale(made), api.etag(made.version)

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get("/sales/{sale_id}", response_model=schemas.Sale, responses=api.problems(*_REFUSED, errors.NotFound))
    async def view_sale(sale_id: str, caller: Viewing) -> Response:
        """See one sale; that you looked is recorded."""
        wanted = api.path_id(sale_id)
        async with database.begin(caller) as session:
            found = await service.view_sale(session=session, caller=caller, ports=ports, sale_id=wanted)
        return api.answer(200, schemas.sale(found), api.etag(found.version))

    @routes.get(
        "/sales", response_model=schemas.SalePage, responses=api.problems(*_REFUSED, errors.Invalid, InvalidCursor)
    )
    async def list_sales(
        caller: Viewing, store_id: UUID | None = None, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> Response:
        """List sales, the newest first."""
        listing = f"sales|{store_id}"
        before = UUID(str(cursors.read(caller, listing, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            found = await service.list_sales(
                session=session, caller=caller, store_id=store_id, before=before, limit=limit + 1
            )
        page = found[:limit]
        more = cursors.write(caller, listing, [str(page[-1].id)]) if len(found) > limit else None
        return api.answer(200, schemas.SalePage(items=[schemas.sale(row) for row in page], next_cursor=more))

    return routes
