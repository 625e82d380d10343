"""The HTTP door to pictures."""

from typing import Any

from fastapi import APIRouter, Request, Response

from lotpro_identity.db import as_authenticator
from lotpro_identity.pictures import service
from lotpro_identity.pictures.domain import (
    ACCEPTED,
    TYPE,
    PictureInvalid,
    PicturesBusy,
    PictureTooLarge,
    PictureTypeUnsupported,
    accepted_type,
)
from lotpro_identity.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.db import Database

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": dict.fromkeys(ACCEPTED, _BINARY)}}


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of pictures."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["accounts"])

    @routes.put(
        "/accounts/me/picture",
        status_code=204,
        openapi_extra=_BODY,
        responses=api.problems(
            errors.PreconditionFailed, errors.PreconditionRequired, PictureTypeUnsupported, PictureInvalid,
            PictureTooLarge, PicturesBusy, errors.Unavailable,
        ),
    )
    async def set_own_picture(request: Request, caller: api.Signed, expected: api.ExpectedVersion) -> Response:
        """Show a picture to the people of one's organisation: 256 by 256 pixels, without what was in the file besides.

        If-Match names the version of one's account, as does the ETag that is answered.
        """
        media_type = accepted_type(request.headers.get("content-type", ""))
        picture = await ports.images.portrait(await request.body(), media_type)
        account_id = api.user_id(caller)
        async with database.begin(as_authenticator(caller)) as session:
            blob_id, sealed = await service.prepare(
                session, ports, account_id=account_id, expected=expected, picture=picture
            )
        await service.store(ports, blob_id=blob_id, sealed=sealed)
        async with database.begin(as_authenticator(caller)) as session:
            account = await service.show(
                session, caller, ports, account_id=account_id, expected=expected, blob_id=blob_id
            )
        return Response(status_code=204, headers=api.etag(account.version))

    @routes.delete(
        "/accounts/me/picture",
        status_code=204,
        responses=api.problems(errors.NotFound, errors.PreconditionFailed, errors.PreconditionRequired),
    )
    async def remove_own_picture(caller: api.Signed, expected: api.ExpectedVersion) -> Response:
        """Show no picture any more; it is deleted within minutes. If-Match names the version of one's account."""
        async with database.begin(as_authenticator(caller)) as session:
            account = await service.remove(
                session, caller, ports, account_id=api.user_id(caller), expected=expected
            )
        return Response(status_code=204, headers=api.etag(account.version))

    @routes.get(
        "/accounts/{user_id}/picture",
        response_class=Response,
        responses={
            200: {"content": {TYPE: _BINARY}, "description": "The picture, 256 by 256 pixels."},
            304: {"description": "It is the one that If-None-Match names."},
            **api.problems(errors.NotFound, errors.Unavailable),
        },
    )
    async def get_picture(user_id: str, request: Request, caller: api.Signed) -> Response:
        """The picture of somebody in one's organisation; `me` is oneself."""
        wanted = api.user_id(caller) if user_id == "me" else api.path_id(user_id)
        async with database.begin(caller) as session:
            shown = await service.find_shown(session, caller, ports, user_id=wanted)
        # Private, and asked for each time: who may not see it any more does not.
        headers = {"etag": f'"{shown.blob_id}"', "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        picture = await service.content_of(ports, shown)
        return Response(picture, media_type=TYPE, headers=headers | {"x-content-type-options": "nosniff"})

    return routes
