"""The HTTP door: callers, problem+json, request ids, idempotency, ETags; rules live elsewhere."""

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Column, DateTime, Integer, LargeBinary, MetaData, String, Table, Uuid, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import lotpro_policy
from lotpro_kit import errors, ids, telemetry
from lotpro_kit.auth import InvalidToken, UserTokens
from lotpro_kit.caller import ANONYMOUS, Caller, Origin
from lotpro_kit.crypto import Keyring
from lotpro_kit.cursors import Cursors
from lotpro_kit.db import Database, Session

ACCESS_COOKIE = "__Host-lotpro-access"
#: Our own pages read this cookie and repeat it in this header; another site's can do neither (double submit).
CSRF_COOKIE, CSRF_HEADER = "__Host-lotpro-csrf", "x-csrf-token"
#: Methods that change nothing (RFC 9110, 9.2.1).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY_BYTES = 1_048_576
IDEMPOTENCY_TTL = timedelta(hours=24)

log = telemetry.logger(__name__)


class Body(BaseModel):
    """A request body: unknown fields are refused, strings are stripped."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = []
    trace_id: str = ""


_STATUS: tuple[tuple[type[errors.Error], int, str], ...] = (
    (errors.PreconditionRequired, 428, "Precondition Required"),
    (errors.PreconditionFailed, 412, "Precondition Failed"),
    (errors.Unauthenticated, 401, "Unauthorized"),
    (errors.Forbidden, 403, "Forbidden"),
    (errors.NotFound, 404, "Not Found"),
    (errors.Conflict, 409, "Conflict"),
    (errors.RateLimited, 429, "Too Many Requests"),
    (errors.Unavailable, 503, "Service Unavailable"),
    (errors.Invalid, 422, "Unprocessable Content"),
    (errors.Error, 500, "Internal Server Error"),
)


@dataclass(frozen=True, slots=True)
class Door:
    """What every endpoint needs; reached as `request.app.state.door`."""

    database: Database
    user_tokens: UserTokens
    cursors: Cursors
    keyring: Keyring


def door(request: Request) -> Door:
    """The door of the app that a request came to."""
    found: Door = request.app.state.door
    return found


async def anonymous(request: Request) -> Caller:
    """The caller of an endpoint that needs no sign-in: only where they are is known."""
    return replace(ANONYMOUS, origin=_origin(request), request_id=request.scope.get("lotpro.request_id", ""))


class FactorRequired(errors.Forbidden):
    """The token was given for enrolling a second factor and opens nothing else."""

    code = "auth.factor_required"
    message = "Set up a second factor first, then sign in."


#: `aal` of a token that opens nothing but the enrolment of a second factor: MFA is mandatory.
ENROLLING = "enrol"


class CsrfFailed(errors.Forbidden):
    """A cookie alone was to change something: a browser sends those for any page that asks it to."""

    code = "auth.csrf_failed"
    message = "Repeat the value of the cookie __Host-lotpro-csrf in the header X-CSRF-Token."


def check_csrf(request: Request) -> None:
    """Refuse what cookies authorise and no page of ours has asked for (OWASP, double submit); raises CsrfFailed."""
    if request.method in SAFE_METHODS:
        return
    kept, repeated = request.cookies.get(CSRF_COOKIE, ""), request.headers.get(CSRF_HEADER, "")
    if not kept or not hmac.compare_digest(kept.encode(), repeated.encode()):
        raise CsrfFailed


def by_cookie(request: Request) -> bool:
    """Whether a browser's cookie is what the caller is known by."""
    return not request.headers.get("authorization") and ACCESS_COOKIE in request.cookies


async def authenticated(request: Request) -> Caller:
    """The caller, signed in with all factors; raises Unauthenticated, or FactorRequired for an enrolment token."""
    caller = await enrolling(request)
    if caller.aal == ENROLLING:
        raise FactorRequired
    return caller


async def enrolling(request: Request) -> Caller:
    """The caller by the bearer token or else the access cookie, also one who has no second factor yet.

    A cookie does for reading; to change anything it wants the proof that a page of ours asked, or CsrfFailed.
    """
    header = request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if header and scheme.lower() != "bearer":
        raise InvalidToken
    token = token or request.cookies.get(ACCESS_COOKIE, "")
    if not token:
        raise errors.Unauthenticated
    caller = await door(request).user_tokens.verify(token.strip())
    if by_cookie(request):
        check_csrf(request)
    return replace(caller, origin=_origin(request), request_id=request.scope.get("lotpro.request_id", ""))


