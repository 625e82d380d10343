"""The gRPC door and the channels to other services: identities, deadlines, errors, health and reflection."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.descriptor import FileDescriptor
from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from lotpro.context.v1 import context_pb2
from lotpro.options.v1 import options_pb2
from lotpro_kit import errors, ids, telemetry
from lotpro_kit.auth import ServiceTokens, TokenSource
from lotpro_kit.caller import Caller

#: Every call has a deadline; this one unless the client says another.
DEADLINE_SECONDS = 5.0
#: Above the longest deadline, below a replica's life: connections are renewed so that load spreads over replicas.
MAX_CONNECTION_AGE_MS = 300_000
CODE_KEY = "lotpro-code"
CONTEXT_KEY = "lotpro-context-bin"

_RETRY = (
    '{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.1s","maxBackoff":"1s",'
    '"backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}'
)

_STATUS: tuple[tuple[type[errors.Error], grpc.StatusCode], ...] = (
    (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.PreconditionFailed, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.PreconditionRequired, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.Conflict, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.RateLimited, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.Invalid, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Error, grpc.StatusCode.INTERNAL),
)

log = telemetry.logger(__name__)
_caller: ContextVar[Caller] = ContextVar("lotpro_rpc_caller")


@dataclass(frozen=True, slots=True)
class Servicer:
    """One gRPC service to serve: the file it is declared in, its generated `add_...` function and our object."""

    file: FileDescriptor
    add: Callable[[Any, aio.Server], None]
    servicer: object


def caller() -> Caller:
    """Who called the RPC being served: a service, with the user it acts for when it said one."""
    return _caller.get()


def callers_of(file: FileDescriptor) -> dict[str, frozenset[str]]:
    """Full method name -> the services that may call it, from the contract's option."""
    return {
        f"/{service.full_name}/{method.name}": frozenset(method.GetOptions().Extensions[options_pb2.callers])
        for service in file.services_by_name.values()
        for method in service.methods
    }


def request_id(value: str) -> UUID:
    """An id in a request; nonsense is Invalid."""
    parsed = ids.parse(value)
    if parsed is None:
        raise errors.Invalid("An id in the request is not a UUID.")
    return parsed


def create_server(servicers: Sequence[Servicer], tokens: ServiceTokens) -> aio.Server:
    """A server that answers only the callers each method declares; health is open, reflection for any service."""
    allowed: dict[str, frozenset[str]] = {}
    for entry in servicers:
        allowed.update(callers_of(entry.file))
    server = aio.server(
        interceptors=[_Door(allowed, tokens)],
        options=[
            ("grpc.max_connection_age_ms", MAX_CONNECTION_AGE_MS),
            ("grpc.max_connection_age_grace_ms", 30_000),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.so_reuseport", 0),
        ],
    )
    names = [health.SERVICE_NAME, reflection.SERVICE_NAME]
    for entry in servicers:
        entry.add(entry.servicer, server)
        names.extend(service.full_name for service in entry.file.services_by_name.values())
    checker = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checker, server)
    reflection.enable_server_reflection(names, server)
    return server


