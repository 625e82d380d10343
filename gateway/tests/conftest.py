"""The real Envoy in front of six real HTTP servers that stand where the services will, on ports of the moment."""

import asyncio
import json
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway import docs, openapi
from gateway.render import DEFAULTS, SERVICES, command, render

ENVOY = Path(sys.executable).with_name("envoy")
READY_SECONDS = 20


@dataclass
class Upstreams:
    """Six services that answer what they were asked."""

    key: ECKey
    ports: dict[str, int] = field(default_factory=dict)
    ready: dict[str, bool] = field(default_factory=dict)
    jwks_requests: int = 0

    def app(self, service: str) -> Starlette:
        async def readyz(_: Request) -> Response:
            return Response(status_code=200 if self.ready[service] else 503)

        async def jwks(_: Request) -> Response:
            self.jwks_requests += 1
            return JSONResponse({"keys": [self.key.as_dict(private=False)]})

        async def echo(request: Request) -> Response:
            answer = {
                "service": service,
                "method": request.method,
                "path": request.url.path,
                "headers": dict(request.headers),
                "body_bytes": len(await request.body()),
            }
            headers = {"server": "secret/1.0", "x-powered-by": "secret", "x-request-id": "from-the-service"}
            return JSONResponse(answer, headers=headers)

        everything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Starlette(
            routes=[
                Route("/readyz", readyz),
                Route("/api/identity/v1/jwks.json", jwks),
                Route("/{path:path}", echo, methods=everything),
            ]
        )


@asynccontextmanager
async def serving(key: ECKey, *, ready: bool = True) -> AsyncIterator[Upstreams]:
    """Six upstream servers."""
    upstreams = Upstreams(key)
    servers, tasks = [], []
    for service in SERVICES:
        # Said to be TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        upstreams.ports[service] = listener.getsockname()[1]
        upstreams.ready[service] = ready
        config = uvicorn.Config(
            upstreams.app(service), lifespan="off", ws="none", log_config=None, timeout_keep_alive=75
        )
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[assignment,method-assign] # signals are pytest's
        servers.append(server)
        tasks.append(asyncio.create_task(server.serve(sockets=[listener])))
    try:
        yield upstreams
    finally:
        for server in servers:
            server.should_exit = True
            server.force_exit = True
        await asyncio.gather(*tasks)


@dataclass(frozen=True)
class Gateway:
    """A running Envoy."""

    http: str
    https: str
    admin: str
    pid: int
    upstreams: Upstreams
    trust: ssl.SSLContext
    log: Path

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.http, timeout=10, trust_env=False, **options)

    def access_log(self) -> list[dict[str, Any]]:
        """The access log so far; Envoy writes it out about every second."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@asynccontextmanager
async def running(upstreams: Upstreams, certificate: Path, directory: Path, **values: str) -> AsyncIterator[Gateway]:
    """Envoy with the real configuration, waited for until it listens; `values` replace what render() is given."""
    config = _configure(directory, environment(upstreams.ports, certificate, directory / "docs") | values)
    address = directory / "admin"
    log = directory / "access.log"
    with log.open("wb") as out, (directory / "envoy.log").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            *command(ENVOY, config, concurrency=1), "--admin-address-path", str(address), stdout=out, stderr=err
        )
        try:
            admin = await _listening(process, address, directory / "envoy.log")
            async with httpx.AsyncClient(base_url=admin, trust_env=False) as client:
                listeners = (await client.get("/listeners?format=json")).json()["listener_statuses"]
            ports = {row["name"]: row["local_address"]["socket_address"]["port_value"] for row in listeners}
            yield Gateway(
                http=f"http://127.0.0.1:{ports['http']}",
                https=f"https://localhost:{ports['https']}",
                admin=admin,
                pid=process.pid,
                upstreams=upstreams,
                trust=ssl.create_default_context(cafile=certificate),
                log=log,
            )
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _configure(directory: Path, values: dict[str, str]) -> Path:
    """Write the API page's files and Envoy's configuration; answers where the latter is."""
    directory.mkdir(parents=True)
    joined = directory / "openapi.json"
    joined.write_text(json.dumps(openapi.join({service: document(service) for service in SERVICES})))
    docs.write(directory / "docs", joined)
    config = directory / "envoy.yaml"
    config.write_text(render(values))
    return config


def _content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def _listening(process: asyncio.subprocess.Process, address: Path, log: Path) -> str:
    """The admin's address, once every listener is open; fails with Envoy's own words when it ends instead."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.returncode is not None:
            break
        if text := _content(address):
            async with httpx.AsyncClient(base_url=f"http://{text}", trust_env=False) as client:
                if (await client.get("/ready")).status_code == 200:
                    return f"http://{text}"
        await asyncio.sleep(0.02)
    raise AssertionError(f"Envoy does not listen: {_content(log)[-2000:]}")


