"""The real BlobServiceClient, through the kit's Blobs, keeps contents in its own service's container and no other."""

import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from azure.identity.aio import ManagedIdentityCredential
from azure.storage.blob.aio import BlobServiceClient

from localcloud.tests.providers.conftest import Cloud, Receiver, be, start
from lotpro_kit import errors
from lotpro_kit.blobs import BlobExists, BlobImmutable, BlobMissing, Blobs
from lotpro_localcloud import keys

TYPE = "image/webp"


def url_of(cloud: Cloud) -> str:
    return f"https://localhost:{cloud.tls_port}/blob"


@asynccontextmanager
async def blobs(cloud: Cloud, *, identity: str = "billing", container: str = "billing") -> AsyncIterator[Blobs]:
    """A container as the kit opens it."""
    async with ManagedIdentityCredential(client_id=keys.client_id(identity)) as credential:
        opened = Blobs(url_of(cloud), container=container, credential=credential, ca_bundle=cloud.ca)
        try:
            yield opened
        finally:
            await opened.close()


@pytest.fixture
async def billing(cloud: Cloud) -> AsyncIterator[Blobs]:
    async with blobs(cloud) as opened:
        yield opened


@pytest.mark.parametrize("name", ["a", "a/b c", "é?&#%2F", "x" * 1024])
@pytest.mark.parametrize("content", [b"", b"\n\x00{}\n", b"x" * 900_000], ids=["empty", "lines", "large"])
async def test_what_is_put_is_read_and_deleted_whole(billing: Blobs, name: str, content: bytes) -> None:
    etag = await billing.put(name, content, content_type=TYPE, overwrite=True)
    found = await billing.get(name)
    assert (found.content, found.content_type, found.etag) == (content, TYPE, etag)
    assert await billing.delete(name)
    assert not await billing.delete(name)
    with pytest.raises(BlobMissing):
        await billing.get(name)


async def test_nothing_is_replaced_by_accident(billing: Blobs) -> None:
    name = uuid4().hex
    first = await billing.put(name, b"one", content_type=TYPE)
    with pytest.raises(BlobExists):
        await billing.put(name, b"two", content_type=TYPE)
    second = await billing.put(name, b"two", content_type=TYPE, if_match=first)
    with pytest.raises(errors.PreconditionFailed):
        await billing.put(name, b"three", content_type=TYPE, if_match=first)
    assert (await billing.get(name)).etag == second
    await billing.delete(name)
    with pytest.raises(errors.PreconditionFailed):
        await billing.put(name, b"four", content_type=TYPE, if_match=second)


@pytest.mark.parametrize("limit", [None, 1, 2, 3, 9])
async def test_names_are_listed_by_prefix_in_their_order(billing: Blobs, limit: int | None) -> None:
    folder = uuid4().hex
    for name in ("b", "a", "c&<é>", "a/1"):
        await billing.put(f"{folder}/{name}", b"", content_type=TYPE)
    await billing.put(f"{folder}2/a", b"", content_type=TYPE)
    wanted = [f"{folder}/{name}" for name in ("a", "a/1", "b", "c&<é>")]
    assert await billing.names(f"{folder}/", limit=limit) == wanted[:limit]
    assert await billing.names(f"{folder}/d", limit=limit) == []


async def test_long_lists_come_in_pages(cloud: Cloud, billing: Blobs) -> None:
    folder = uuid4().hex
    for number in range(5):
        await billing.put(f"{folder}/{number}", b"", content_type=TYPE)
    async with (
        ManagedIdentityCredential(client_id=keys.client_id("billing")) as credential,
        BlobServiceClient(url_of(cloud), credential, connection_verify=cloud.ca, retry_total=0) as client,
    ):
        listed = client.get_container_client("billing").list_blobs(name_starts_with=folder, results_per_page=2)
        pages = [[blob.name async for blob in page] async for page in listed.by_page()]
    assert [[name[-1] for name in page] for page in pages] == [["0", "1"], ["2", "3"], ["4"]]


