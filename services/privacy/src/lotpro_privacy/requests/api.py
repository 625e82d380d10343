"""The HTTP door to requests."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database
from lotpro_privacy.ports import Ports
from lotpro_privacy.requests import service
from lotpro_privacy.requests.domain import AnswerIncomplete, State
from lotpro_privacy.requests.schemas import Collected, OpenRequest, RequestAnswer, Requests, TaskAnswer

MayOpen = Annotated[Caller, Depends(api.requires("privacy:request:open"))]
MayView = Annotated[Caller, Depends(api.requires("privacy:request:view"))]
MayAnswer = Annotated[Caller, Depends(api.requires("privacy:request:answer"))]
LISTING = "requests"


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """Routes of requests."""
    routes = APIRouter(prefix="/api/privacy/v1", tags=["requests"])

    @routes.post("/requests", status_code=201, responses=api.problems(errors.Forbidden))
    async def open_request(body: OpenRequest, caller: MayOpen, once: api.Idempotent) -> Response:
        """Open a request of a data subject; every service is asked at once, the answer is due within 30 days."""

        async def make() -> api.Made:
            request_id = await service.open_request(
                session, caller, ports, kind=body.kind, subject_kind=body.subject.kind, subject_id=body.subject.id,
                email=body.subject.email,
            )
            return 201, _answer(*await service.get_request(session, caller, request_id=request_id)), {}

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get("/requests", responses=api.problems(errors.Forbidden, InvalidCursor))
    async def list_requests(
        caller: MayView, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> Requests:
        """The organisation's requests, newest first."""
        before = UUID(str(cursors.read(caller, LISTING, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            rows = await service.list_requests(session, caller, before=before, limit=limit)
        more = len(rows) > limit
        following = cursors.write(caller, LISTING, [str(rows[limit - 1][0].id)]) if more else None
        return Requests(items=[_answer(*row) for row in rows[:limit]], next_cursor=following)

    @routes.get("/requests/{request_id}", responses=api.problems(errors.Forbidden, errors.NotFound))
    async def get_request(request_id: str, caller: MayView) -> RequestAnswer:
        """One request: its clock, its state, and how far every service is."""
        async with database.begin(caller) as session:
            return _answer(*await service.get_request(session, caller, request_id=api.path_id(request_id)))

    @routes.get(
        "/requests/{request_id}/answer",
        responses=api.problems(errors.Forbidden, errors.NotFound, AnswerIncomplete, errors.Unavailable),
    )
    async def get_answer(request_id: str, caller: MayAnswer) -> Collected:
        """Everything that was collected, to be handed to the person. That it was handed out is logged first."""
        async with database.begin(caller) as session:
            body = await service.answer_of(session, caller, ports, request_id=api.path_id(request_id))
        return Collected(**body)

    return routes


def _answer(case: Any, tasks: list[Any], state: State) -> RequestAnswer:
    return RequestAnswer(
        id=case.id, kind=case.kind, subject_kind=case.subject_kind, subject_id=case.subject_id, state=state,
        received_at=case.received_at, due_on=case.due_on, answered_at=case.answered_at,
        services=[
            TaskAnswer(
                service=task.service, done=task.done_at is not None, attempts=task.attempts, error=task.error,
                counts=task.counts,
            )
            for task in tasks
        ],
    )