class StepUpRequired(errors.Forbidden):
    """The act needs a strong second factor given within STEP_UP_WINDOW, and the session has none that fresh."""

    code = "auth.step_up_required"
    message = "Confirm it is you: give your second factor again, then repeat this."


#: Sensitive acts need a second factor this fresh.
STEP_UP_WINDOW = timedelta(minutes=15)
#: Methods (RFC 8176) that step up: an authenticator app, a passkey, and an organisation's provider that vouches for
#: more than one. Codes by SMS or e-mail and recovery codes sign in and do no more: whoever has the mailbox has those.
STRONG_METHODS = frozenset({"otp", "pop", "mfa"})


def check_fresh(caller: Caller, *, now: float) -> None:
    """Refuse a caller who has not given any second factor lately; raises StepUpRequired."""
    if caller.aal != "aal2" or now - caller.auth_time > STEP_UP_WINDOW.total_seconds():
        raise StepUpRequired


def check_stepped_up(caller: Caller, *, now: float) -> None:
    """Refuse a caller who has not given a strong second factor lately; raises StepUpRequired.

    The moment of proof moves only with a strong factor, so it is that one's where the session had one.
    """
    check_fresh(caller, now=now)
    if not STRONG_METHODS & set(caller.amr):
        raise StepUpRequired


async def stepped_up(request: Request) -> Caller:
    """The caller, who gave a strong second factor within the last 15 minutes; raises StepUpRequired."""
    caller = await authenticated(request)
    check_stepped_up(caller, now=door(request).user_tokens.now())
    return caller


def user_id(caller: Caller) -> UUID:
    """The signed-in person's id; raises Unauthenticated for anybody else."""
    if caller.user_id is None:
        raise errors.Unauthenticated
    return caller.user_id