class _Door(aio.ServerInterceptor):
    """Authenticates the calling service, checks the method's callers, and maps refusals to statuses."""

    def __init__(self, allowed: dict[str, frozenset[str]], tokens: ServiceTokens) -> None:
        self._allowed, self._tokens = allowed, tokens

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.startswith("/grpc.health."):
            return handler
        metadata = dict(details.invocation_metadata)
        method = details.method
        if handler.unary_unary:
            inner = handler.unary_unary

            async def unary(request: Any, context: "aio.ServicerContext[Any, Any]") -> Any:
                with self._span(method, metadata):
                    try:
                        _caller.set(await self._authorise(method, metadata))
                        return await inner(request, context)
                    except Exception as error:
                        await _abort(context, error, method)

            return grpc.unary_unary_rpc_method_handler(
                unary, handler.request_deserializer, handler.response_serializer
            )
        if handler.unary_stream:
            stream_inner = handler.unary_stream

            async def stream(request: Any, context: "aio.ServicerContext[Any, Any]") -> AsyncIterator[Any]:
                with self._span(method, metadata):
                    try:
                        _caller.set(await self._authorise(method, metadata))
                        async for item in stream_inner(request, context):
                            yield item
                    except Exception as error:
                        await _abort(context, error, method)

            return grpc.unary_stream_rpc_method_handler(
                stream, handler.request_deserializer, handler.response_serializer
            )
        return await self._refuse_unknown_shape(handler, metadata)

    async def _refuse_unknown_shape(self, handler: Any, metadata: dict[str, Any]) -> Any:
        """Reflection streams both ways; any service's token opens it, nothing else does."""
        await self._service(metadata)
        return handler

    @contextmanager
    def _span(self, method: str, metadata: dict[str, Any]) -> Iterator[None]:
        with telemetry.span(f"rpc {method}", traceparent=str(metadata.get("traceparent", ""))):
            yield

    async def _service(self, metadata: dict[str, Any]) -> str:
        scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
        if scheme != "Bearer" or not token:
            raise errors.Unauthenticated
        return await self._tokens.verify(token)

    async def _authorise(self, method: str, metadata: dict[str, Any]) -> Caller:
        service = await self._service(metadata)
        if service not in self._allowed.get(method, frozenset()):
            raise errors.Forbidden("This service may not call this method.")
        user = context_pb2.UserContext()
        if CONTEXT_KEY in metadata:
            user.ParseFromString(metadata[CONTEXT_KEY])
        return Caller(
            kind="service",
            service=service,
            user_id=ids.parse(user.user_id),
            org_id=ids.parse(user.org_id),
            stores=None if user.all_stores else frozenset(map(UUID, user.store_ids)),
            session_id=ids.parse(user.session_id),
        )


async def _abort(context: "aio.ServicerContext[Any, Any]", error: Exception, method: str) -> None:
    if isinstance(error, aio.AbortError):
        raise error
    if not isinstance(error, errors.Error):
        log.error("rpc failed", method=method, error=type(error).__name__, at=telemetry.place_of(error))
        error = errors.Error()
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    await context.abort(status, str(error), trailing_metadata=((CODE_KEY, error.code),))


def user_context(caller: Caller) -> context_pb2.UserContext:
    """The context to send along with a call made for a user."""
    return context_pb2.UserContext(
        user_id=str(caller.user_id or ""),
        org_id=str(caller.org_id or ""),
        store_ids=sorted(map(str, caller.stores or ())),
        all_stores=caller.stores is None,
        session_id=str(caller.session_id or ""),
    )


def open_channel(target: str, tokens: TokenSource) -> aio.Channel:
    """A channel to another service: our token and trace go along, UNAVAILABLE is retried, nothing waits for ever."""
    return aio.insecure_channel(
        target,
        options=[
            ("grpc.service_config", _RETRY),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
        ],
        interceptors=[_UnaryCredentials(tokens), _StreamCredentials(tokens)],
    )


async def _with_credentials(details: aio.ClientCallDetails, tokens: TokenSource) -> aio.ClientCallDetails:
    metadata = aio.Metadata(*(details.metadata or ()))
    metadata.add("authorization", f"Bearer {await tokens.token()}")
    if traceparent := telemetry.traceparent():
        metadata.add("traceparent", traceparent)
    return aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout or DEADLINE_SECONDS,
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _UnaryCredentials(aio.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    async def intercept_unary_unary(self, continuation: Any, details: aio.ClientCallDetails, request: Any) -> Any:
        return await continuation(await _with_credentials(details, self._tokens), request)


class _StreamCredentials(aio.UnaryStreamClientInterceptor):
    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    async def intercept_unary_stream(self, continuation: Any, details: aio.ClientCallDetails, request: Any) -> Any:
        return await continuation(await _with_credentials(details, self._tokens), request)


class Refused(errors.Conflict):
    """The called service refused because of its present state (FAILED_PRECONDITION)."""

    code = "service.refused"
    message = "The other service refused."


@contextmanager
def calling(service: str) -> Iterator[None]:
    """Around a call to another service: its statuses become our kinds of error."""
    try:
        yield
    except aio.AioRpcError as error:
        status = error.code()
        if status is grpc.StatusCode.NOT_FOUND:
            raise errors.NotFound from error
        if status is grpc.StatusCode.FAILED_PRECONDITION:
            raise Refused(error.details()) from error
        if status is grpc.StatusCode.INVALID_ARGUMENT:
            raise errors.Invalid(error.details()) from error
        log.warning("call failed", to=service, status=status.name)
        raise errors.Unavailable(f"The {service} service does not answer as it should.") from error
    except TimeoutError as error:
        raise errors.Unavailable(f"The {service} service did not answer in time.") from error


