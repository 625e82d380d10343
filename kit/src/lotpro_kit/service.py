"""What makes a service run: its connections, its doors, and the commands of `python -m lotpro_<name>`."""

import argparse
import asyncio
import gc
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import grpc.aio
import uvicorn
import uvloop
from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import ManagedIdentityCredential
from fastapi import APIRouter, FastAPI
from pydantic import ValidationError
from sqlalchemy import MetaData

from lotpro_kit import api, auth, bus, inbox, outbox, revocations, rpc, telemetry
from lotpro_kit.caller import system
from lotpro_kit.clock import Clock, utc_now
from lotpro_kit.crypto import BlindIndex, Keyring
from lotpro_kit.cursors import Cursors
from lotpro_kit.db import Database
from lotpro_kit.jobs import Counts, Job, Run
from lotpro_kit.security_log import SecurityLog
from lotpro_kit.settings import ServiceSettings

if TYPE_CHECKING:
    from lotpro_kit.blobs import Blobs

#: SIGTERM: stop accepting, finish, drain, close, all within this.
SHUTDOWN_SECONDS = 25
POSTGRES_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"

Settings = TypeVar("Settings", bound=ServiceSettings)

log = telemetry.logger(__name__)


@dataclass(slots=True)
class Runtime(Generic[Settings]):
    """A service's open connections and keys; passed to its `wire` function and closed at the end."""

    settings: Settings
    database: Database
    user_tokens: auth.UserTokens
    service_tokens: auth.ServiceTokens
    tokens: auth.TokenSource
    keyring: Keyring
    blind_index: BlindIndex
    cursors: Cursors
    security_log: SecurityLog
    credential: AsyncTokenCredential
    clock: Clock = utc_now
    closing: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    def channel(self, target: str) -> grpc.aio.Channel:
        """A channel to another service, closed with the runtime."""
        channel = rpc.open_channel(target, self.tokens)
        self.closing.append(channel.close)
        return channel

    def blobs(self, url: str) -> "Blobs":
        """This service's own container in a storage account, closed with the runtime."""
        # Imported here: a service that keeps no blobs would carry the SDK for nothing.
        from lotpro_kit.blobs import Blobs

        opened = Blobs(
            url, container=self.settings.service, credential=self.credential, ca_bundle=self.settings.ca_bundle
        )
        self.closing.append(opened.close)
        return opened

    async def close(self) -> None:
        for close in reversed(self.closing):
            await close()


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of, wired: four kinds of door, and loops that run beside the worker's."""

    routers: Sequence[APIRouter] = ()
    servicers: Sequence[rpc.Servicer] = ()
    consumers: Sequence[bus.Consumer | bus.BurstConsumer] = ()
    jobs: Sequence[Job] = ()
    loops: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    #: Keeps `runtime.user_tokens.revocations` up to date beside the doors; by default from identity's feed.
    follow: Callable[[], Coroutine[Any, Any, None]] | None = None


@dataclass(frozen=True, slots=True)
class Service(Generic[Settings]):
    """A service as its `__main__` names it."""

    name: str
    title: str
    description: str
    settings: type[Settings]
    metadata: MetaData
    migrations: Path
    wire: Callable[[Runtime[Settings]], Parts]


def open_runtime(settings: Settings) -> Runtime[Settings]:
    """Open what the settings name; nothing connects before it is used."""
    credential = ManagedIdentityCredential(client_id=settings.client_id)
    entra = auth.RemoteKeys(settings.entra_jwks_url, ca_bundle=settings.ca_bundle)
    users = auth.RemoteKeys(settings.user_token_jwks_url, ca_bundle=settings.ca_bundle)

    async def entra_password() -> str:
        token: str = (await credential.get_token(POSTGRES_SCOPE)).token
        return token

    password = settings.database_password.get_secret_value() if settings.database_password else entra_password
    database = Database(settings.database_url, password=password, pool_size=settings.database_pool_size)
    return Runtime(
        settings=settings,
        database=database,
        user_tokens=auth.UserTokens(
            users, issuer=settings.user_token_issuer, audience=settings.user_token_audience
        ),
        service_tokens=auth.ServiceTokens(
            entra, issuer=settings.entra_issuer, audience=settings.service_audience, principals=settings.principals(),
        ),
        tokens=auth.TokenSource(credential, settings.service_audience),
        keyring=Keyring(settings.data_key_encryption_key.get_secret_value()),
        blind_index=BlindIndex(settings.blind_index_key.get_secret_value()),
        cursors=Cursors(settings.cursor_key.get_secret_value()),
        security_log=SecurityLog(service=settings.service, sealing_public_key=settings.audit_sealing_public_key),
        credential=credential,
        closing=[credential.close, entra.close, users.close, database.close],
    )


