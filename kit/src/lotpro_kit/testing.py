"""Fixtures for every room's tests: real PostgreSQL, local cloud processes, signed tokens, HTTP and gRPC clients."""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import grpc.aio
import httpx
import pytest
from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from sqlalchemy import text
from sqlalchemy.engine import URL

from lotpro_kit import auth, bus, crypto, migrations, rpc, service
from lotpro_kit.caller import system
from lotpro_kit.crypto import BlindIndex, Keyring
from lotpro_kit.cursors import Cursors
from lotpro_kit.db import Database
from lotpro_kit.security_log import SecurityLog
from lotpro_kit.settings import ServiceSettings

ISSUER = "https://lotpro.space/identity"
AUDIENCE = "lotpro"
ENTRA_ISSUER = "https://localhost/tenant/v2.0"
SERVICE_AUDIENCE = "api://lotpro"
START_SECONDS = 30

Settings = TypeVar("Settings", bound=ServiceSettings)


class Clock:
    """A clock that stands still until moved."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, step: timedelta) -> None:
        self.now += step


@dataclass(slots=True)
class Process:
    """A process of the local cloud that said it is ready, and what it said."""

    popen: "subprocess.Popen[str]"
    ready: dict[str, Any]

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.popen.kill()
        self.popen.wait(10)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end and wait."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(10)
        if self.popen.stdout:
            self.popen.stdout.close()


def start(module: str, *arguments: str, log: Path, env: Mapping[str, str] | None = None) -> Process:
    """Start `python -m module ...` and wait for its one line {"event": "ready", ...}; its errors go to `log`."""
    with log.open("a") as stderr:
        popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True,
            env={**os.environ, **(env or {})},
        )
    assert popen.stdout is not None
    for line in popen.stdout:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if said.get("event") == "ready":
            return Process(popen, said)
    popen.wait(START_SECONDS)
    popen.stdout.close()
    raise RuntimeError(f"{module} did not start: {log.read_text()[-2000:]}")


@dataclass(slots=True)
class Postgres:
    """The PostgreSQL server of this test process."""

    port: int
    password: str
    process: Process
    _databases: dict[str, str] = field(default_factory=dict)

    @property
    def admin_url(self) -> URL:
        return self.url("lotpro_admin", self.password, "postgres")

    def url(self, user: str, password: str | None, database: str) -> URL:
        return URL.create("postgresql+asyncpg", user, password, "127.0.0.1", self.port, database)

    async def database_of(self, spec: "service.Service[Any]") -> str:
        """The name of this test process's database for a service: provisioned and migrated on first use."""
        name = spec.name
        if name not in self._databases:
            await migrations.provision(self.admin_url, name, owner_password=OWNER_PASSWORD, app_password=APP_PASSWORD)
            await migrations.upgrade(self.url(f"{name}_owner", OWNER_PASSWORD, name), spec.migrations)
            self._databases[name] = name
        return self._databases[name]

    async def beside(self, spec: "service.Service[Any]", database: str) -> "Postgres":
        """The same server with another, new database for a service: for tests that would disturb others."""
        name = spec.name
        await migrations.provision(
            self.admin_url, name, owner_password=OWNER_PASSWORD, app_password=APP_PASSWORD, database=database
        )
        await migrations.upgrade(self.url(f"{name}_owner", OWNER_PASSWORD, database), spec.migrations)
        return replace(self, _databases=self._databases | {name: database})


OWNER_PASSWORD = secrets.token_hex(8)
APP_PASSWORD = secrets.token_hex(8)


