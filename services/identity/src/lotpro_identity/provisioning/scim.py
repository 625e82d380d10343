"""The SCIM door (RFC 7644): an organisation's directory comes in with its token, and hears SCIM's own errors."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from lotpro_identity.db import as_authenticator
from lotpro_identity.ports import Ports
from lotpro_identity.provisioning import discovery, filters, service
from lotpro_identity.provisioning.domain import (
    Grant,
    InvalidSyntax,
    InvalidValue,
    TokenInvalid,
    read_person,
)
from lotpro_identity.provisioning.schemas import (
    ScimEmail,
    ScimError,
    ScimMeta,
    ScimName,
    ScimPatchBody,
    ScimUser,
    ScimUserBody,
    ScimUsers,
)
from lotpro_kit import api, errors
from lotpro_kit.db import Database

PATH = "/api/identity/v1/scim/v2"
MEDIA_TYPE = "application/scim+json"
#: A page without `count`, and where no directory has so many people any more.
DEFAULT_COUNT, LAST_INDEX = 100, 10_000_000

_STATUS: tuple[tuple[type[errors.Error], int], ...] = (
    (errors.Unauthenticated, 401), (errors.Forbidden, 403), (errors.NotFound, 404), (errors.Conflict, 409),
    (errors.RateLimited, 429), (errors.Unavailable, 503), (errors.Invalid, 400),
)


class ScimResponse(JSONResponse):
    """An answer in SCIM's own media type (RFC 7644, 3.1)."""

    media_type = MEDIA_TYPE


class ScimRoute(APIRoute):
    """A route whose refusals are SCIM's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_scim(request: Request) -> Response:
            try:
                return await handle(request)
            except errors.Error as error:
                return refusal(error)
            except RequestValidationError:
                return refusal(InvalidSyntax())
            except PoolTimeout:
                return refusal(errors.Unavailable())
            except HTTPException as error:
                return _error(error.status_code, None, "The request cannot be read.")

        return handle_scim


def refusal(error: errors.Error) -> Response:
    """A refusal as SCIM tells it."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _error(status, getattr(error, "scim_type", None), f"{error.code}: {error}")


def _error(status: int, scim_type: str | None, detail: str) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return _answer(status, ScimError(status=str(status), scim_type=scim_type, detail=detail), headers)


