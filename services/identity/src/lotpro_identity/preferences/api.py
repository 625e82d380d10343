"""The HTTP door to the preferences cookie."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from lotpro_identity.preferences import domain, service
from lotpro_identity.preferences.domain import Density, Preferences, Theme
from lotpro_kit import api, errors
from lotpro_kit.api import Answer, Body
from lotpro_kit.db import Database


class PreferencesBody(Body):
    """What this browser is to remember."""

    store_id: UUID | None = Field(default=None, description="The store to work in; one of the organisation's.")
    theme: Theme = Field(default=Theme.SYSTEM, examples=["dark"])
    density: Density = Field(default=Density.COMFORTABLE, examples=["compact"])


class PreferencesAnswer(Answer):
    """What this browser remembers."""

    store_id: UUID | None
    theme: Theme
    density: Density


def router(database: Database) -> APIRouter:
    """Routes of preferences."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["preferences"])

    @routes.put("/preferences", responses=api.problems(errors.NotFound))
    async def set_preferences(body: PreferencesBody, caller: api.Signed, response: Response) -> PreferencesAnswer:
        """Let this browser remember the store and display settings until it closes; nothing is stored elsewhere."""
        chosen = Preferences(body.store_id, body.theme, body.density)
        async with database.begin(caller) as session:
            await service.check(session, caller, preferences=chosen)
        listed = domain.cookie()
        age = int(listed.max_age.length.total_seconds()) if listed.max_age else None
        # Our own pages read it, so as to have the right colours before they have asked anything.
        response.set_cookie(
            listed.name, domain.written(chosen), max_age=age, path="/", secure=True, httponly=False, samesite="lax"
        )
        return _answer(chosen)

    @routes.get("/preferences")
    async def get_preferences(request: Request, caller: api.Signed) -> PreferencesAnswer:
        """What this browser remembers, or what holds where it remembers nothing."""
        given = domain.read(request.cookies.get(domain.cookie().name, ""))
        async with database.begin(caller) as session:
            return _answer(await service.still_true(session, caller, preferences=given))

    @routes.delete("/preferences", status_code=204)
    async def clear_preferences(caller: api.Signed) -> Response:
        """Let this browser forget them."""
        response = Response(status_code=204)
        response.delete_cookie(domain.cookie().name, path="/", secure=True, httponly=False, samesite="lax")
        return response

    return routes


def _answer(preferences: Preferences) -> PreferencesAnswer:
    return PreferencesAnswer(
        store_id=preferences.store_id, theme=preferences.theme, density=preferences.density
    )