async def test_what_audit_put_stays_as_it_is(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, cloud, "audit")
    name = uuid4().hex
    async with blobs(cloud, identity="audit", container="audit") as audit:
        etag = await audit.put(name, b"one", content_type=TYPE)
        for attempt in (
            audit.put(name, b"two", content_type=TYPE, overwrite=True),
            audit.put(name, b"two", content_type=TYPE, if_match=etag), audit.delete(name),
        ):
            with pytest.raises(BlobImmutable):
                await attempt
        with pytest.raises(BlobExists):
            await audit.put(name, b"two", content_type=TYPE)
        assert (await audit.get(name)).content == b"one"


async def test_a_container_is_for_its_service_alone(cloud: Cloud) -> None:
    async with blobs(cloud, container="notifications") as foreign:
        for attempt in (
            foreign.get("x"), foreign.delete("x"), foreign.put("x", b"", content_type=TYPE), foreign.names("")
        ):
            with pytest.raises(errors.Unavailable):
                await attempt


async def test_a_wrong_checksum_is_refused_and_a_right_one_stored(cloud: Cloud) -> None:
    async with (
        ManagedIdentityCredential(client_id=keys.client_id("billing")) as credential,
        BlobServiceClient(url_of(cloud), credential, connection_verify=cloud.ca, retry_total=0) as client,
    ):
        blob = client.get_blob_client("billing", uuid4().hex)
        await blob.upload_blob(b"one")
        properties = await blob.get_blob_properties()
        assert bytes(properties.content_settings.content_md5 or b"") == hashlib.md5(b"one").digest()
        assert properties.size == 3
        token = (await credential.get_token("https://storage.azure.com/.default")).token
    answer = over_tls(
        cloud, "PUT", authorization=f"Bearer {token}", x_ms_blob_type="BlockBlob", x_ms_version="2026-10-06",
        content_md5="AAAAAAAAAAAAAAAAAAAAAA==",
    )
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "Md5Mismatch")


@pytest.mark.parametrize("token", ["", "Bearer nonsense", "Bearer {vault}", "SharedKey a:b"])
async def test_without_a_token_for_storage_nothing_opens(cloud: Cloud, token: str) -> None:
    async with ManagedIdentityCredential(client_id=keys.client_id("billing")) as credential:
        vault = (await credential.get_token("https://vault.azure.net/.default")).token
    sent = {"authorization": token.format(vault=vault)} if token else {}
    answer = over_tls(cloud, "GET", x_ms_version="2026-10-06", **sent)
    assert answer.status_code == 401
    assert "resource_id=https://storage.azure.com" in answer.headers["www-authenticate"]
    plain = cloud.http.get("/blob/billing/x", headers=sent)
    assert (plain.status_code, plain.headers["x-ms-error-code"]) == (400, "AccountRequiresHttps")


def over_tls(cloud: Cloud, method: str, **headers: str) -> httpx.Response:
    trusted = ssl.create_default_context(cafile=cloud.ca)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(
        method, f"{url_of(cloud)}/billing/x", headers=named, content=b"one" if method == "PUT" else None,
        verify=trusted, trust_env=False,
    )


@pytest.fixture
def own(tmp_path: Path, receiver: Receiver) -> Iterator[Cloud]:
    """Providers that this test may kill."""
    running = start(tmp_path, receiver)
    yield running
    running.http.close()
    running.process.stop()


async def test_what_was_stored_survives_a_kill_and_a_dead_account_is_unavailable(
    own: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    be(monkeypatch, own, "billing")
    async with blobs(own) as opened:
        etag = await opened.put("kept", b"kept", content_type=TYPE)
        own.process.kill()
        with pytest.raises(errors.Unavailable):
            await opened.get("kept")
        own.process.stop()
        own.http.close()
        again = start(own.folder, own.receiver, ports=(own.port, own.tls_port))
        own.process, own.http = again.process, again.http
        found = await opened.get("kept")
    assert (found.content, found.etag) == (b"kept", etag)
