"""The HTTP door of page views and usage."""

from dataclasses import replace
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from lotpro_audit.ports import Ports
from lotpro_audit.views import schemas, service
from lotpro_audit.views.domain import ViewOutOfRange
from lotpro_audit.views.repository import Position
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

Viewing = Annotated[Caller, Depends(api.requires("audit:usage:view"))]


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """Routes of page views and usage."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["usage"])

    @routes.post("/views", status_code=202, responses=api.problems(ViewOutOfRange))
    async def report_views(body: schemas.ReportViews, caller: api.Signed) -> Response:
        """Report what one looked at; the same view reported again is one view. With the answer it is kept."""
        views = [item.view() for item in body.items]
        async with database.begin(caller) as session:
            await service.report_views(session, caller, ports, user_id=api.user_id(caller), views=views)
        return Response(status_code=202)

    @routes.get("/usage", responses=api.problems(errors.Forbidden, InvalidCursor))
    async def list_usage(
        caller: Viewing,
        feature: Annotated[str | None, Query(max_length=64, pattern=schemas.FEATURE, examples=["/inventory"])] = None,
        since: Annotated[date | None, Query(examples=["2026-11-01"])] = None,
        until: Annotated[date | None, Query(examples=["2026-12-01"], description="This day is left out.")] = None,
        limit: api.Limit = 50,
        cursor: api.CursorParameter = None,
    ) -> schemas.UsagePage:
        """See how many people used which feature on which day, on the whole platform, where at least 10 did."""
        listing = f"usage:{feature}:{since}:{until}"
        after = _position(cursors.read(caller, listing, cursor)) if cursor else None
        async with database.begin(caller) as session:
            rows = await service.list_usage(
                session, feature=feature, since=since, until=until, after=after, limit=limit + 1
            )
        page = rows[:limit]
        following = None
        if len(rows) > limit:
            following = cursors.write(caller, listing, [page[-1].day.isoformat(), page[-1].feature])
        return schemas.UsagePage(items=[schemas.usage(row) for row in page], next_cursor=following)

    @routes.get("/usage/objection")
    async def view_usage_objection(caller: api.Signed) -> schemas.Objection:
        """See whether one objects to being counted."""
        user_id = api.user_id(caller)
        async with database.begin(_as_a_person(caller)) as session:
            since = await service.view_objection(session, user_id=user_id)
        return schemas.Objection(objects=since is not None, since=since)

    @routes.put("/usage/objection")
    async def object_to_usage(caller: api.Signed) -> schemas.Objection:
        """Object to being counted (Right to Object): one's page views are counted in nothing from now on."""
        user_id = api.user_id(caller)
        async with database.begin(_as_a_person(caller)) as session:
            since = await service.object_to_usage(session, caller, ports, user_id=user_id)
        return schemas.Objection(objects=True, since=since)

    @routes.delete("/usage/objection", status_code=204)
    async def withdraw_usage_objection(caller: api.Signed) -> Response:
        """Object no more."""
        user_id = api.user_id(caller)
        async with database.begin(_as_a_person(caller)) as session:
            await service.withdraw_objection(session, caller, ports, user_id=user_id)
        return Response(status_code=204)

    return routes


def _as_a_person(caller: Caller) -> Caller:
    """What is one's own as a person is so in every organisation."""
    return replace(caller, org_id=None, stores=frozenset())


def _position(values: list[str | int | None]) -> Position:
    day, feature = values
    return date.fromisoformat(str(day)), str(feature)
