"""Pictures from the upload to the last trace: who sees them, what a crash leaves, what goes with the account."""

import base64
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image

from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_identity import app
from lotpro_identity.db import as_authenticator
from lotpro_identity.pictures import service
from lotpro_kit import testing
from lotpro_kit.blobs import BlobMissing, Blobs
from lotpro_kit.caller import Caller
from services.identity.tests.conftest import PREFIX, Identity, Person, id_of, org_of
from services.identity.tests.lifecycle.conftest import Lives
from services.identity.tests.pictures.conftest import bomb_png, camera_jpeg, encoded, halves

MINE = f"{PREFIX}/accounts/me/picture"
MINUTE = timedelta(minutes=1)


async def tag_of(client: httpx.AsyncClient) -> str:
    return str((await client.get(f"{PREFIX}/accounts/me")).headers["etag"])


async def send(
    identity: Identity, person: Person, content: bytes, media_type: str = "image/jpeg", tag: str = ""
) -> httpx.Response:
    async with identity.client(person.access_token) as client:
        headers = {"content-type": media_type, "if-match": tag or await tag_of(client)}
        return await client.put(MINE, content=content, headers=headers)


async def seen(identity: Identity, person: Person, of: UUID | str = "me", tag: str = "") -> httpx.Response:
    async with identity.client(person.access_token) as client:
        headers = {"if-none-match": tag} if tag else {}
        return await client.get(f"{PREFIX}/accounts/{of}/picture", headers=headers)


async def blob_of(lives: Lives, person: Person) -> UUID | None:
    found: UUID | None = (await lives.account(id_of(person))).picture_id
    return found


async def stored(identity: Identity, blob_id: UUID | None) -> bytes | None:
    """What lies in the storage."""
    blobs: Blobs = identity.runtime.blobs(identity.runtime.settings.blob_url)
    try:
        return (await blobs.get(f"pictures/{blob_id}")).content
    except BlobMissing:
        return None


async def test_a_picture_is_shown_to_colleagues_and_to_nobody_else(lives: Lives) -> None:
    identity = lives.identity
    owner, stranger = await identity.owner(), await identity.owner()
    colleague = await lives.identity.member(owner, "porter")
    assert (await seen(identity, owner)).status_code == 404
    answer = await send(identity, owner, camera_jpeg())
    assert (answer.status_code, answer.headers["etag"]) == (204, '"v2"')
    profile = (await identity.get("/accounts/me", token=owner.access_token)).json()
    assert profile["picture"] == f"{PREFIX}/accounts/{id_of(owner)}/picture"
    for person, of in ((owner, "me"), (owner, id_of(owner)), (colleague, id_of(owner))):
        shown = await seen(identity, person, of)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
        assert (shown.headers["cache-control"], shown.headers["x-content-type-options"]) == (
            "private, no-cache", "nosniff"
        )
        assert Image.open(BytesIO(shown.content)).size == (256, 256)
        known = await seen(identity, person, of, tag=shown.headers["etag"])
        assert (known.status_code, known.content) == (304, b"")
    foreign, nobody = await seen(identity, stranger, id_of(owner)), await seen(identity, stranger, uuid4())
    nonsense = await seen(identity, stranger, "..%2F..%2Fx")
    assert {refused.status_code for refused in (foreign, nobody, nonsense)} == {404}
    assert foreign.json() | {"trace_id": ""} == nobody.json() | {"trace_id": ""}
    assert (await seen(identity, stranger, id_of(owner), tag=shown.headers["etag"])).status_code == 404
    await lives.remove(owner, id_of(colleague))
    async with identity.client() as client:
        assert (await client.get(f"{PREFIX}/accounts/{id_of(owner)}/picture")).status_code == 401


async def test_what_lies_in_the_storage_is_encrypted_under_the_persons_key(
    lives: Lives, storage: testing.Storage
) -> None:
    owner = await lives.identity.owner()
    await send(lives.identity, owner, camera_jpeg())
    content = await stored(lives.identity, await blob_of(lives, owner))
    assert content is not None
    assert b"WEBP" not in content
    assert str(id_of(owner)) not in str(await blob_of(lives, owner))
    files = [file.read_bytes() for file in storage.folder.rglob("*") if file.is_file()]
    assert not any(b"RIFF" in file or str(id_of(owner)).encode() in file for file in files)


