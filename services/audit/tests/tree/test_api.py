"""Checkpoints and proofs by the API: enough for somebody who trusts nobody here."""

from base64 import b64decode
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lotpro_audit import app
from lotpro_audit.tree import domain, notes
from lotpro_audit.tree.notes import VerifierKey
from lotpro_kit import testing
from lotpro_kit.caller import system
from services.audit.tests.conftest import EVENTS, Log

AUDIT = "/api/audit/v1"
LATEST = f"{AUDIT}/checkpoints/latest"


def unspelled(path: list[str]) -> list[bytes]:
    return [b64decode(part) for part in path]


async def key_of(client: httpx.AsyncClient) -> VerifierKey:
    return VerifierKey.read((await client.get(f"{AUDIT}/log-key")).json()["key"])


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(f"{AUDIT}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def someone(log: Log, user_id: UUID | None = None, **roles: list[str]) -> httpx.AsyncClient:
    token = log.signer.user_token(user_id=user_id or uuid4(), org_id=log.org_id, roles=roles)
    return testing.client(app.SERVICE, log.runtime, log.parts, token)


async def test_the_newest_checkpoint_is_signed_by_the_published_key(log: Log) -> None:
    await log.take(log.act())
    async with log.client("porter") as porter:
        found = await get(porter, "/checkpoints/latest")
        signed = notes.open(found["note"], await key_of(porter))
        assert found == await get(porter, f"/checkpoints/{found['size']}")
        assert (signed.size, found["log_key"]) == (found["size"], (await key_of(porter)).spelled())


async def test_the_public_key_needs_no_sign_in(log: Log) -> None:
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        answer = await nobody.get(f"{AUDIT}/log-key")
    assert answer.headers["cache-control"] == "public, max-age=3600"
    VerifierKey.read(answer.json()["key"])


async def test_a_checkpoint_that_is_known_is_not_sent_again(log: Log) -> None:
    await log.take(log.act())
    async with log.client("porter") as porter:
        first = await porter.get(LATEST)
        tag = first.headers["etag"]
        for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = await porter.get(LATEST, headers={"if-none-match": header})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        await log.take(log.act())
        newer = await porter.get(LATEST, headers={"if-none-match": tag})
        old = await porter.get(f"{AUDIT}/checkpoints/{first.json()['size']}")
    assert (newer.status_code, first.headers["cache-control"]) == (200, "private, no-cache")
    assert newer.json()["size"] == first.json()["size"] + 1
    assert (old.json(), "immutable" in old.headers["cache-control"]) == (first.json(), True)


async def test_a_later_log_is_proved_to_begin_with_an_earlier_one(log: Log) -> None:
    await log.take(log.act())
    async with log.client("porter") as porter:
        old = await get(porter, "/checkpoints/latest")
        await log.take_all(*(log.act() for _ in range(300)))
        new = await get(porter, "/checkpoints/latest")
        proof = await get(porter, "/checkpoints:consistency", old=old["size"], new=new["size"])
        assert proof == await get(porter, "/checkpoints:consistency", old=old["size"])
        key = await key_of(porter)
    roots = [notes.open(found["note"], key).root for found in (old, new)]
    path = unspelled(proof["path"])
    assert domain.proves_consistency(old["size"], roots[0], new["size"], roots[1], path)
    assert not domain.proves_consistency(old["size"], roots[1], new["size"], roots[1], path)


async def test_what_the_log_never_was_has_no_checkpoint_and_no_proof(log: Log) -> None:
    await log.take_all(log.act(), log.act())
    async with log.client("porter") as porter:
        size = (await get(porter, "/checkpoints/latest"))["size"]
        for path in (
            f"/checkpoints/{size + 1}", f"/checkpoints/{size - 1}", "/checkpoints/0", "/checkpoints/x",
            "/checkpoints/01", "/checkpoints/-1", f"/checkpoints/{10**19 - 1}", f"/checkpoints/{uuid4()}",
            f"/checkpoints:consistency?new={size + 1}", "/checkpoints:consistency?old=2&new=1",
        ):
            answer = await porter.get(f"{AUDIT}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "audit.checkpoint_unknown"), path
        for query in ("old=-1", "new=x", f"new={2**63}"):
            answer = await porter.get(f"{AUDIT}/checkpoints:consistency?{query}")
            assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), query


async def test_an_event_is_proved_with_all_that_is_needed_to_check_it(log: Log) -> None:
    event_id = await log.take(log.act())
    await log.take_all(*(log.act() for _ in range(20)))
    async with log.client("compliance") as officer:
        found = await get(officer, f"/events/{event_id}/proof")
        key = await key_of(officer)
    signed = notes.open(found["checkpoint"], key)
    content = found["leaf"].encode()
    root = domain.root_of_inclusion(found["seq"], signed.size, domain.leaf_hash(content), unspelled(found["proof"]))
    assert (root, found["size"]) == (signed.root, signed.size)
    sealed = b64decode(found["leaf"].partition('"origin":"')[2].partition('"')[0])
    opened = AESGCM(b64decode(found["origin_key"])).decrypt(bytes(12), sealed, None).decode()
    assert opened.split("\n") == [found["ip"], found["user_agent"]] == ["203.0.113.9", "Firefox/150"]
    told = await testing.events(log.runtime.database, containing=str(event_id))
    assert [body["action"] for _, body in told] == ["audit:event:prove"]


async def test_an_event_without_an_origin_or_whose_key_is_gone_is_proved_without_one(log: Log) -> None:
    bare = await log.take(log.act(sealed_origin=b""))
    sealed = await log.take(log.act())
    async with log.runtime.database.begin(system(log.org_id)) as session:
        assert await log.runtime.keyring.destroy(session, log.actor_id)
        # Somebody whose key was destroyed acts again: there is a key, and it is another one.
        await log.runtime.keyring.for_subject(session, log.actor_id)
    async with log.client("compliance") as officer:
        for event_id in (bare, sealed):
            found = await get(officer, f"/events/{event_id}/proof")
            assert (found["origin_key"], found["ip"], found["user_agent"]) == (None, None, None)
        [_, shown] = await log.page(officer)
    assert shown["ip"] == ""


async def test_an_event_is_proved_to_those_who_may_see_it_and_to_nobody_else(log: Log) -> None:
    event_id = await log.take(log.act())
    of_organisation = await log.take(log.act("identity:store:open", store_id=""))
    path, wide = f"{EVENTS}/{event_id}/proof", f"{EVENTS}/{of_organisation}/proof"
    here, elsewhere = str(log.store_id), str(uuid4())

    async def seen(client: httpx.AsyncClient) -> tuple[int, int]:
        async with client:
            return (await client.get(path)).status_code, (await client.get(wide)).status_code

    assert await seen(someone(log, **{"*": ["compliance"]})) == (200, 200)
    assert await seen(someone(log, **{here: ["store_admin"]})) == (200, 404)
    assert await seen(someone(log, **{elsewhere: ["store_admin"]})) == (404, 404)
    assert await seen(someone(log, **{elsewhere: ["store_admin"], here: ["sales"]})) == (404, 404)
    assert await seen(someone(log, **{"*": ["sales"]})) == (404, 404)
    assert await seen(someone(log, log.actor_id, **{here: ["porter"]})) == (200, 200)
    assert await seen(log.client("org_owner", org_id=uuid4())) == (404, 404)
    nowhere = log.signer.user_token(user_id=log.actor_id)
    assert await seen(testing.client(app.SERVICE, log.runtime, log.parts, nowhere)) == (200, 200)
    async with log.client("compliance") as officer:
        for unknown in (uuid4(), "x"):
            assert (await officer.get(f"{EVENTS}/{unknown}/proof")).status_code == 404


@pytest.mark.parametrize(
    "path", ["/checkpoints/latest", "/checkpoints/1", "/checkpoints:consistency", "/events/1/proof"]
)
async def test_strangers_get_no_proofs(log: Log, path: str) -> None:
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        assert (await nobody.get(f"{AUDIT}{path}")).status_code == 401