def create_app(service: Service[Settings], runtime: Runtime[Settings], parts: Parts) -> FastAPI:
    """The service's HTTP app with its routers."""
    return api.create_app(
        service=service.name,
        title=service.title,
        description=service.description,
        door=api.Door(
            database=runtime.database,
            user_tokens=runtime.user_tokens,
            cursors=runtime.cursors,
            keyring=runtime.keyring,
        ),
        routers=parts.routers,
        ready=runtime.database.ready,
    )


def main(service: Service[Settings], argv: Sequence[str] | None = None) -> int:
    """`serve` (all in one), `api` (HTTP and gRPC), `worker` (events and relay), `migrate`, `job NAME`, `openapi`."""
    arguments = _arguments(service.name, argv)
    if arguments.command == "openapi":
        return _print_openapi(service)
    try:
        settings = service.settings()
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            where = ".".join(map(str, item["loc"])) or "settings"
            print(f"{service.name}: {where}: {item['msg']}", file=sys.stderr)  # noqa: T201 - logging is not set up yet
        return 2
    telemetry.configure(
        service.name, otlp_endpoint=settings.otlp_endpoint, trace_ratio=settings.trace_ratio, level=settings.log_level
    )
    try:
        return uvloop.run(_command(service, settings, arguments))
    finally:
        telemetry.shutdown()


