"""The HTTP door of messages."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database
from lotpro_notifications.messages import schemas, service
from lotpro_notifications.messages.domain import State

Listing = Annotated[Caller, Depends(api.requires("notifications:message:list"))]


def router(database: Database, cursors: Cursors) -> APIRouter:
    """The operations on messages."""
    routes = APIRouter(prefix="/api/notifications/v1", tags=["messages"])

    @routes.get(
        "/messages",
        response_model=schemas.MessagePage,
        responses=api.problems(
            errors.Unauthenticated, errors.Forbidden, errors.NotFound, errors.Invalid, InvalidCursor
        ),
    )
    async def list_messages(
        caller: Listing,
        state: Annotated[State | None, Query(description="Only messages in this state.")] = None,
        limit: api.Limit = 50,
        cursor: api.CursorParameter = None,
    ) -> Response:
        """List the messages that were sent for the organisation and their fate, the newest first."""
        listing = f"messages|{state or ''}"
        before = UUID(str(cursors.read(caller, listing, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            found = await service.list_messages(
                session=session, caller=caller, state=state, before=before, limit=limit + 1
            )
        page = found[:limit]
        more = cursors.write(caller, listing, [str(page[-1].id)]) if len(found) > limit else None
        items = [schemas.message(row) for row in page]
        return api.answer(200, schemas.MessagePage.model_construct(items=items, next_cursor=more))

    return routes
