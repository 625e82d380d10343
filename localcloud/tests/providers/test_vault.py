"""The real SecretClient reads its own service's secrets over TLS, and no others."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets._shared import http_challenge_cache

from localcloud.tests.providers.conftest import OFFICER, SECRETS, Cloud, be, header
from lotpro_localcloud import keys


@contextmanager
def vault(cloud: Cloud, client_id: str, *, verify: bool = False) -> Iterator[SecretClient]:
    """The SDK's client as the kit builds it, with no challenge remembered from another test."""
    http_challenge_cache.clear()
    with (
        ManagedIdentityCredential(client_id=client_id) as credential,
        SecretClient(
            cloud.vault_url, credential, connection_verify=cloud.ca, verify_challenge_resource=verify, retry_total=0
        ) as client,
    ):
        yield client


def over_tls(cloud: Cloud, headers: dict[str, str]) -> httpx.Response:
    """A bare request to list the secrets."""
    trusted = ssl.create_default_context(cafile=cloud.ca)
    return httpx.get(f"{cloud.vault_url}/secrets", headers=headers, verify=trusted, trust_env=False)


@pytest.fixture
def billing(cloud: Cloud) -> Iterator[SecretClient]:
    """Billing's view of the vault."""
    with vault(cloud, keys.client_id("billing")) as client:
        yield client


def test_a_service_lists_and_reads_its_own_secrets_only(billing: SecretClient) -> None:
    names = {secret.name or "" for secret in billing.list_properties_of_secrets()}
    assert {"billing-stripe-api-key", "billing-stripe-webhook-secret"} <= names
    assert all(name.startswith("billing-") for name in names)
    found = billing.get_secret("billing-stripe-api-key")
    assert found.value == SECRETS["billing-stripe-api-key"]
    assert found.properties.enabled
    assert found.properties.version
    with pytest.raises(HttpResponseError) as refused:
        billing.get_secret("audit-sealing-key")
    assert refused.value.status_code == 403


def test_a_name_in_capitals_opens_nothing_more(billing: SecretClient) -> None:
    assert billing.get_secret("BILLING-stripe-api-key").value == SECRETS["billing-stripe-api-key"]
    with pytest.raises(HttpResponseError):
        billing.get_secret("AUDIT-sealing-key")


def test_more_secrets_than_a_page_are_all_listed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, cloud, "notifications")
    with vault(cloud, keys.client_id("notifications")) as client:
        listing = client.list_properties_of_secrets()
        pages = [[secret.name or "" for secret in page] for page in listing.by_page()]
    assert [len(page) for page in pages] == [25, 7]
    listed = sorted(name for page in pages for name in page)
    assert listed == sorted(name for name in SECRETS if name.startswith("notifications-"))


def test_a_secret_that_is_not_there_is_not_found(billing: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError):
        billing.get_secret("billing-nothing")
    with pytest.raises(ResourceNotFoundError):
        billing.get_secret("billing-stripe-api-key", "0" * 32)


def test_a_service_cannot_set_a_secret(billing: SecretClient) -> None:
    with pytest.raises(HttpResponseError) as refused:
        billing.set_secret("billing-stripe-api-key", "mine now")
    assert refused.value.status_code == 403


def test_an_officer_rotates_a_secret_and_the_earlier_version_stays_readable(
    cloud: Cloud, billing: SecretClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as officer_here:
        officer_here.setenv("IDENTITY_HEADER", header("officer"))
        with vault(cloud, OFFICER) as officer:
            first = officer.set_secret("billing-rotated", "one", tags={"by": "test"}, content_type="text/plain")
            second = officer.set_secret("billing-rotated", "two")
    assert billing.get_secret("billing-rotated").value == "two"
    earlier = billing.get_secret("billing-rotated", first.properties.version)
    assert earlier.value == "one"
    assert (earlier.properties.tags, earlier.properties.content_type) == ({"by": "test"}, "text/plain")
    versions = [one.version for one in billing.list_properties_of_secret_versions("billing-rotated")]
    assert versions == [second.properties.version, first.properties.version]


def test_a_secret_that_changes_in_the_given_file_becomes_a_new_version(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    be(monkeypatch, cloud, "notifications")
    file = cloud.folder / "providers" / "vault.json"
    with vault(cloud, keys.client_id("notifications")) as client:
        assert client.get_secret("notifications-extra-00").value == "0"
        file.write_text(json.dumps({**SECRETS, "notifications-extra-00": "changed"}))
        assert client.get_secret("notifications-extra-00").value == "changed"
        assert len(list(client.list_properties_of_secret_versions("notifications-extra-00"))) == 2
        assert len(list(client.list_properties_of_secret_versions("notifications-extra-01"))) == 1


def test_a_token_for_another_audience_does_not_open_the_vault(cloud: Cloud) -> None:
    token = cloud.http.get(
        "/msi/token", params={"resource": "api://lotpro", "client_id": keys.client_id("billing")},
        headers={"X-IDENTITY-HEADER": header("billing")},
    ).json()["access_token"]
    refused = over_tls(cloud, {"authorization": f"Bearer {token}"})
    assert refused.status_code == 401
    assert 'resource="https://vault.azure.net"' in refused.headers["www-authenticate"]
    changed = over_tls(cloud, {"authorization": f"Bearer {token[:-4]}AAAA"})
    assert changed.status_code == 401


def test_the_vault_speaks_tls_only(cloud: Cloud) -> None:
    assert cloud.http.get("/secrets").status_code == 403


def test_the_sdk_must_be_told_that_this_vault_is_not_in_azures_domain(cloud: Cloud) -> None:
    with (
        vault(cloud, keys.client_id("billing"), verify=True) as client,
        pytest.raises(ValueError, match="verify_challenge_resource"),
    ):
        client.get_secret("billing-stripe-api-key")


def test_a_wrong_identity_reads_nothing(cloud: Cloud) -> None:
    with vault(cloud, "nobody") as client, pytest.raises(ClientAuthenticationError):
        client.get_secret("billing-stripe-api-key")