def requires(permission: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency: the caller, narrowed to the stores where they hold the permission; raises Forbidden if nowhere.

    The permission must stand in lotpro_policy's table; an unknown one fails at import.
    """
    lotpro_policy.access().roles_for(permission)

    async def caller_with_permission(request: Request) -> Caller:
        caller = await authenticated(request)
        stores = caller.stores_with(permission)
        if stores is False:
            raise errors.Forbidden
        return caller.narrowed(stores)

    caller_with_permission.permission = permission  # type: ignore[attr-defined] # read back for OpenAPI
    return caller_with_permission


def _origin(request: Request) -> Origin:
    """Where the gateway saw the request come from: the last hop of X-Forwarded-For, which the gateway appends."""
    forwarded = request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()
    peer = request.client.host if request.client else ""
    return Origin(ip=forwarded or peer, user_agent=request.headers.get("user-agent", "")[:256])


_ETAG = re.compile(r'^"v(\d{1,18})"$')


def etag(version: int) -> dict[str, str]:
    """The header that names a row's version."""
    return {"ETag": f'"v{version}"'}


async def if_match(if_match: Annotated[str | None, Header(examples=['"v3"'])] = None) -> int:
    """The version a write expects; raises PreconditionRequired without If-Match, PreconditionFailed for nonsense."""
    if if_match is None:
        raise errors.PreconditionRequired
    match = _ETAG.match(if_match)
    if match is None:
        raise errors.PreconditionFailed
    return int(match.group(1))


Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
CursorParameter = Annotated[str | None, Query(max_length=1024, description="From `next_cursor` of the page before.")]


def idempotency_table(metadata: MetaData) -> Table:
    """Answers already given, by the caller's Idempotency-Key; encrypted, kept for 24 hours."""
    return Table(
        "idempotency_keys",
        metadata,
        Column("user_id", Uuid, primary_key=True),
        Column("key", String(128), primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("status", Integer, nullable=False),
        Column("answer", LargeBinary, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


_IDEMPOTENCY = idempotency_table(MetaData())


class IdempotencyKeyReused(errors.Invalid):
    """The key was used for another request."""

    code = "idempotency.key_reused"
    message = "This Idempotency-Key was used for a different request."


class IdempotencyInFlight(errors.Conflict):
    """The first request with this key has not been answered yet."""

    code = "idempotency.in_flight"
    message = "The first request with this Idempotency-Key is still being worked on."


Made = tuple[int, BaseModel | None, Mapping[str, str]]


class Once:
    """Answers a POST once per Idempotency-Key: the same key and body get the same answer, also in parallel."""

    def __init__(self, key: str | None, fingerprint: bytes, keyring: Keyring) -> None:
        self._key, self._fingerprint, self._keyring = key, fingerprint, keyring

    async def answer(self, session: Session, caller: Caller, make: Callable[[], Awaitable[Made]]) -> Response:
        """The stored answer, or what `make` makes: (status, body, headers), stored in the same transaction.

        Raises IdempotencyKeyReused (another body) and IdempotencyInFlight (the first is still at work).
        """
        if self._key is None:
            return _response(*_packed(await make()))
        context = f"{caller.user_id}:{self._key}"
        lock = int.from_bytes(hashlib.sha256(context.encode()).digest()[:8], "big", signed=True)
        locked = await session.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": lock})
        if not locked.scalar_one():
            raise IdempotencyInFlight
        found = await session.execute(
            select(_IDEMPOTENCY).where(
                _IDEMPOTENCY.c.user_id == caller.user_id, _IDEMPOTENCY.c.key == self._key,
                _IDEMPOTENCY.c.created_at > datetime.now(UTC) - IDEMPOTENCY_TTL,
            )
        )
        earlier = found.one_or_none()
        if earlier is not None:
            if earlier.fingerprint != self._fingerprint:
                raise IdempotencyKeyReused
            stored = json.loads(self._keyring.unwrap(earlier.answer, context=context))
            return _response(earlier.status, stored["body"].encode(), stored["headers"])
        status, body, headers = _packed(await make())
        sealed = self._keyring.wrap(
            json.dumps({"body": body.decode(), "headers": dict(headers)}).encode(), context=context
        )
        statement = insert(_IDEMPOTENCY).values(
            user_id=caller.user_id, key=self._key, fingerprint=self._fingerprint, status=status, answer=sealed
        )
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["user_id", "key"],
                set_={"fingerprint": self._fingerprint, "status": status, "answer": sealed, "created_at": func.now()},
            )
        )
        return _response(status, body, headers)


def answer(status: int, body: BaseModel, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """A body straight to bytes, for endpoints that need no second validation of what they made themselves."""
    return _response(*_packed((status, body, headers)))


def _packed(made: Made) -> tuple[int, bytes, Mapping[str, str]]:
    status, body, headers = made
    return status, body.model_dump_json().encode() if body is not None else b"", headers


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    return Response(body, status, dict(headers), media_type="application/json" if body else None)


async def once(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=128, description="Repeat a request safely: same key, same body, same answer."),
    ] = None,
) -> Once:
    """A dependency for POST endpoints that create or charge."""
    content = await request.body()
    fingerprint = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + content).digest()
    return Once(idempotency_key, fingerprint, door(request).keyring)


async def forget_answers(session: Session) -> int:
    """Drop stored answers older than 24 hours; answers how many."""
    dropped = await session.execute(
        _IDEMPOTENCY.delete().where(_IDEMPOTENCY.c.created_at <= datetime.now(UTC) - IDEMPOTENCY_TTL)
    )
    return int(getattr(dropped, "rowcount", 0))