async def test_the_one_before_is_removed_and_a_change_is_told_by_ids(lives: Lives) -> None:
    identity, now = lives.identity, lives.identity.clock
    owner = await identity.owner()
    await send(identity, owner, camera_jpeg())
    first = await blob_of(lives, owner)
    await send(identity, owner, encoded(halves(), "PNG"), "image/png")
    second = await blob_of(lives, owner)
    assert first != second
    foreseen = await lives.job("sweep-pictures", now(), dry_run=True)
    assert foreseen["removed"] >= 1
    assert await stored(identity, first)
    assert (await lives.job("sweep-pictures", now()))["failed"] == 0
    assert await stored(identity, first) is None
    assert (await lives.job("sweep-pictures", now()))["found"] == 0
    assert (await seen(identity, owner)).status_code == 200
    async with identity.client(owner.access_token) as client:
        gone = await client.delete(MINE, headers={"if-match": await tag_of(client)})
        assert (gone.status_code, gone.headers["etag"]) == (204, '"v4"')
        assert (await client.delete(MINE, headers={"if-match": '"v4"'})).status_code == 404
    assert (await seen(identity, owner)).status_code == 404
    await lives.job("sweep-pictures", now())
    assert await stored(identity, second) is None
    told = [body["version"] for name, body in await lives.events(id_of(owner)) if name == "AccountUpdated"]
    assert told == ["2", "3", "4"]
    logged = await testing.events(identity.runtime.database, containing=str(id_of(owner)))
    changed = [body["changed_fields"] for _, body in logged if body.get("action") == "identity:account:update"]
    assert changed == [["picture_id"]] * 3


@pytest.mark.parametrize("step", ["listed", "stored"])
async def test_an_upload_that_dies_is_never_seen_and_leaves_nothing(lives: Lives, step: str) -> None:
    identity, now = lives.identity, lives.identity.clock
    owner = await identity.owner()
    person = id_of(owner)
    caller = as_authenticator(Caller(kind="user", user_id=person))
    ports = service.Ports(
        signer=None, codes=None, passwords=None, relying_party=None, staff=None, places=None,  # type: ignore[arg-type] # not used
        images=None, breaches=None,  # type: ignore[arg-type] # nor these
        blobs=identity.runtime.blobs(identity.runtime.settings.blob_url), keyring=identity.runtime.keyring,
        blind_index=identity.runtime.blind_index, security_log=identity.runtime.security_log, clock=now,
    )
    async with identity.runtime.database.begin(caller) as session:
        blob_id, sealed = await service.prepare(session, ports, account_id=person, expected=1, picture=b"picture")
    if step == "stored":
        await service.store(ports, blob_id=blob_id, sealed=sealed)
    # Here the process dies.
    assert (await seen(identity, owner)).status_code == 404
    assert (await identity.get("/accounts/me", token=owner.access_token)).json()["picture"] is None
    await lives.job("sweep-pictures", now() + 59 * MINUTE)
    assert bool(await stored(identity, blob_id)) == (step == "stored")
    await lives.job("sweep-pictures", now() + 61 * MINUTE)
    assert await stored(identity, blob_id) is None
    assert await lives.sql("SELECT 1 FROM picture_blobs WHERE id = :id", id=blob_id) == []
    with pytest.raises(service.errors.Unavailable):
        async with identity.runtime.database.begin(caller) as session:
            await service.show(session, caller, ports, account_id=person, expected=1, blob_id=blob_id)
    assert (await seen(identity, owner)).status_code == 404


