"""azure-identity gets its tokens here, and anybody can verify them by the tenant's published keys."""

import json
import ssl
import time
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AioCredential
from joserfc import jwt
from joserfc.jwk import KeySet

from localcloud.tests.providers.conftest import Cloud
from lotpro_localcloud import keys

BILLING = keys.client_id("billing")


def verified(cloud: Cloud, token: str) -> dict[str, Any]:
    """The claims, by the keys that discovery names, over TLS that the local authority vouches for."""
    with httpx.Client(verify=ssl.create_default_context(cafile=cloud.ca), trust_env=False) as client:
        issuer = f"{cloud.vault_url}/tenant/v2.0"
        discovery = client.get(f"{issuer}/.well-known/openid-configuration").json()
        assert discovery["issuer"] == issuer
        published = client.get(discovery["jwks_uri"]).json()
    found = jwt.decode(token, KeySet.import_key_set(published), algorithms=["RS256"])
    assert found.header["kid"] == published["keys"][0]["kid"]
    return dict(found.claims)


def test_a_service_gets_a_token_for_an_audience_that_everybody_can_verify(cloud: Cloud) -> None:
    with ManagedIdentityCredential(client_id=BILLING) as credential:
        token = credential.get_token("api://lotpro/.default")
    claims = verified(cloud, token.token)
    assert claims["iss"] == f"{cloud.vault_url}/tenant/v2.0"
    assert claims["aud"] == "api://lotpro"
    assert claims["oid"] == claims["azp"] == claims["appid"] == claims["sub"] == BILLING
    assert claims["exp"] == token.expires_on
    assert time.time() + 3600 < token.expires_on <= time.time() + 86_400


async def test_the_asynchronous_credential_gets_one_too(cloud: Cloud) -> None:
    async with AioCredential(client_id=BILLING) as credential:
        token = await credential.get_token("https://servicebus.azure.net/.default")
    assert verified(cloud, token.token)["aud"] == "https://servicebus.azure.net"


def test_a_service_cannot_be_another(cloud: Cloud) -> None:
    with (
        ManagedIdentityCredential(client_id=keys.client_id("notifications")) as credential,
        pytest.raises(ClientAuthenticationError),
    ):
        credential.get_token("api://lotpro/.default")


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        ("", {"resource": "r", "client_id": BILLING}, 401),
        ("header-of-notifications", {"resource": "r", "client_id": BILLING}, 401),
        ("header-of-billing", {"resource": "r", "client_id": "nobody"}, 401),
        ("header-of-billing", {"resource": "r"}, 401),
        ("header-of-billing", {"client_id": BILLING}, 400),
    ],
)
def test_who_does_not_prove_who_they_are_gets_nothing(
    cloud: Cloud, header: str, query: dict[str, str], status: int
) -> None:
    answer = cloud.http.get("/msi/token", params=query, headers={"X-IDENTITY-HEADER": header})
    assert answer.status_code == status
    assert "access_token" not in answer.text


def test_the_keys_are_the_same_on_both_ports_and_in_the_file_for_the_broker(cloud: Cloud) -> None:
    published = cloud.http.get("/tenant/discovery/v2.0/keys").json()
    assert "d" not in published["keys"][0]
    file = cloud.folder / "providers" / "jwks.json"
    assert published == json.loads(file.read_text())