@pytest.fixture(scope="session")
def state() -> Iterator[Path]:
    """A directory for this test process.

    Not below pytest's own folder: under root PostgreSQL runs as somebody else and must pass through the folders above
    its data, and every pytest that starts closes pytest's folder to others again.
    """
    with tempfile.TemporaryDirectory(prefix="lotpro-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(state: Path) -> Iterator[Postgres]:
    """A real PostgreSQL 18 with nothing in it; ends with the test process."""
    process = start(
        "lotpro_localcloud.postgres", "--state", str(state / "pg"), "--throw-away", log=state / "postgres.log"
    )
    password = (state / "pg" / "superuser-password").read_text()
    server = Postgres(int(process.ready["port"]), password, process)
    wait_for_postgres(server.port)
    yield server
    # At once: nothing of it is needed any more, and to write it down took ten seconds.
    process.stop(signal.SIGQUIT)


def wait_for_postgres(port: int) -> None:
    """Wait until PostgreSQL takes connections: it opens its port before recovery is over, so ask it by protocol."""
    import asyncio

    import asyncpg

    async def answered() -> bool:
        try:
            connection = await asyncpg.connect(host="127.0.0.1", port=port, user="nobody-at-all", timeout=2)
        except asyncpg.InvalidPasswordError:
            return True
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    deadline = time.monotonic() + START_SECONDS
    while not asyncio.run(answered()):
        if time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL did not start")
        time.sleep(0.05)


class Signer:
    """Signs access tokens as identity does, and service tokens as Entra does, with keys of this test process."""

    def __init__(self) -> None:
        self._user_key = ECKey.generate_key("P-256", {"kid": "test-user", "alg": "ES256", "use": "sig"})
        self._service_key = RSAKey.generate_key(2048, {"kid": "test-entra", "alg": "RS256", "use": "sig"})
        self.principals = {str(uuid4()): name for name in SERVICES}

    @property
    def user_keys(self) -> auth.FixedKeys:
        return auth.FixedKeys(KeySet([self._user_key]))

    @property
    def service_keys(self) -> auth.FixedKeys:
        return auth.FixedKeys(KeySet([self._service_key]))

    def user_token(
        self,
        *,
        user_id: UUID,
        org_id: UUID | None = None,
        roles: Mapping[str, list[str]] | None = None,
        session_id: UUID | None = None,
        expires_in: int = 300,
        aal: str = "aal2",
        auth_time: int | None = None,
        **claims: object,
    ) -> str:
        """An access token; `roles` maps `*` or a store id to role names."""
        now = int(time.time())
        body = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": str(user_id), "sid": str(session_id or uuid4()),
            "roles": dict(roles or {}), "aal": aal, "amr": ["pwd", "otp"], "auth_time": auth_time or now, "iat": now,
            "exp": now + expires_in,
        } | ({"org": str(org_id)} if org_id else {})
        return jwt.encode(
            {"alg": "ES256", "kid": "test-user", "typ": "at+jwt"}, body | claims, self._user_key, algorithms=["ES256"]
        )

    def write_service_keys(self, file: Path) -> None:
        """Publish the key of service tokens, as the tenant's JWKS does."""
        file.write_text(json.dumps(KeySet([self._service_key]).as_dict(private=False)))

    def write_tenant_key(self, file: Path) -> None:
        """Give the key of service tokens to the local tenant, which then takes them for its own."""
        file.write_bytes(self._service_key.as_pem(private=True))

    def service_token(self, name: str, *, audience: str = SERVICE_AUDIENCE) -> str:
        """A managed identity's token of a service."""
        client_id = next(client_id for client_id, service_name in self.principals.items() if service_name == name)
        now = int(time.time())
        body = {"iss": ENTRA_ISSUER, "aud": audience, "azp": client_id, "iat": now, "exp": now + 3600}
        return jwt.encode({"alg": "RS256", "kid": "test-entra"}, body, self._service_key, algorithms=["RS256"])


SERVICES = ("identity", "inventory", "billing", "notifications", "privacy", "audit")


@pytest.fixture(scope="session")
def signer() -> Signer:
    """The issuer of this test process's tokens."""
    return Signer()