def problems(*refusals: type[errors.Error]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for the refusals an operation can give, one entry a status, one example a code."""
    responses: dict[int | str, dict[str, Any]] = {}
    for refusal in refusals:
        status, title = status_of(refusal)
        entry = responses.setdefault(
            status, {"description": title, "content": {"application/problem+json": {"examples": {}}}, "model": Problem}
        )
        entry["content"]["application/problem+json"]["examples"][refusal.code] = _example(refusal, status, title)
    return responses


def _example(refusal: type[errors.Error], status: int, title: str) -> dict[str, Any]:
    return {
        "value": {
            "type": "about:blank", "title": title, "status": status, "code": refusal.code,
            "detail": refusal.message, "errors": [], "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        }
    }


def status_of(refusal: type[errors.Error]) -> tuple[int, str]:
    """The HTTP status of a refusal, and its title."""
    return next((status, title) for kind, status, title in _STATUS if issubclass(refusal, kind))


def problem(error: errors.Error) -> JSONResponse:
    """A refusal as problem+json."""
    status, title = status_of(type(error))
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, errors.RateLimited) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _problem(status, title, error.code, str(error), error.errors, headers)


def _problem(
    status: int,
    title: str,
    code: str,
    detail: str,
    fields: Sequence[errors.FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = Problem(
        title=title, status=status, code=code, detail=detail, trace_id=telemetry.trace_id(),
        errors=[{"pointer": field.pointer, "code": field.code, "message": field.message} for field in fields],
    )
    return JSONResponse(
        body.model_dump(), status, headers=dict(headers or {}), media_type="application/problem+json"
    )


async def _on_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.Error)
    return problem(error)


async def _on_full_pool(_: Request, error: Exception) -> Response:
    """Every database connection is taken for longer than anybody should wait: come again."""
    log.warning("database pool exhausted")
    return problem(errors.Unavailable())


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    """Pydantic's findings without the values it found: those may be personal."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return _problem(400, "Bad Request", "request.malformed_json", "The body is not valid JSON.")
    fields = [
        errors.FieldError(
            pointer="/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in item["loc"]),
            code=item["type"],
            message=_message_of(item),
        )
        for item in found
    ]
    return _problem(422, "Unprocessable Content", "request.invalid", "The request is not valid.", fields)


def _message_of(item: Mapping[str, Any]) -> str:
    """Our own validators' sentences stand; pydantic's are kept only where they cannot quote the input."""
    message = str(item["msg"])
    return message.removeprefix("Value error, ")


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "request.not_found", 405: "request.method_not_allowed", 400: "request.malformed"}
    title = {404: "Not Found", 405: "Method Not Allowed", 400: "Bad Request"}.get(error.status_code, "Error")
    code = codes.get(error.status_code, "request.refused")
    return _problem(error.status_code, title, code, title + ".", headers=error.headers)