async def until_status(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """The first answer of this status; polls for a bounded time."""
    deadline = time.monotonic() + READY_SECONDS
    answer = await client.get(path)
    while answer.status_code != status and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        answer = await client.get(path)
    assert answer.status_code == status, answer.text
    return answer


def environment(ports: dict[str, int], certificate: Path, docs_dir: Path) -> dict[str, str]:
    """All required values, every listener on a port of the moment."""
    return {
        "bind_address": "127.0.0.1",
        "http_port": "0",
        "https_port": "0",
        "admin_address": "127.0.0.1",
        "admin_port": "0",
        "tls_certificate": str(certificate),
        "tls_key": str(certificate),
        "docs_dir": str(docs_dir),
        "jwks_uri": f"http://127.0.0.1:{ports['identity']}/api/identity/v1/jwks.json",
        "cors_origins": "https://app.lotpro.space",
        "client_per_second": "1000",
        "client_burst": "1000",
        **{f"{service}_host": "127.0.0.1" for service in ports},
        **{f"{service}_port": str(port) for service, port in ports.items()},
    }


def document(service: str) -> dict[str, Any]:
    """A service's small OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": service, "version": "1.0.0", "description": f"What {service} does."},
        "paths": {
            f"/api/{service}/v1/things": {
                "get": {
                    "operationId": f"list_{service}_things",
                    "tags": ["things"],
                    "security": [{"bearer": []}, {"cookie": []}],
                    "x-permission": f"{service}:thing:list",
                    "responses": {
                        "200": {
                            "description": "Things",
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                        }
                    },
                }
            }
        },
        "components": {
            "schemas": {
                "Thing": {"type": "object", "properties": {service: {"type": "string"}}},
                "Problem": {"type": "object", "properties": {"code": {"type": "string"}}},
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


@dataclass(frozen=True)
class Issuer:
    """Identity's part of signing tokens."""

    key: ECKey

    def token(self, *, key: ECKey | None = None, **claims: object) -> str:
        """An access token; `claims` replace or (when None) remove the usual ones."""
        now = int(time.time())
        usual: dict[str, object] = {
            "iss": DEFAULTS["jwt_issuer"],
            "aud": DEFAULTS["jwt_audience"],
            "sub": "0199e0a0-0000-7000-8000-000000000001",
            "iat": now,
            "exp": now + 300,
        }
        full = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid or ""}
        return jwt.encode(header, full, key or self.key, algorithms=["ES256"])

    def bearer(self, **claims: object) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(**claims)}"}  # type: ignore[arg-type] # claims only

    def cookie(self, **claims: object) -> dict[str, str]:
        return {"cookie": f"__Host-lotpro-access={self.token(**claims)}"}  # type: ignore[arg-type] # claims only


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer(ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate for localhost in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture(scope="session")
async def gateway(
    issuer: Issuer, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    """One gateway for the tests that leave no trace in it, with all services ready."""
    directory = tmp_path_factory.mktemp("gateway") / "shared"
    async with serving(issuer.key) as upstreams, running(upstreams, certificate, directory) as started:
        async with started.client() as client:
            await until_status(client, "/healthz", 200)
            # A token is accepted only once identity's keys have been fetched.
            client.headers.update(issuer.bearer())
            await until_status(client, "/api/identity/v1/organisation", 200)
        yield started


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


@pytest.fixture
def start(issuer: Issuer, certificate: Path, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Gateway]]:
    """Starts a gateway of the test's own: `async with start(ready=False, client_burst="5") as gateway`."""

    @asynccontextmanager
    async def start(*, ready: bool = True, **values: str) -> AsyncIterator[Gateway]:
        async with (
            serving(issuer.key, ready=ready) as upstreams,
            running(upstreams, certificate, tmp_path / "gateway", **values) as gateway,
        ):
            yield gateway

    return start


@pytest.fixture
def problem() -> Callable[[httpx.Response, int, str], None]:
    """Asserts that an answer is the gateway's problem+json of this status and code."""

    def check(answer: httpx.Response, status: int, code: str) -> None:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["status"] == status
        assert body["code"] == code
        assert body["type"] == "about:blank"
        assert body["errors"] == []
        # What cannot even be read as HTTP is refused before it gets an id.
        assert body["trace_id"] == answer.headers.get("x-request-id")
        assert body["trace_id"] or status in (400, 431)

    return check