def _answer(status: int, body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    content = body.model_dump_json(by_alias=True, exclude_none=True)
    return Response(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def router(database: Database, ports: Ports, *, public_url: str) -> APIRouter:
    """Routes of SCIM."""
    base = f"{public_url.rstrip('/')}{PATH}"
    routes = APIRouter(prefix=PATH, tags=["scim"], route_class=ScimRoute, default_response_class=ScimResponse)

    async def granted(request: Request) -> Grant:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenInvalid
        caller = await api.anonymous(request)
        async with database.begin(as_authenticator(caller)) as session:
            return await service.authenticate(session, caller, ports, token=token.strip())

    @routes.post("/Users", status_code=201, responses=_responses(201, ScimUser, 400, 401, 403, 409))
    async def create_scim_user(body: ScimUserBody, grant: Annotated[Grant, Depends(granted)]) -> Response:
        """Make a person a member of the organisation."""
        person = read_person(body.content)
        async with database.begin(as_authenticator(grant.caller)) as session:
            await service.void_sign_up(session, grant, ports, person=person)
        async with database.begin(grant.caller) as session:
            row = await service.create_user(session, grant, ports, person=person)
        return _answer(201, _user(row, base), {"Location": f"{base}/Users/{row.id}"})

    @routes.get("/Users", responses=_responses(200, ScimUsers, 400, 401))
    async def list_scim_users(
        grant: Annotated[Grant, Depends(granted)],
        wanted: Annotated[str | None, Query(alias="filter", examples=['externalId eq "00u1b2c3"'])] = None,
        start_index: Annotated[str, Query(alias="startIndex")] = "1",
        count: Annotated[str, Query()] = str(DEFAULT_COUNT),
    ) -> Response:
        """The organisation's provisioned people, or those a filter names, oldest first."""
        node = filters.parse(wanted) if wanted is not None else None
        start = min(max(_number(start_index), 1), LAST_INDEX)
        limit = min(max(_number(count), 0), discovery.MAX_RESULTS)
        async with database.begin(grant.caller) as session:
            total, rows = await service.list_users(session, grant, wanted=node, offset=start - 1, limit=limit)
        page = [_user(row, base) for row in rows]
        return _answer(
            200, ScimUsers(total_results=total, start_index=start, items_per_page=len(page), resources=page)
        )

    @routes.get("/Users/{user_id}", responses=_responses(200, ScimUser, 401, 404))
    async def get_scim_user(user_id: str, grant: Annotated[Grant, Depends(granted)]) -> Response:
        """One provisioned person."""
        async with database.begin(grant.caller) as session:
            row = await service.get_user(session, grant, user_id=api.path_id(user_id))
        return _answer(200, _user(row, base))

    @routes.put("/Users/{user_id}", responses=_responses(200, ScimUser, 400, 401, 403, 404, 409))
    async def replace_scim_user(
        user_id: str, body: ScimUserBody, grant: Annotated[Grant, Depends(granted)]
    ) -> Response:
        """Describe a person anew."""
        person = read_person(body.content)
        async with database.begin(grant.caller) as session:
            row = await service.replace_user(session, grant, ports, user_id=api.path_id(user_id), person=person)
        return _answer(200, _user(row, base))

    @routes.patch("/Users/{user_id}", responses=_responses(200, ScimUser, 400, 401, 403, 404, 409))
    async def patch_scim_user(
        user_id: str, body: ScimPatchBody, grant: Annotated[Grant, Depends(granted)]
    ) -> Response:
        """Change what is said of a person; `active: false` takes their roles at once."""
        operations = _operations(body.content)
        async with database.begin(grant.caller) as session:
            row = await service.patch_user(
                session, grant, ports, user_id=api.path_id(user_id), operations=operations
            )
        return _answer(200, _user(row, base))

    @routes.delete("/Users/{user_id}", status_code=204, responses=_responses(401, ScimError, 403, 404))
    async def remove_scim_user(user_id: str, grant: Annotated[Grant, Depends(granted)]) -> Response:
        """Take a person's roles in the organisation; the account stays theirs."""
        async with database.begin(grant.caller) as session:
            await service.remove_user(session, grant, ports, user_id=api.path_id(user_id))
        return Response(status_code=204)

    @routes.get("/ServiceProviderConfig")
    async def get_scim_provider_config() -> Response:
        """What this SCIM service can do."""
        return ScimResponse(discovery.provider_config(base))

    @routes.get("/ResourceTypes")
    async def list_scim_resource_types() -> Response:
        """The kinds of resources."""
        return _listed(discovery.resource_types(base))

    @routes.get("/ResourceTypes/{name}", responses={404: {"model": ScimError}})
    async def get_scim_resource_type(name: str) -> Response:
        """One kind of resource."""
        return _one(discovery.resource_types(base), name)

    @routes.get("/Schemas")
    async def list_scim_schemas() -> Response:
        """The attributes of each kind of resource."""
        return _listed(discovery.schemas(base))

    @routes.get("/Schemas/{name}", responses={404: {"model": ScimError}})
    async def get_scim_schema(name: str) -> Response:
        """The attributes of one kind of resource."""
        return _one(discovery.schemas(base), name)

    return routes


def _user(row: Any, base: str) -> ScimUser:
    name = ScimName(formatted=row.formatted_name, given_name=row.given_name, family_name=row.family_name)
    return ScimUser(
        id=row.id, external_id=row.external_id, user_name=row.user_name, name=name,
        display_name=service.name_of(row), emails=[ScimEmail(value=row.email)], active=row.active,
        meta=ScimMeta(created=row.created_at, last_modified=row.changed_at, location=f"{base}/Users/{row.id}"),
    )


def _operations(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = next((value for name, value in body.items() if name.lower() == "operations"), None)
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise InvalidSyntax("A PATCH has Operations.")
    return found


def _number(text: str) -> int:
    if not text.removeprefix("-").isdecimal() or len(text) > 18:
        raise InvalidValue("startIndex and count are whole numbers.")
    return int(text)


def _listed(resources: list[dict[str, Any]]) -> Response:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": len(resources),
        "startIndex": 1, "itemsPerPage": len(resources), "Resources": resources,
    }
    return ScimResponse(body)


def _one(resources: list[dict[str, Any]], name: str) -> Response:
    found = next((entry for entry in resources if entry["id"] == name), None)
    if found is None:
        raise errors.NotFound
    return ScimResponse(found)


def _responses(status: int, model: type[BaseModel], *refusals: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": model},
        **{refused: {"model": ScimError} for refused in refusals},
    }