def create_app(
    *,
    service: str,
    title: str,
    description: str,
    routers: Sequence[APIRouter],
    door: Door,
    ready: Callable[[], Awaitable[bool]],
) -> FastAPI:
    """A service's HTTP app: its routers, and everything that every service has around them."""
    app = FastAPI(
        title=title,
        description=description,
        version="1.0.0",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"/api/{service}/openapi.json",
        generate_unique_id_function=lambda route: route.name,
        # `_Edge` makes the one span of a request. The framework's own, five a request, would hold paths and queries, in
        # which people search for people.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.door = door
    app.add_exception_handler(errors.Error, _on_refusal)
    app.add_exception_handler(PoolTimeout, _on_full_pool)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_middleware(_Edge)
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: _openapi(app, routers)  # type: ignore[method-assign] # FastAPI's documented way to extend it

    async def healthz() -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz() -> Response:
        try:
            good = await ready()
        except Exception as error:
            log.warning("not ready", error=type(error).__name__)
            good = False
        return JSONResponse({"status": "ready" if good else "not ready"}, 200 if good else 503)

    app.add_api_route("/healthz", healthz, include_in_schema=False)
    app.add_api_route("/readyz", readyz, include_in_schema=False)
    return app


def _openapi(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    """OpenAPI 3.1 with the permission each operation needs."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = schema.setdefault("components", {})
    # FastAPI's own shapes for what `_on_invalid_request` answers as a problem.
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": ACCESS_COOKIE},
    }
    for route in (route for router in routers for route in router.routes):
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        calls = list(_calls(route.dependant))
        permission = next((found for call in calls if (found := getattr(call, "permission", None))), None)
        signed_in = permission is not None or bool({authenticated, enrolling, stepped_up} & set(calls))
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            _describe_problems(
                operation, signed_in=signed_in, stepped_up=stepped_up in calls, changes=method not in SAFE_METHODS
            )
            operation["security"] = [{"bearer": []}, {"cookie": []}] if signed_in else []
            if permission:
                operation["x-permission"] = permission
    app.openapi_schema = schema
    return schema


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    """Every dependency of a route, those of its dependencies too."""
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)


class _Malformed(errors.Error):
    """For the documents only: `_on_invalid_request` answers it."""

    code = "request.malformed_json"
    message = "The body is not valid JSON."


class _NotValid(errors.Invalid):
    """For the documents only: `_on_invalid_request` answers it."""

    code = "request.invalid"
    message = "The request is not valid."


class _ContentTooLarge(errors.Error):
    """For the documents only: `_Edge` answers it."""

    code = "request.too_large"
    message = "The body is larger than 1 MiB."


def _describe_problems(operation: dict[str, Any], *, signed_in: bool, stepped_up: bool, changes: bool) -> None:
    """The problems that the kit answers for every operation of a kind, and every problem as what it is."""
    found: list[tuple[int, str, type[errors.Error]]] = [(503, "Service Unavailable", errors.Unavailable)]
    if operation.get("requestBody"):
        found += [(400, "Bad Request", _Malformed), (413, "Content Too Large", _ContentTooLarge)]
    if operation.get("requestBody") or operation.get("parameters"):
        found.append((422, "Unprocessable Content", _NotValid))
    if signed_in:
        found += [(401, "Unauthorized", errors.Unauthenticated), (401, "Unauthorized", InvalidToken)]
        found.append((403, "Forbidden", StepUpRequired if stepped_up else FactorRequired))
    if signed_in and changes:
        found.append((403, "Forbidden", CsrfFailed))
    responses = operation["responses"]
    for status, title, refusal in found:
        entry = responses.setdefault(str(status), {"description": title})
        content = entry.setdefault("content", {})
        entry["description"] = title
        examples = content.setdefault("application/problem+json", {}).setdefault("examples", {})
        examples.setdefault(refusal.code, _example(refusal, status, title))
    for status_text, entry in responses.items():
        content = entry.get("content", {})
        if status_text == "202" and content == {"application/json": {"schema": {}}}:
            # Accepted with nothing to say: FastAPI takes a bare Response for JSON of any shape.
            entry.pop("content")
        if "application/problem+json" in content:
            content.pop("application/json", None)
            content["application/problem+json"]["schema"] = {"$ref": "#/components/schemas/Problem"}


class _Edge:
    """Outermost: request id, span, one log line, a size limit, and no stack trace to the outside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in {"/healthz", "/readyz"}:
            await self._app(scope, receive, send)
            return
        headers = {key: value for key, value in scope["headers"] if key in _READ_HEADERS}
        request_id = _request_id(headers.get(b"x-request-id", b""))
        scope["lotpro.request_id"] = request_id
        if int(headers.get(b"content-length", b"0") or 0) > MAX_BODY_BYTES:
            await _too_large()(scope, receive, send)
            return
        status = 500
        started = False

        async def send_on(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        traceparent = headers.get(b"traceparent", b"").decode("latin-1")
        with telemetry.span("http", traceparent=traceparent, kind=SpanKind.SERVER) as span:
            try:
                await self._app(scope, _limited(receive), send_on)
            except _TooLarge:
                await _too_large()(scope, receive, send_on)
            except Exception as error:
                log.error("request failed", error=type(error).__name__, at=telemetry.place_of(error))
                span.set_attribute("error.type", type(error).__name__)
                if not started:
                    await _problem(500, "Internal Server Error", errors.Error.code, errors.Error.message)(
                        scope, receive, send_on
                    )
            route = scope.get("route")
            name = getattr(route, "name", "unmatched")
            span.update_name(f"{scope['method']} {name}")
            span.set_attribute("http.response.status_code", status)
            log.info("request", operation=name, method=scope["method"], status=status, request_id=request_id)


_READ_HEADERS = {b"x-request-id", b"traceparent", b"content-length"}
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{8,64}$")


def _request_id(given: bytes) -> str:
    return given.decode() if _REQUEST_ID.match(given) else str(ids.new())


class _TooLarge(Exception):
    """More bytes than a body may have, sent without a content-length."""


def _limited(receive: Receive) -> Receive:
    seen = 0

    async def receive_limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise _TooLarge
        return message

    return receive_limited


def _too_large() -> JSONResponse:
    return _problem(413, "Content Too Large", "request.too_large", "The body is larger than 1 MiB.")


Result = TypeVar("Result")


def path_id(value: str) -> UUID:
    """An id in a path; nonsense is NotFound like any other id that is not there."""
    parsed = ids.parse(value)
    if parsed is None:
        raise errors.NotFound
    return parsed


Signed = Annotated[Caller, Depends(authenticated)]
Enrolling = Annotated[Caller, Depends(enrolling)]
SteppedUp = Annotated[Caller, Depends(stepped_up)]
Anyone = Annotated[Caller, Depends(anonymous)]
Idempotent = Annotated[Once, Depends(once)]
ExpectedVersion = Annotated[int, Depends(if_match)]