def _arguments(name: str, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m lotpro_{name}")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("serve", "api", "worker", "migrate", "openapi"):
        commands.add_parser(command)
    job = commands.add_parser("job")
    job.add_argument("name")
    job.add_argument("--as-of", type=_moment, default=None, help="pretend it is this moment (ISO 8601, UTC)")
    job.add_argument("--dry-run", action="store_true", help="count, change nothing")
    return parser.parse_args(argv)


def _moment(value: str) -> datetime:
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


async def _command(service: Service[Settings], settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.command == "migrate":
        # Imported here: a serving process would carry 10 MiB of Alembic for nothing.
        from lotpro_kit import migrations

        secret = settings.migration_database_password
        await migrations.upgrade(
            settings.migration_database_url, service.migrations, password=secret.get_secret_value() if secret else None
        )
        return 0
    runtime = open_runtime(settings)
    try:
        parts = service.wire(runtime)
        if arguments.command == "job":
            return await _run_job(parts, arguments)
        return await _serve(service, runtime, parts, arguments.command)
    finally:
        await runtime.close()


async def _run_job(parts: Parts, arguments: argparse.Namespace) -> int:
    job = next((job for job in parts.jobs if job.name == arguments.name), None)
    if job is None:
        known = ", ".join(sorted(job.name for job in parts.jobs)) or "none"
        print(f"no job {arguments.name}; there are: {known}", file=sys.stderr)  # noqa: T201 - the command's own answer
        return 2
    counts = await job.work(Run(as_of=arguments.as_of or utc_now(), dry_run=arguments.dry_run))
    print(json.dumps({"job": job.name, "dry_run": arguments.dry_run, **counts}))  # noqa: T201 - the command's own answer
    return 0


async def _serve(service: Service[Settings], runtime: Runtime[Settings], parts: Parts, command: str) -> int:
    """Run the doors of a command until SIGTERM or SIGINT; 1 when a door broke by itself."""
    calm_collector()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks: list[asyncio.Task[None]] = []
    if command in ("serve", "api"):
        tasks.append(asyncio.create_task(_http(service, runtime, parts, stop)))
        tasks.append(asyncio.create_task(_grpc(runtime, parts, stop)))
        tasks.append(asyncio.create_task(_follow(runtime, parts, stop)))
    if command in ("serve", "worker"):
        tasks.append(asyncio.create_task(_work(service, runtime, parts, stop)))
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    broken = [task for task in done if task is not stopping and task.exception() is not None]
    for task in broken:
        error = task.exception()
        log.error("door broke", error=type(error).__name__, at=telemetry.place_of(error) if error else "")
    stop.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(SHUTDOWN_SECONDS):
            await asyncio.gather(*tasks, return_exceptions=True)
    return 1 if broken else 0


async def _http(service: Service[Settings], runtime: Runtime[Settings], parts: Parts, stop: asyncio.Event) -> None:
    settings = runtime.settings
    config = uvicorn.Config(
        create_app(service, runtime, parts),
        host=settings.host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # the kit reads what the gateway appended by itself
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    server = _HttpServer(config, stop)
    await server.serve()
    if not stop.is_set():
        raise RuntimeError("the HTTP server ended by itself")


def calm_collector() -> None:
    """What stands now stands until the end, and most of what comes goes without the collector.

    By default it would look at 700 new objects at a time, several times for one page of answers.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


class _HttpServer(uvicorn.Server):
    """uvicorn without the ten looks a second for something to do: an idle service sleeps until it is told to stop."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop
        self.capture_signals = suppress  # type: ignore[assignment,method-assign] # signals are ours: see _serve

    async def main_loop(self) -> None:
        await self._stop.wait()


async def _grpc(runtime: Runtime[Settings], parts: Parts, stop: asyncio.Event) -> None:
    server = rpc.create_server(parts.servicers, runtime.service_tokens)
    server.add_insecure_port(f"{runtime.settings.host}:{runtime.settings.grpc_port}")
    await server.start()
    await stop.wait()
    await server.stop(grace=10)


async def _follow(runtime: Runtime[Settings], parts: Parts, stop: asyncio.Event) -> None:
    """Keep up with which tokens are revoked."""
    if parts.follow is not None:
        following = asyncio.create_task(parts.follow())
    else:
        channel = runtime.channel(runtime.settings.identity_grpc)
        following = asyncio.create_task(revocations.follow(channel, runtime.user_tokens.revocations))
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if following in done:
        following.result()
        raise RuntimeError("following revocations ended by itself")
    following.cancel()


async def _work(service: Service[Settings], runtime: Runtime[Settings], parts: Parts, stop: asyncio.Event) -> None:
    settings = runtime.settings
    credential = ManagedIdentityCredential(client_id=settings.client_id)
    link = bus.Bus(
        namespace=settings.servicebus_namespace,
        credential=credential,
        endpoint=settings.servicebus_endpoint,
        ca_bundle=settings.ca_bundle,
    )
    sender = link.sender()
    relay = outbox.Relay(runtime.database, sender, source=f"lotpro/{service.name}")
    subscribers = [bus.subscriber(link, consumer, subscription=service.name) for consumer in parts.consumers]
    receiving = [asyncio.create_task(subscriber.run()) for subscriber in subscribers]
    loops = [asyncio.create_task(loop()) for loop in (relay.run, *parts.loops)]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*receiving, *loops, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()
        if not stop.is_set():
            raise RuntimeError("a worker loop ended by itself")
    finally:
        for subscriber in subscribers:
            subscriber.stop()
        await asyncio.gather(*receiving, return_exceptions=True)
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        with suppress(Exception):
            await relay.drain()
        await sender.close()
        await link.close()
        await credential.close()


def _print_openapi(service: Service[Settings]) -> int:
    """The OpenAPI document, from code alone: no settings, no connections."""
    print(json.dumps(openapi(service), indent=2, sort_keys=True))  # noqa: T201 - the command's own answer
    return 0


def openapi(service: Service[Settings]) -> dict[str, Any]:
    """The service's OpenAPI 3.1 document."""
    runtime: Any = _Unconnected()
    app = create_app(service, runtime, service.wire(runtime))
    return app.openapi()


class _Unconnected:
    """A runtime for reading the routes: any attribute, any call, nothing behind it."""

    def __getattr__(self, _: str) -> "_Unconnected":
        return self

    def __call__(self, *_: object, **__: object) -> "_Unconnected":
        return self


def housekeeping(database: Database) -> Job:
    """The job every service has: forget handled event ids and stored answers that are past their use."""

    async def work(run: Run) -> Counts:
        if run.dry_run:
            return {"events": 0, "answers": 0}
        async with database.begin(system(scope="retention")) as session:
            return {"events": await inbox.forget(session), "answers": await api.forget_answers(session)}

    return Job("forget-plumbing", "Drop old inbox claims and idempotency answers.", "15 3 * * *", work)
