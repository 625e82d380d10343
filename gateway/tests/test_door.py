"""The door itself: where requests go, what is refused, which headers pass."""

import asyncio
import json
import ssl
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.render import REQUEST_HEADERS_REMOVED, SECURITY_HEADERS, SERVICES
from gateway.tests.conftest import Gateway, Issuer, until_status

Problem = Callable[[httpx.Response, int, str], None]
Start = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.mark.parametrize("service", SERVICES)
async def test_each_service_is_reached_under_its_path_unchanged(
    client: httpx.AsyncClient, issuer: Issuer, service: str
) -> None:
    answer = await client.get(f"/api/{service}/v1/a/b:c?d=e", headers=issuer.bearer())
    assert (answer.json()["service"], answer.json()["path"]) == (service, f"/api/{service}/v1/a/b:c")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/internal",
        "/internal/jobs",
        "/api/identity/internal",
        "/api/identity/v1/internal/keys",
        "/lotpro.identity.v1.IdentityService/RevealCode",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/readyz",
        "/docs/../internal",
        "/api/unknown/v1/things",
        "/api/identity/v2/things",
        "/api/identity/openapi.json",
    ],
)
async def test_there_is_nothing_at_addresses_that_are_not_for_the_outside(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem, path: str
) -> None:
    problem(await client.post(path, headers=issuer.bearer()), 404, "gateway.not_found")


async def test_a_grpc_call_from_outside_reaches_nobody(client: httpx.AsyncClient, issuer: Issuer) -> None:
    headers = {**issuer.bearer(), "content-type": "application/grpc"}
    answer = await client.post("/lotpro.identity.v1.IdentityService/RevealCode", headers=headers)
    assert answer.headers["grpc-status"] == "12"


async def test_an_escaped_slash_is_redirected_to_what_it_means(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem
) -> None:
    answer = await client.get("/api/identity/v1/jwks.json%2f..%2finternal", headers=issuer.bearer())
    assert answer.status_code == 307
    assert "%2f" not in answer.headers["location"].lower()
    problem(await client.get(answer.headers["location"], headers=issuer.bearer()), 404, "gateway.not_found")


async def test_dots_and_double_slashes_are_resolved_before_a_path_is_judged(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    host, port = urlsplit(str(client.base_url)).hostname, urlsplit(str(client.base_url)).port
    reader, writer = await asyncio.open_connection(host, port)
    bearer = issuer.bearer()["authorization"]
    request = (
        f"GET /api//identity/v1/x/.././y HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\nconnection: close\r\n\r\n"
    )
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["path"] == "/api/identity/v1/y"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.lotpro.space.evil.example", None])
async def test_a_cookie_request_from_another_site_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem, method: str, origin: str | None
) -> None:
    headers = issuer.cookie() | ({"origin": origin} if origin else {})
    answer = await client.request(method, "/api/inventory/v1/vehicles", headers=headers)
    problem(answer, 403, "gateway.origin_refused")


async def test_a_cookie_request_from_our_own_pages_is_accepted(client: httpx.AsyncClient, issuer: Issuer) -> None:
    own = f"http://{client.base_url.netloc.decode()}"
    for origin in (own, "https://app.lotpro.space"):
        answer = await client.post("/api/inventory/v1/vehicles", headers={**issuer.cookie(), "origin": origin})
        assert answer.status_code == 200


async def test_signing_in_from_another_site_is_refused_though_there_is_no_cookie_yet(
    client: httpx.AsyncClient, problem: Problem
) -> None:
    answer = await client.post("/api/identity/v1/sessions", headers={"origin": "https://evil.example"})
    problem(answer, 403, "gateway.origin_refused")


async def test_a_bearer_request_is_not_asked_where_it_comes_from(client: httpx.AsyncClient, issuer: Issuer) -> None:
    headers = {**issuer.bearer(), **issuer.cookie(), "origin": "https://evil.example"}
    assert (await client.post("/api/inventory/v1/vehicles", headers=headers)).status_code == 200


async def test_a_listed_origin_may_call_from_a_browser_and_another_may_not(client: httpx.AsyncClient) -> None:
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    ours = await client.options("/api/inventory/v1/vehicles", headers={"origin": "https://app.lotpro.space", **asking})
    theirs = await client.options("/api/inventory/v1/vehicles", headers={"origin": "https://evil.example", **asking})
    assert ours.headers["access-control-allow-origin"] == "https://app.lotpro.space"
    assert ours.headers["access-control-allow-credentials"] == "true"
    assert "POST" in ours.headers["access-control-allow-methods"]
    assert "access-control-allow-origin" not in theirs.headers


