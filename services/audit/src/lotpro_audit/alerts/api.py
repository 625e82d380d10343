"""The HTTP door of alerts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from lotpro_audit.alerts import schemas, service
from lotpro_audit.alerts.domain import TooManyAlerts
from lotpro_audit.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

Viewing = Annotated[Caller, Depends(api.requires("audit:alert:view"))]
Managing = Annotated[Caller, Depends(api.requires("audit:alert:manage"))]
LISTING = "alerts"


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """Routes of alerts."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["alerts"])

    @routes.post(
        "/alerts",
        status_code=201,
        response_model=schemas.Alert,
        responses=api.problems(
            errors.Forbidden, errors.NotFound, TooManyAlerts, api.IdempotencyKeyReused, api.IdempotencyInFlight
        ),
    )
    async def add_alert(body: schemas.AddAlert, caller: Managing, once: api.Idempotent) -> Response:
        """Watch the organisation's log from now on, and tell people by e-mail when it is as the alert says."""

        async def make() -> api.Made:
            made = await service.add_alert(session, caller, ports, settings=body.settings())
            return 201, schemas.alert(made), api.etag(made.version)

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get("/alerts", responses=api.problems(errors.Forbidden, errors.NotFound, InvalidCursor))
    async def list_alerts(
        caller: Viewing, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> schemas.Alerts:
        """List the organisation's alerts, the newest first."""
        before = UUID(str(cursors.read(caller, LISTING, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            rows = await service.list_alerts(session, caller, before=before, limit=limit + 1)
        page = rows[:limit]
        following = cursors.write(caller, LISTING, [str(page[-1].id)]) if len(rows) > limit else None
        return schemas.Alerts(items=[schemas.alert(row) for row in page], next_cursor=following)

    @routes.get(
        "/alerts/{alert_id}", response_model=schemas.Alert, responses=api.problems(errors.Forbidden, errors.NotFound)
    )
    async def view_alert(alert_id: str, caller: Viewing) -> Response:
        """See one alert; its ETag is what a change must send as If-Match."""
        wanted = api.path_id(alert_id)
        async with database.begin(caller) as session:
            found = await service.view_alert(session, caller, alert_id=wanted)
        return api.answer(200, schemas.alert(found), api.etag(found.version))

    @routes.patch(
        "/alerts/{alert_id}",
        response_model=schemas.Alert,
        responses=api.problems(
            errors.Forbidden, errors.NotFound, errors.PreconditionRequired, errors.PreconditionFailed
        ),
    )
    async def update_alert(
        alert_id: str, body: schemas.UpdateAlert, caller: Managing, version: api.ExpectedVersion
    ) -> Response:
        """Change an alert. It counts anew from then on, and its quiet time is over."""
        wanted = api.path_id(alert_id)
        async with database.begin(caller) as session:
            changed = await service.update_alert(
                session, caller, ports, alert_id=wanted, version=version, changes=body.changes()
            )
        return api.answer(200, schemas.alert(changed), api.etag(changed.version))

    @routes.delete(
        "/alerts/{alert_id}",
        status_code=204,
        responses=api.problems(
            errors.Forbidden, errors.NotFound, errors.PreconditionRequired, errors.PreconditionFailed
        ),
    )
    async def delete_alert(alert_id: str, caller: Managing, version: api.ExpectedVersion) -> Response:
        """Delete an alert and the list of what it raised; the log keeps telling that."""
        wanted = api.path_id(alert_id)
        async with database.begin(caller) as session:
            await service.delete_alert(session, caller, ports, alert_id=wanted, version=version)
        return Response(status_code=204)

    @routes.get(
        "/alerts/{alert_id}/raised", responses=api.problems(errors.Forbidden, errors.NotFound, InvalidCursor)
    )
    async def list_raised_alerts(
        alert_id: str, caller: Viewing, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> schemas.RaisedAlerts:
        """List what an alert raised in the days the log keeps, the newest first."""
        wanted = api.path_id(alert_id)
        listing = f"{LISTING}:{wanted}:raised"
        before = int(cursors.read(caller, listing, cursor)[0] or 0) if cursor else None
        async with database.begin(caller) as session:
            rows = await service.list_raised(session, caller, alert_id=wanted, before=before, limit=limit + 1)
        page = rows[:limit]
        following = cursors.write(caller, listing, [page[-1].seq]) if len(rows) > limit else None
        return schemas.RaisedAlerts(items=[schemas.raised(row) for row in page], next_cursor=following)

    return routes
