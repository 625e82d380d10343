"""The HTTP door of preferences."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.clock import Clock
from lotpro_kit.db import Database
from lotpro_notifications.preferences import schemas, service

Managing = Annotated[Caller, Depends(api.requires("notifications:preference:manage_own"))]


def router(database: Database, clock: Clock) -> APIRouter:
    """The operations on one's own preferences."""
    routes = APIRouter(prefix="/api/notifications/v1", tags=["preferences"])

    @routes.get(
        "/preferences",
        response_model=schemas.Preferences,
        responses=api.problems(errors.Unauthenticated, errors.Forbidden, errors.NotFound),
    )
    async def view_preferences(caller: Managing) -> Response:
        """See which messages you get; the ETag is what a change must send as If-Match."""
        if caller.user_id is None:
            raise errors.NotFound
        async with database.begin(caller) as session:
            found = await service.view_preferences(session=session, user_id=caller.user_id)
        return api.answer(200, schemas.Preferences(sms_alerts=found.sms_alerts), api.etag(found.version))

    @routes.patch(
        "/preferences",
        response_model=schemas.Preferences,
        responses=api.problems(
            errors.Unauthenticated, errors.Forbidden, errors.NotFound, errors.Invalid, errors.PreconditionRequired,
            errors.PreconditionFailed,
        ),
    )
    async def update_preferences(
        body: schemas.UpdatePreferences, caller: Managing, version: api.ExpectedVersion
    ) -> Response:
        """Choose which messages you get."""
        async with database.begin(caller) as session:
            after = await service.update_preferences(
                session=session, caller=caller, expected_version=version, sms_alerts=body.sms_alerts, now=clock()
            )
        return api.answer(200, schemas.Preferences(sms_alerts=after.sms_alerts), api.etag(after.version))

    return routes