async def test_a_body_over_a_mebibyte_is_refused_and_one_below_passes(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem
) -> None:
    answer = await client.post("/api/inventory/v1/imports", headers=issuer.bearer(), content=bytes(1_100_000))
    problem(answer, 413, "gateway.body_too_large")
    passed = await client.post("/api/inventory/v1/imports", headers=issuer.bearer(), content=bytes(1_000_000))
    assert passed.json()["body_bytes"] == 1_000_000


async def test_a_body_over_a_mebibyte_without_a_stated_length_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem
) -> None:
    async def chunks() -> object:
        for _ in range(11):
            yield bytes(100_000)

    answer = await client.post("/api/inventory/v1/imports", headers=issuer.bearer(), content=chunks())  # type: ignore[arg-type] # an async generator is one
    problem(answer, 413, "gateway.body_too_large")


async def test_headers_that_are_too_large_or_ambiguous_are_refused(client: httpx.AsyncClient, problem: Problem) -> None:
    problem(await client.get("/healthz", headers={"x-long": "a" * 40_000}), 431, "gateway.headers_too_large")
    many = {f"x-{number}": "a" for number in range(100)}
    problem(await client.get("/healthz", headers=many), 431, "gateway.headers_too_large")
    problem(await client.get("/healthz", headers={"x_forwarded_for": "1"}), 400, "gateway.malformed_request")


async def test_headers_that_only_the_gateway_may_say_are_stripped(client: httpx.AsyncClient, issuer: Issuer) -> None:
    lies = dict.fromkeys(REQUEST_HEADERS_REMOVED, "198.51.100.7")
    lies |= {"x-forwarded-for": "198.51.100.7, 203.0.113.9", "x-forwarded-proto": "https"}
    lies |= {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-retry-on": "5xx", "x-envoy-original-path": "/"}
    answer = await client.get("/api/inventory/v1/vehicles", headers={**issuer.bearer(), **lies})
    seen = answer.json()["headers"]
    assert "198.51.100.7" not in json.dumps(seen)
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == client.base_url.netloc.decode()
    assert not [name for name in seen if name.startswith("x-envoy")]


async def test_a_request_id_is_made_here_and_the_trace_context_passes(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {**issuer.bearer(), "traceparent": trace, "x-request-id": "chosen-outside"}
    answer = await client.get("/api/inventory/v1/vehicles", headers=headers)
    seen = answer.json()["headers"]
    assert seen["traceparent"] == trace
    assert len(seen["x-request-id"]) == 36
    assert answer.headers.get_list("x-request-id") == [seen["x-request-id"]]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/inventory/v1/vehicles", 200),
        ("/api/privacy/v1/policy", 200),
        ("/docs", 200),
        ("/openapi.json", 200),
        ("/healthz", 200),
        ("/nowhere", 404),
    ],
)
async def test_every_answer_has_the_security_headers_and_tells_nothing_of_the_software(
    client: httpx.AsyncClient, issuer: Issuer, path: str, status: int
) -> None:
    answer = await client.get(path, headers=issuer.bearer())
    assert answer.status_code == status
    for name, value in SECURITY_HEADERS.items():
        if not (name == "content-security-policy" and path == "/docs"):
            assert answer.headers.get_list(name) == [value], name
    told = {"server", "x-powered-by", "via", "x-envoy-upstream-service-time"} & set(answer.headers)
    assert not told


