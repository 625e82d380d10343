"""The providers, in a process of their own for all tests here, and a receiver of the webhooks they send."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from lotpro_kit import testing
from lotpro_localcloud import certificates, keys
from lotpro_localcloud.state import write_json

OFFICER = "c0ffee00-0000-4000-8000-000000000000"
SERVICES = ("billing", "notifications", "audit")
SECRETS = {
    "billing-stripe-api-key": "sk_test_of_this_test",
    "billing-stripe-webhook-secret": "whsec_new,whsec_old",
    "notifications-sendgrid-api-key": "SG.of_this_test",
    "notifications-twilio-auth-token": "token_of_this_test",
    "audit-sealing-key": "nobody else's",
    **{f"notifications-extra-{number:02d}": str(number) for number in range(30)},
}


def header(service: str) -> str:
    """The header of a service's managed identity."""
    return f"header-of-{service}"


@dataclass
class Received:
    """A webhook that came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Takes webhooks, after it has refused as many as `refusals` says for their path."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def on(self, path: str, containing: str = "") -> list[Received]:
        """What came to a path."""
        return [one for one in self.received if one.path == path and containing.encode() in one.body]


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            left = found.refusals.get(self.path, 0)
            if left:
                found.refusals[self.path] = left - 1
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                found.received.append(Received(self.path, headers, body))
            self.send_response(500 if left else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Cloud:
    """Running providers: where they are, and a client that knows their authority."""

    folder: Path
    process: testing.Process
    receiver: Receiver
    http: httpx.Client

    @property
    def port(self) -> int:
        return int(self.process.ready["port"])

    @property
    def tls_port(self) -> int:
        return int(self.process.ready["tls_port"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def vault_url(self) -> str:
        return f"https://localhost:{self.tls_port}"

    @property
    def ca(self) -> str:
        return str(self.folder / "ca" / "ca.pem")

    def inbox(self, to: str) -> list[dict[str, Any]]:
        """What came to somebody, newest first."""
        answer = self.http.get("/inbox/messages", params={"to": to})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def order(self, provider: str, *faults: dict[str, Any]) -> None:
        """Order faults."""
        answer = self.http.post(f"/_ctl/faults/{provider}", json=list(faults))
        assert answer.status_code == 200, answer.text


def start(folder: Path, receiver: Receiver, *, ports: tuple[int, int] = (0, 0)) -> Cloud:
    """Start the providers on a folder, new or used before."""
    certificates.ensure(folder / "ca")
    state = folder / "providers"
    state.mkdir(exist_ok=True)
    principals = {keys.client_id(name): {"service": name, "header": header(name)} for name in SERVICES}
    officer = {OFFICER: {"service": "operations", "header": header("officer"), "vault": "officer"}}
    write_json(state / "principals.json", principals | officer)
    if not (state / "vault.json").exists():
        (state / "vault.json").write_text(json.dumps(SECRETS))
    process = testing.start(
        "lotpro_localcloud.providers", "--state", str(state), "--principals", str(state / "principals.json"),
        "--cert", str(folder / "ca" / "server.pem"), "--key", str(folder / "ca" / "server.key"),
        "--port", str(ports[0]), "--tls-port", str(ports[1]),
        "--stripe-webhook-url", receiver.url("/stripe"), "--sendgrid-event-url", receiver.url("/sendgrid"),
        log=folder / "providers.log",
    )
    http = httpx.Client(base_url=f"http://127.0.0.1:{process.ready['port']}", trust_env=False, timeout=20)
    return Cloud(folder, process, receiver, http)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Cloud]:
    """The providers that all tests share; what a test leaves in them has ids and addresses of its own."""
    running = start(tmp_path_factory.mktemp("cloud"), receiver)
    yield running
    running.http.close()
    running.process.stop()


@pytest.fixture(autouse=True)
def identity(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is billing's container: App Service tells its identity by the environment."""
    if "cloud" in request.fixturenames:
        cloud: Cloud = request.getfixturevalue("cloud")
        be(monkeypatch, cloud, "billing")


def be(monkeypatch: pytest.MonkeyPatch, cloud: Cloud, service: str) -> None:
    """Be the container of a service."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{cloud.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", header(service))