async def test_without_storage_a_picture_is_unavailable_and_nothing_is_lost(lives: Lives) -> None:
    identity = lives.identity
    owner = await identity.owner()
    await send(identity, owner, camera_jpeg())
    blob_id, settings = await blob_of(lives, owner), identity.runtime.settings
    later = identity.clock() + timedelta(hours=2)
    identity.runtime.settings = settings.model_copy(update={"blob_url": "https://localhost:1/blob"})
    cut_off = Lives(replace(identity, parts=app.wire(identity.runtime)))
    identity.runtime.settings = settings
    for refused in (
        await seen(cut_off.identity, owner), await send(cut_off.identity, owner, camera_jpeg())
    ):
        assert (refused.status_code, refused.json()["code"]) == (503, "service.unavailable")
    assert (await cut_off.job("sweep-pictures", later))["failed"] >= 1
    assert (await seen(identity, owner)).status_code == 200
    assert await blob_of(lives, owner) == blob_id
    assert (await lives.job("sweep-pictures", later))["failed"] == 0
    assert (await lives.job("sweep-pictures", later))["found"] == 0


async def test_a_stale_or_missing_version_changes_no_picture(identity: Identity) -> None:
    owner = await identity.owner()
    content = camera_jpeg()
    async with identity.client(owner.access_token) as client:
        headers = {"content-type": "image/jpeg"}
        assert (await client.put(MINE, content=content, headers=headers)).status_code == 428
        assert (await client.delete(MINE)).status_code == 428
        tag = await tag_of(client)
        assert (await client.put(MINE, content=content, headers=headers | {"if-match": tag})).status_code == 204
        before = (await client.get(MINE)).headers["etag"]
        stale = await client.put(MINE, content=content, headers=headers | {"if-match": tag})
        assert (stale.status_code, stale.json()["code"]) == (412, "request.stale")
        assert (await client.delete(MINE, headers={"if-match": tag})).status_code == 412
        assert (await client.get(MINE)).headers["etag"] == before


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"<svg/>", "image/svg+xml", 422, "identity.picture_type_unsupported"),
        (encoded(halves(), "PNG"), "image/jpeg", 422, "identity.picture_invalid"),
        (encoded(halves(), "PNG")[:200], "image/png", 422, "identity.picture_invalid"),
        (b"", "image/png", 422, "identity.picture_invalid"),
        (bomb_png(50_000, 50_000), "image/png", 422, "identity.picture_too_large"),
        (b"x" * 1_048_577, "image/png", 413, "request.too_large"),
    ],
    ids=["svg", "liar", "truncated", "empty", "bomb", "large"],
)
async def test_what_is_no_picture_is_refused_by_its_own_code(
    lives: Lives, content: bytes, media_type: str, status: int, code: str
) -> None:
    owner = await lives.identity.owner()
    refused = await send(lives.identity, owner, content, media_type)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert await blob_of(lives, owner) is None


async def test_the_privacy_export_contains_the_picture(identity: Identity) -> None:
    owner = await identity.owner()
    await send(identity, owner, camera_jpeg())
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        subject = participant_pb2.Subject(
            kind=participant_pb2.SUBJECT_KIND_USER, org_id=str(org_of(owner.access_token)), id=str(id_of(owner))
        )
        found = [item async for item in stub.Export(participant_pb2.ExportRequest(subject=subject))]
    [picture] = [dict(item.fields) for item in found if item.table == "picture_blobs"]
    assert picture["content_type"] == "image/webp"
    assert base64.b64decode(picture["content_base64"]) == (await seen(identity, owner)).content


async def test_the_picture_goes_with_the_account(lives: Lives) -> None:
    identity = lives.identity
    owner = await identity.owner()
    colleague = await lives.identity.member(owner, "porter")
    await send(identity, colleague, camera_jpeg())
    blob_id = await blob_of(lives, colleague)
    await lives.remove(owner, id_of(colleague))
    assert (await seen(identity, owner, id_of(colleague))).status_code == 404
    ended = identity.clock() + timedelta(minutes=10)
    await lives.job("delete-closed", ended)
    row = await lives.account(id_of(colleague))
    assert (row.picture_id, row.status) == (None, "deleted")
    await lives.job("sweep-pictures", ended)
    assert await stored(identity, blob_id) is None
    assert await lives.sql("SELECT 1 FROM picture_blobs WHERE id = :id", id=blob_id) == []
