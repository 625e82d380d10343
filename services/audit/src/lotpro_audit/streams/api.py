"""The HTTP door of streams."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from lotpro_audit.streams import schemas, service
from lotpro_audit.streams.domain import AddressRefused, NoSecret, TooManyStreams
from lotpro_audit.streams.service import Outside
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

Viewing = Annotated[Caller, Depends(api.requires("audit:stream:view"))]
Managing = Annotated[Caller, Depends(api.requires("audit:stream:manage"))]
LISTING = "streams"
_CHANGING = (errors.Forbidden, errors.NotFound, errors.PreconditionRequired, errors.PreconditionFailed)
_AIMING = (*_CHANGING, api.StepUpRequired)


def router(database: Database, cursors: Cursors, outside: Outside) -> APIRouter:
    """Routes of streams. Every change of one stands in the log before it comes true.

    Whoever says where a log goes, or is told the secret it is signed with, gave a second factor lately: a session that
    somebody left open is not enough to lead all of it out.
    """
    routes = APIRouter(prefix="/api/audit/v1", tags=["streams"])
    clock = outside.ports.clock

    @routes.post(
        "/streams",
        status_code=201,
        response_model=schemas.StreamWithSecret,
        responses=api.problems(
            errors.Forbidden, api.StepUpRequired, errors.NotFound, AddressRefused, TooManyStreams,
            api.IdempotencyKeyReused, api.IdempotencyInFlight,
        ),
    )
    async def add_stream(body: schemas.AddStream, caller: Managing, once: api.Idempotent) -> Response:
        """Send the organisation's log to a system of its own from now on: OCSF by HTTPS, or CEF by syslog over TLS.

        Every event arrives at least once and in order; each has its number in the organisation's own sequence.
        """
        api.check_stepped_up(caller, now=clock().timestamp())

        async def make() -> api.Made:
            made, secret = await service.add_stream(
                session, caller, outside, kind=body.kind, name=body.name, address=body.address, personal=body.personal
            )
            return 201, schemas.with_secret(made, secret), api.etag(made.stream.version)

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get("/streams", responses=api.problems(errors.Forbidden, errors.NotFound, InvalidCursor))
    async def list_streams(
        caller: Viewing, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> schemas.Streams:
        """List the organisation's streams, the newest first, each with how far it is."""
        before = UUID(str(cursors.read(caller, LISTING, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            rows = await service.list_streams(session, caller, before=before, limit=limit + 1)
        page = rows[:limit]
        following = cursors.write(caller, LISTING, [str(page[-1].stream.id)]) if len(rows) > limit else None
        return schemas.Streams(items=[schemas.stream(row) for row in page], next_cursor=following)

    @routes.get(
        "/streams/{stream_id}", response_model=schemas.Stream,
        responses=api.problems(errors.Forbidden, errors.NotFound),
    )
    async def view_stream(stream_id: str, caller: Viewing) -> Response:
        """See one stream, how far it is and what went wrong last; its ETag is what a change must send as If-Match."""
        wanted = api.path_id(stream_id)
        async with database.begin(caller) as session:
            found = await service.view_stream(session, caller, stream_id=wanted)
        return _answer(found)

    @routes.patch(
        "/streams/{stream_id}", response_model=schemas.Stream, responses=api.problems(*_AIMING, AddressRefused)
    )
    async def update_stream(
        stream_id: str, body: schemas.UpdateStream, caller: Managing, version: api.ExpectedVersion
    ) -> Response:
        """Change a stream's name, where it goes or whether it says where acts came from."""
        api.check_stepped_up(caller, now=clock().timestamp())
        wanted = api.path_id(stream_id)
        async with database.begin(caller) as session:
            changed = await service.update_stream(
                session, caller, outside, stream_id=wanted, version=version, changes=body.changes()
            )
        return _answer(changed)

    @routes.post("/streams/{stream_id}:pause", response_model=schemas.Stream, responses=api.problems(*_CHANGING))
    async def pause_stream(stream_id: str, caller: Managing, version: api.ExpectedVersion) -> Response:
        """Send nothing until it is resumed, and then everything from where it stopped."""
        wanted = api.path_id(stream_id)
        async with database.begin(caller) as session:
            return _answer(await service.pause_stream(session, caller, outside, stream_id=wanted, version=version))

    @routes.post("/streams/{stream_id}:resume", response_model=schemas.Stream, responses=api.problems(*_CHANGING))
    async def resume_stream(stream_id: str, caller: Managing, version: api.ExpectedVersion) -> Response:
        """Send again, at once."""
        wanted = api.path_id(stream_id)
        async with database.begin(caller) as session:
            return _answer(await service.resume_stream(session, caller, outside, stream_id=wanted, version=version))

    @routes.post(
        "/streams/{stream_id}:rotate", response_model=schemas.StreamWithSecret,
        responses=api.problems(*_AIMING, NoSecret),
    )
    async def rotate_stream_secret(stream_id: str, caller: Managing, version: api.ExpectedVersion) -> Response:
        """Make a new secret; the one before signs beside it for 24 hours."""
        api.check_stepped_up(caller, now=clock().timestamp())
        wanted = api.path_id(stream_id)
        async with database.begin(caller) as session:
            changed, secret = await service.rotate_secret(
                session, caller, outside, stream_id=wanted, version=version
            )
        return api.answer(200, schemas.with_secret(changed, secret), api.etag(changed.stream.version))

    @routes.delete("/streams/{stream_id}", status_code=204, responses=api.problems(*_CHANGING))
    async def delete_stream(stream_id: str, caller: Managing, version: api.ExpectedVersion) -> Response:
        """Send nothing any more, and forget where it went."""
        wanted = api.path_id(stream_id)
        async with database.begin(caller) as session:
            await service.delete_stream(session, caller, outside, stream_id=wanted, version=version)
        return Response(status_code=204)

    return routes


def _answer(seen: service.Seen) -> Response:
    return api.answer(200, schemas.stream(seen), api.etag(seen.stream.version))
