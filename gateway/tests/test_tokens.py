"""Who comes through the door: bearer tokens and the access cookie, verified at the edge."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable

import httpx
import pytest
from joserfc.jwk import ECKey

from gateway.render import public_paths
from gateway.tests.conftest import Gateway, Issuer

Problem = Callable[[httpx.Response, int, str], None]
PATH = "/api/inventory/v1/vehicles"


def _encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


async def test_a_request_without_a_token_is_refused(client: httpx.AsyncClient, problem: Problem) -> None:
    answer = await client.get(PATH)
    problem(answer, 401, "gateway.unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_bearer_token_is_accepted_and_forwarded(client: httpx.AsyncClient, issuer: Issuer) -> None:
    bearer = issuer.bearer()
    answer = await client.get(PATH, headers=bearer)
    assert answer.status_code == 200
    assert answer.json()["headers"]["authorization"] == bearer["authorization"]


async def test_the_access_cookie_is_accepted_and_forwarded(client: httpx.AsyncClient, issuer: Issuer) -> None:
    cookie = issuer.cookie()
    answer = await client.get(PATH, headers=cookie)
    assert answer.status_code == 200
    assert answer.json()["headers"]["cookie"] == cookie["cookie"]


async def test_a_stale_cookie_does_not_spoil_a_valid_bearer_token(client: httpx.AsyncClient, issuer: Issuer) -> None:
    stale = issuer.cookie(exp=int(time.time()) - 600)
    answer = await client.get(PATH, headers={**issuer.bearer(), **stale})
    assert answer.status_code == 200


async def test_a_valid_cookie_does_not_save_an_invalid_bearer_token(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem
) -> None:
    answer = await client.get(PATH, headers={"authorization": "Bearer nonsense", **issuer.cookie()})
    problem(answer, 401, "gateway.unauthenticated")


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": -600},
        {"exp": None},
        {"exp": 86400},
        {"iss": "https://elsewhere.example"},
        {"aud": "somebody-else"},
        {"aud": None},
        {"nbf": 600},
    ],
    ids=["expired", "never expires", "lives too long", "wrong issuer", "wrong audience", "no audience", "not yet"],
)
@pytest.mark.parametrize("carrier", ["bearer", "cookie"])
async def test_a_token_with_wrong_claims_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem, carrier: str, claims: dict[str, object]
) -> None:
    """Times are seconds from now: from when the tests were collected, the last would be over before it is tried."""
    now = int(time.time())
    said = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    headers = issuer.bearer(**said) if carrier == "bearer" else issuer.cookie(**said)
    problem(await client.get(PATH, headers=headers), 401, "gateway.unauthenticated")


async def test_a_token_signed_by_another_key_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem
) -> None:
    forged = issuer.token(key=ECKey.generate_key("P-256"))
    problem(await client.get(PATH, headers={"authorization": f"Bearer {forged}"}), 401, "gateway.unauthenticated")


async def test_a_token_whose_payload_was_changed_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem
) -> None:
    header, _, signature = issuer.token().split(".")
    _, payload, _ = issuer.token(sub="somebody-else").split(".")
    forged = f"{header}.{payload}.{signature}"
    problem(await client.get(PATH, headers={"authorization": f"Bearer {forged}"}), 401, "gateway.unauthenticated")


async def test_a_token_with_a_symmetric_signature_made_of_the_public_key_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem
) -> None:
    # Made by hand: the library refuses to.
    header = _encoded(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": issuer.key.kid}).encode())
    signed = f"{header}.{issuer.token().split('.')[1]}"
    mac = hmac.digest(issuer.key.as_pem(private=False), signed.encode(), "sha256")
    forged = f"{signed}.{_encoded(mac)}"
    problem(await client.get(PATH, headers={"authorization": f"Bearer {forged}"}), 401, "gateway.unauthenticated")


async def test_an_unsigned_token_is_refused(client: httpx.AsyncClient, issuer: Issuer, problem: Problem) -> None:
    header = _encoded(json.dumps({"alg": "none", "typ": "at+jwt"}).encode())
    forged = f"{header}.{issuer.token().split('.')[1]}."
    problem(await client.get(PATH, headers={"authorization": f"Bearer {forged}"}), 401, "gateway.unauthenticated")


async def test_a_token_in_the_query_string_is_not_read(
    client: httpx.AsyncClient, issuer: Issuer, problem: Problem
) -> None:
    problem(await client.get(PATH, params={"access_token": issuer.token()}), 401, "gateway.unauthenticated")


@pytest.mark.parametrize("row", public_paths(), ids=lambda row: row.get("path") or row["below"])
async def test_a_public_path_needs_no_token_and_bears_a_stale_one(
    client: httpx.AsyncClient, issuer: Issuer, row: dict[str, str]
) -> None:
    path = row.get("path") or f"{row['below']}/some/thing"
    stale = issuer.cookie(exp=int(time.time()) - 600) if row["method"] == "GET" else {}
    answer = await client.request(row["method"], path, headers=stale)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/identity/v1/accounts"),
        ("DELETE", "/api/identity/v1/sessions"),
        ("POST", "/api/identity/v1/accounts/me"),
        ("POST", "/api/identity/v1/accounts:close"),
        ("POST", "/api/identity/v1/sessions/:refresh"),
        ("POST", "/api/privacy/v1/policy"),
        ("GET", "/api/privacy/v1/policyholders"),
        ("GET", "/api/billing/v1/webhooks/stripe"),
        ("GET", "/api/privacy/v1/policy/../requests"),
        ("GET", "/api//identity/v1/account"),
    ],
)
async def test_what_only_looks_like_a_public_path_needs_a_token(
    client: httpx.AsyncClient, problem: Problem, method: str, path: str
) -> None:
    problem(await client.request(method, path), 401, "gateway.unauthenticated")


async def test_the_keys_are_fetched_in_the_background_and_not_for_each_request(
    gateway: Gateway, client: httpx.AsyncClient, issuer: Issuer
) -> None:
    before = gateway.upstreams.jwks_requests
    for _ in range(20):
        assert (await client.get(PATH, headers=issuer.bearer())).status_code == 200
    assert gateway.upstreams.jwks_requests - before <= 4
