"""The HTTP door of vehicles."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from lotpro_inventory.ports import Ports
from lotpro_inventory.stores import service as stores
from lotpro_inventory.vehicles import schemas, service
from lotpro_inventory.vehicles.domain import (
    StockNumberTaken,
    VehicleAlreadySold,
    VinCheckDigit,
    VinInStock,
    VinMalformed,
    VinUnknown,
)
from lotpro_inventory.vehicles.repository import Filter
from lotpro_inventory.vehicles.states import State, TransitionRefused
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

Adding = Annotated[Caller, Depends(api.requires("inventory:vehicle:add"))]
Viewing = Annotated[Caller, Depends(api.requires("inventory:vehicle:view"))]
Listing = Annotated[Caller, Depends(api.requires("inventory:vehicle:list"))]
Updating = Annotated[Caller, Depends(api.requires("inventory:vehicle:update"))]

_REFUSED = (errors.Unauthenticated, errors.Forbidden)


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """The operations on vehicles, but for their sale."""
    routes = APIRouter(prefix="/api/inventory/v1", tags=["vehicles"])

    @routes.post(
        "/vehicles",
        status_code=201,
        response_model=schemas.Vehicle,
        responses=api.problems(
            *_REFUSED, errors.NotFound, errors.Invalid, errors.Unavailable, VinMalformed, VinCheckDigit, VinUnknown,
            VinInStock, StockNumberTaken, TransitionRefused, api.IdempotencyKeyReused, api.IdempotencyInFlight,
        ),
    )
    async def add_vehicle(body: schemas.AddVehicle, caller: Adding, once: api.Idempotent) -> Response:
        """Take a vehicle into stock by its VIN, which is checked and decoded."""

        async def make() -> api.Made:
            made = await service.add_vehicle(session=session, caller=caller, ports=ports, intake=body.intake())
            return 201, schemas.vehicle(made, caller), api.etag(made.version)

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get(
        "/vehicles/{vehicle_id}",
        response_model=schemas.Vehicle,
        responses=api.problems(*_REFUSED, errors.NotFound),
    )
    async def view_vehicle(vehicle_id: str, caller: Viewing) -> Response:
        """See one vehicle; its ETag is what a change must send as If-Match."""
        wanted = api.path_id(vehicle_id)
        found = await service.view_vehicle(reader=database.reader(caller), caller=caller, vehicle_id=wanted)
        return api.answer(200, schemas.vehicle(found, caller), api.etag(found.version))

    @routes.get(
        "/vehicles",
        response_model=schemas.VehiclePage,
        responses=api.problems(*_REFUSED, errors.Invalid, InvalidCursor),
    )
    async def list_vehicles(
        caller: Listing,
        store_id: UUID | None = None,
        state: Annotated[State | None, Query(description="Only vehicles in this state.")] = None,
        make: Annotated[str, Query(max_length=80, description="Only this make.", examples=["Honda"])] = "",
        q: Annotated[
            str, Query(max_length=80, description="Words of VIN end, stock number, year, make, model, trim.")
        ] = "",
        limit: api.Limit = 50,
        cursor: api.CursorParameter = None,
    ) -> Response:
        """List or search vehicles, the newest first."""
        wanted = Filter(stores.reach(caller, store_id), state or "", make.strip().lower(), service.search_words(q))
        listing = f"vehicles|{wanted.spelled()}"
        before = UUID(str(cursors.read(caller, listing, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            found = await service.list_vehicles(
                session=session, caller=caller, wanted=wanted, before=before, limit=limit + 1
            )
        page = found[:limit]
        more = cursors.write(caller, listing, [str(page[-1].id)]) if len(found) > limit else None
        items = [schemas.vehicle(row, caller) for row in page]
        return api.answer(200, schemas.VehiclePage.model_construct(items=items, next_cursor=more))

    @routes.patch(
        "/vehicles/{vehicle_id}",
        response_model=schemas.Vehicle,
        responses=api.problems(
            *_REFUSED, errors.NotFound, errors.Invalid, errors.PreconditionRequired, errors.PreconditionFailed,
            StockNumberTaken, TransitionRefused, VehicleAlreadySold,
        ),
    )
    async def update_vehicle(
        vehicle_id: str, body: schemas.UpdateVehicle, caller: Updating, version: api.ExpectedVersion
    ) -> Response:
        """Change a vehicle's price, state or description."""
        wanted = api.path_id(vehicle_id)
        async with database.begin(caller) as session:
            after = await service.update_vehicle(
                session=session, caller=caller, ports=ports, vehicle_id=wanted, expected_version=version,
                changes=body.changes(),
            )
        return api.answer(200, schemas.vehicle(after, caller), api.etag(after.version))

    return routes