class _Credential:
    """Managed identity of one service, as the signer grants it."""

    def __init__(self, signer: Signer, name: str) -> None:
        self._signer, self._name = signer, name

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        audience = scopes[0].removesuffix("/.default")
        return AccessToken(self._signer.service_token(self._name, audience=audience), int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> "_Credential":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""


@dataclass(frozen=True, slots=True)
class Broker:
    """The Service Bus of this test process, reached over TLS with service tokens."""

    process: Process
    endpoint: str
    ca_bundle: str
    signer: Signer

    def open_bus(self, name: str) -> bus.Bus:
        """The bus as a service sees it; close it."""
        return bus.Bus(
            namespace="localhost",
            credential=_Credential(self.signer, name),
            endpoint=self.endpoint,
            ca_bundle=self.ca_bundle,
        )


@pytest.fixture(scope="session")
def broker(state: Path, signer: Signer) -> Iterator[Broker]:
    """A real Service Bus broker with lotPro's topics."""
    certificate, key = _certificate(state)
    signer.write_service_keys(state / "jwks.json")
    principals = {client_id: {"service": name} for client_id, name in signer.principals.items()}
    (state / "principals.json").write_text(json.dumps(principals))
    process = start(
        "lotpro_localcloud.servicebus", "--state", str(state / "servicebus"), "--config",
        str(Path(__file__).parents[3] / "infra" / "servicebus.json"), "--cert", str(certificate), "--key", str(key),
        "--issuer", ENTRA_ISSUER, "--jwks-file", str(state / "jwks.json"), "--principals",
        str(state / "principals.json"), log=state / "servicebus.log",
    )
    yield Broker(process, f"sb://localhost:{process.ready['tls_port']}", str(certificate), signer)
    process.stop()


@dataclass(frozen=True, slots=True)
class Storage:
    """The Blob Storage of this test process, reached over TLS with service tokens."""

    process: Process
    url: str
    ca_bundle: str
    folder: Path


@pytest.fixture(scope="session")
def storage(state: Path, signer: Signer) -> Iterator[Storage]:
    """A real storage account with a container for each service."""
    folder = state / "storage"
    folder.mkdir()
    certificate, key = _certificate(folder)
    signer.write_tenant_key(folder / "tenant-key.pem")
    principals = {client_id: {"service": name, "header": "unused"} for client_id, name in signer.principals.items()}
    (folder / "principals.json").write_text(json.dumps(principals))
    process = start(
        "lotpro_localcloud.providers", "--state", str(folder), "--principals", str(folder / "principals.json"),
        "--cert", str(certificate), "--key", str(key), log=state / "storage.log",
    )
    yield Storage(process, f"https://localhost:{process.ready['tls_port']}/blob", str(certificate), folder / "blobs")
    process.stop()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, for this test process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "tls.pem", folder / "tls.key"


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


#: One of each for the test process: its tests share a database, and rows of one may be met by another.
AUDIT_SEALING_KEY, AUDIT_CHECKPOINT_KEY, CURSOR_KEY, KEY_ENCRYPTION_KEY, BLIND_INDEX_KEY = (_key() for _ in range(5))


def settings(spec: "service.Service[Settings]", **overrides: Any) -> Settings:
    """Settings of a service under test: random keys, endpoints that nothing listens on unless overridden."""
    values: dict[str, Any] = {
        "environment": "development",
        "database_url": "postgresql+asyncpg://unused@127.0.0.1:1/unused",
        "servicebus_namespace": "localhost",
        "vault_url": "https://localhost:1",
        "client_id": "unused",
        "entra_issuer": ENTRA_ISSUER,
        "entra_jwks_url": "http://127.0.0.1:1/keys",
        "service_principals": "unused=unused",
        "user_token_jwks_url": "http://127.0.0.1:1/jwks.json",
        "public_url": "http://localhost:8080",
        "cursor_key": CURSOR_KEY,
        "data_key_encryption_key": KEY_ENCRYPTION_KEY,
        "blind_index_key": BLIND_INDEX_KEY,
        "audit_sealing_public_key": crypto.sealing_public_key(AUDIT_SEALING_KEY),
    }
    return spec.settings(**(values | overrides))


async def open_runtime(
    spec: "service.Service[Settings]",
    postgres: Postgres,
    signer: Signer,
    *,
    clock: Clock | None = None,
    database_name: str = "",
    **overrides: Any,
) -> "service.Runtime[Settings]":
    """A service's runtime on this test process's database, with tokens of the signer; close it at the end.

    `database_name` is that of another one, which its test made.
    """
    name = database_name or await postgres.database_of(spec)
    configured = settings(spec, **overrides)
    # Nobody is turned away because the machine is busy: how long requests wait for each other is no test's matter.
    database = Database(
        postgres.url(f"{spec.name}_app", APP_PASSWORD, name), password=APP_PASSWORD, pool_size=10, pool_seconds=60
    )
    runtime: service.Runtime[Settings] = service.Runtime(
        settings=configured,
        database=database,
        user_tokens=auth.UserTokens(signer.user_keys, issuer=ISSUER, audience=AUDIENCE),
        service_tokens=auth.ServiceTokens(
            signer.service_keys, issuer=ENTRA_ISSUER, audience=SERVICE_AUDIENCE, principals=signer.principals
        ),
        tokens=auth.TokenSource(_Credential(signer, spec.name), SERVICE_AUDIENCE),
        keyring=Keyring(configured.data_key_encryption_key.get_secret_value()),
        blind_index=BlindIndex(configured.blind_index_key.get_secret_value()),
        cursors=Cursors(configured.cursor_key.get_secret_value()),
        security_log=SecurityLog(service=spec.name, sealing_public_key=configured.audit_sealing_public_key),
        credential=_Credential(signer, spec.name),
        closing=[database.close],
    )
    if clock is not None:
        runtime.clock = clock
    return runtime


def client(
    spec: "service.Service[Settings]", runtime: "service.Runtime[Settings]", parts: "service.Parts", token: str = ""
) -> httpx.AsyncClient:
    """An HTTP client that talks to the service's app in this process, signed in when a token is given.

    The app of `parts` is made once, with the runtime that came with them first.
    """
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(_app_of(spec, runtime, parts), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers)


#: The apps that were made last, and of what parts: to make one takes longer than most requests.
_APPS: deque[tuple[service.Parts, FastAPI]] = deque(maxlen=4)


def _app_of(
    spec: "service.Service[Settings]", runtime: "service.Runtime[Settings]", parts: "service.Parts"
) -> FastAPI:
    for known, app in _APPS:
        if known is parts:
            return app
    _APPS.append((parts, service.create_app(spec, runtime, parts)))
    return _APPS[-1][1]


@asynccontextmanager
async def serve_rpc(
    parts: "service.Parts", runtime: "service.Runtime[Any]", signer: Signer
) -> AsyncIterator[Callable[[str], grpc.aio.Channel]]:
    """Serve the parts' gRPC on a free port; yields a function: name of the calling service -> channel."""
    server = rpc.create_server(parts.servicers, runtime.service_tokens)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channels: list[grpc.aio.Channel] = []

    def channel_as(name: str) -> grpc.aio.Channel:
        source = auth.TokenSource(_Credential(signer, name), SERVICE_AUDIENCE)
        channels.append(rpc.open_channel(f"127.0.0.1:{port}", source))
        return channels[-1]

    try:
        yield channel_as
    finally:
        for channel in channels:
            await channel.close()
        await server.stop(None)


async def events(
    database: Database, *, containing: str = "", last: int | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """What stands in the outbox, oldest first, as (type, body).

    Only rows whose body contains the text, and of these only the last ones when a number is given: the tests of one
    process share an outbox that only grows.
    """
    newest = text("SELECT type, body FROM outbox WHERE position(:text IN body) > 0 ORDER BY id DESC LIMIT :last")
    async with database.begin(system(scope="relay")) as session:
        rows = (await session.execute(newest, {"text": containing, "last": last})).all()
    return [(row.type, json.loads(row.body)) for row in reversed(rows)]


async def eventually(
    check: Callable[[], Awaitable[object]], *, within: float = 10, every: float = 0.05
) -> Any:
    """Ask again until the answer is truthy, and return it; fails after `within` seconds."""
    import asyncio

    deadline = time.monotonic() + within
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not so within {within} s"
        await asyncio.sleep(every)
