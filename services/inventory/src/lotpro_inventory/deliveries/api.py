"""The HTTP door of deliveries."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime

from lotpro_inventory.deliveries import schemas, service
from lotpro_inventory.deliveries.domain import (
    DeliveryAlreadyScheduled,
    DeliveryInThePast,
    DeliveryTimeAmbiguous,
    DeliveryTimeDoesNotExist,
    VehicleNotSold,
)
from lotpro_inventory.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

Scheduling = Annotated[Caller, Depends(api.requires("inventory:delivery:schedule"))]
Viewing = Annotated[Caller, Depends(api.requires("inventory:delivery:view"))]

_REFUSED = (errors.Unauthenticated, errors.Forbidden)


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """The operations on deliveries."""
    routes = APIRouter(prefix="/api/inventory/v1", tags=["deliveries"])

    @routes.post(
        "/deliveries",
        status_code=201,
        response_model=schemas.Delivery,
        responses=api.problems(
            *_REFUSED, errors.NotFound, errors.Invalid, VehicleNotSold, DeliveryAlreadyScheduled, DeliveryInThePast,
            DeliveryTimeAmbiguous, DeliveryTimeDoesNotExist, api.IdempotencyKeyReused, api.IdempotencyInFlight,
        ),
    )
    async def schedule_delivery(body: schemas.ScheduleDelivery, caller: Scheduling, once: api.Idempotent) -> Response:
        """Set when a sold vehicle is handed over, by the store's clocks."""

        async def make() -> api.Made:
            made = await service.schedule_delivery(
                session=session, caller=caller, ports=ports, vehicle_id=body.vehicle_id, starts_at=body.starts_at
            )
            return 201, schemas.delivery(made), api.etag(made.version)

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get(
        "/deliveries/{delivery_id}",
        response_model=schemas.Delivery,
        responses=api.problems(*_REFUSED, errors.NotFound),
    )
    async def view_delivery(delivery_id: str, caller: Viewing) -> Response:
        """See when a vehicle is handed over."""
        wanted = api.path_id(delivery_id)
        async with database.begin(caller) as session:
            found = await service.delivery(session=session, caller=caller, delivery_id=wanted)
        return api.answer(200, schemas.delivery(found), api.etag(found.version))

    @routes.get(
        "/deliveries",
        response_model=schemas.DeliveryPage,
        responses=api.problems(*_REFUSED, errors.Invalid, InvalidCursor),
    )
    async def list_deliveries(
        caller: Viewing,
        store_id: UUID | None = None,
        since: Annotated[AwareDatetime | None, Query(description="Only those that start then or later.")] = None,
        limit: api.Limit = 50,
        cursor: api.CursorParameter = None,
    ) -> Response:
        """List deliveries, the soonest first."""
        listing = f"deliveries|{store_id}|{since}"
        after = None
        if cursor:
            start, last = cursors.read(caller, listing, cursor)
            after = datetime.fromisoformat(str(start)), UUID(str(last))
        async with database.begin(caller) as session:
            found = await service.list_deliveries(
                session=session, caller=caller, store_id=store_id, since=since, after=after, limit=limit + 1
            )
        page = found[:limit]
        more = None
        if len(found) > limit:
            more = cursors.write(caller, listing, [page[-1].starts_at.isoformat(), str(page[-1].id)])
        items = [schemas.delivery(row) for row in page]
        return api.answer(200, schemas.DeliveryPage(items=items, next_cursor=more))

    return routes