@pytest.mark.parametrize(
    "headers",
    [{}, {"x_under": "1"}, {"cookie": "__Host-lotpro-access=x", "origin": "https://evil.example"}],
    ids=["401", "400", "403"],
)
async def test_refusals_have_the_security_headers_too(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/api/inventory/v1/vehicles", headers=headers)
    assert answer.status_code in (400, 401, 403)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers.get_list(name) == [value], name
    assert "server" not in answer.headers


async def test_a_burst_is_refused_with_when_to_come_back(start: Start, issuer: Issuer, problem: Problem) -> None:
    async with start(client_burst="20", client_per_second="1") as gateway, gateway.client() as client:
        answers = [await client.get("/api/privacy/v1/policy") for _ in range(40)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 15
        problem(refused[-1], 429, "gateway.rate_limited")
        assert refused[-1].headers["retry-after"] == "1"
        assert refused[-1].headers["ratelimit"] == '"gateway";r=0;t=1'


async def test_a_flood_from_everywhere_is_refused_by_the_global_limit(start: Start, problem: Problem) -> None:
    async with start(global_burst="10", global_per_second="1") as gateway, gateway.client() as client:
        answers = [await client.get("/api/privacy/v1/policy") for _ in range(30)]
        problem(answers[-1], 429, "gateway.rate_limited")


async def test_healthz_is_true_only_while_every_service_is_ready(
    start: Start, issuer: Issuer, problem: Problem
) -> None:
    async with start(ready=False) as gateway, gateway.client() as client:
        problem(await client.get("/healthz"), 503, "gateway.not_ready")
        for service in SERVICES[:-1]:
            gateway.upstreams.ready[service] = True
        await until_status(client, "/api/privacy/v1/policy", 200)
        problem(await client.get("/healthz"), 503, "gateway.not_ready")
        began = time.monotonic()
        gateway.upstreams.ready[SERVICES[-1]] = True
        await until_status(client, "/healthz", 200)
        assert time.monotonic() - began < 3


async def test_a_service_that_is_not_ready_is_not_called(start: Start, issuer: Issuer, problem: Problem) -> None:
    async with start(ready=False) as gateway, gateway.client() as client:
        answer = await client.get("/api/privacy/v1/policy")
        problem(answer, 503, "gateway.unavailable")
        assert answer.headers["retry-after"] == "1"


async def test_tokens_are_accepted_soon_after_identity_comes_up(start: Start, issuer: Issuer) -> None:
    async with start(ready=False) as gateway, gateway.client(headers=issuer.bearer()) as client:
        for service in SERVICES:
            gateway.upstreams.ready[service] = True
        began = time.monotonic()
        await until_status(client, "/api/inventory/v1/vehicles", 200)
        assert time.monotonic() - began < 5


def _context(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # Asking for an old version is the point of the test.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
        context.maximum_version = version
    return context


async def _tls_version(gateway: Gateway, version: ssl.TLSVersion) -> str:
    port = urlsplit(gateway.https).port
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_context(version))
    spoken: str = writer.get_extra_info("ssl_object").version()
    writer.close()
    await writer.wait_closed()
    return spoken


async def test_tls_1_1_is_refused_by_the_gateway(gateway: Gateway) -> None:
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await _tls_version(gateway, ssl.TLSVersion.TLSv1_1)


async def test_tls_1_2_and_1_3_are_accepted(gateway: Gateway) -> None:
    assert await _tls_version(gateway, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert await _tls_version(gateway, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


async def test_https_reaches_the_same_door(gateway: Gateway, issuer: Issuer) -> None:
    async with httpx.AsyncClient(base_url=gateway.https, verify=gateway.trust, trust_env=False) as client:
        answer = await client.get("/api/inventory/v1/vehicles", headers=issuer.bearer())
        assert answer.json()["headers"]["x-forwarded-proto"] == "https"
        assert (await client.get("/api/inventory/v1/vehicles")).status_code == 401


async def test_the_access_log_tells_what_happened_and_nothing_about_the_person(
    gateway: Gateway, client: httpx.AsyncClient, issuer: Issuer
) -> None:
    headers = {**issuer.bearer(), "user-agent": "Jane's Browser", "x-forwarded-for": "198.51.100.7"}
    await client.get("/api/inventory/v1/customers/search?name=Jane+Doe", headers=headers)
    await client.get("/api/inventory/v1/customers/search?name=Jane+Doe")
    deadline = time.monotonic() + 10
    lines: list[dict[str, object]] = []
    while len(lines) < 2 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        lines = [line for line in gateway.access_log() if line["path"] == "/api/inventory/v1/customers/search"]
    assert [(line["status"], line["service"], line["method"]) for line in lines] == [
        (200, "inventory", "GET"),
        (401, "inventory", "GET"),
    ]
    everything = gateway.log.read_text()
    assert not [word for word in ("Jane", "Doe", "198.51", "127.0.0.1", "Bearer", "eyJ") if word in everything]
