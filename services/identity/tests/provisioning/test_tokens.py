"""Provisioning tokens: who makes them, what they open, and how they end."""

from datetime import timedelta
from typing import Any

import pytest

from services.identity.tests.conftest import Identity
from services.identity.tests.provisioning.conftest import SCIM, Directory, open_directory

NOBODYS = "0192e4a0-0000-7000-8000-000000000000"
PATHS = [
    ("GET", "/Users"), ("POST", "/Users"), *((verb, f"/Users/{NOBODYS}") for verb in ("GET", "PUT", "PATCH", "DELETE")),
]


async def test_without_a_good_token_nothing_is_answered(directory: Directory) -> None:
    for method, path in PATHS:
        for token in ("", "x", "lotpro_scim_x", directory.owner.access_token, directory.token + "x"):
            body = {} if method in ("POST", "PUT", "PATCH") else None
            answer = await directory.send(method, path, body, token=token)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


async def test_a_token_is_shown_once_stored_hashed_listed_and_revoked(directory: Directory) -> None:
    identity, owner = directory.identity, directory.owner
    listed = await identity.get("/provisioning/tokens", token=owner.access_token)
    [entry] = listed.json()["items"]
    assert directory.token not in listed.text
    assert entry["last_used_at"] is None
    [row] = await directory.sql("SELECT t::text AS all FROM scim_tokens t WHERE org_id = :org", org=directory.org_id)
    assert directory.token not in row.all
    assert (await directory.send("GET", "/Users")).status_code == 200
    [entry] = (await identity.get("/provisioning/tokens", token=owner.access_token)).json()["items"]
    assert entry["last_used_at"] is not None
    async with identity.client(owner.access_token) as client:
        path = f"/api/identity/v1/provisioning/tokens/{entry['id']}"
        assert (await client.delete(path)).status_code == 204
        assert (await client.delete(path)).status_code == 404
    assert (await directory.send("GET", "/Users")).status_code == 401
    assert (await identity.get("/provisioning/tokens", token=owner.access_token)).json()["items"] == []


async def test_a_token_expires(directory: Directory) -> None:
    directory.identity.clock.advance(timedelta(days=180) - timedelta(seconds=1))
    assert (await directory.send("GET", "/Users")).status_code == 200
    directory.identity.clock.advance(timedelta(seconds=1))
    assert (await directory.send("GET", "/Users")).status_code == 401


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"role": "org_owner"}, 422, "identity.role_not_provisionable"),
        ({"role": "compliance"}, 422, "identity.role_not_provisionable"),
        ({"role": "emperor"}, 422, "request.invalid"),
        ({"store_id": NOBODYS}, 404, "request.not_found"),
        ({"expires_in_days": 366}, 422, "request.invalid"),
        ({"expires_in_days": 0}, 422, "request.invalid"),
    ],
)
async def test_a_token_gives_roles_in_ones_own_stores_for_a_year_at_most(
    directory: Directory, fields: dict[str, Any], status: int, code: str
) -> None:
    body = {"name": "x", "role": "sales", "store_id": directory.store_id} | fields
    answer = await directory.identity.post("/provisioning/tokens", body, token=directory.owner.access_token)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_only_an_owner_who_stepped_up_may(directory: Directory) -> None:
    identity = directory.identity
    body = {"name": "x", "role": "sales", "store_id": directory.store_id}
    for _ in range(9):
        made = await identity.post("/provisioning/tokens", body, token=directory.owner.access_token)
        assert made.status_code == 201
    full = await identity.post("/provisioning/tokens", body, token=directory.owner.access_token)
    assert (full.status_code, full.json()["code"]) == (409, "identity.scim_too_many_tokens")
    identity.clock.advance(timedelta(minutes=16))
    fresh = await identity.post("/sessions:refresh", {"refresh_token": directory.owner.refresh_token})
    late = await identity.post("/provisioning/tokens", body, token=fresh.json()["access_token"])
    assert (late.status_code, late.json()["code"]) == (403, "auth.step_up_required")
    assert (await identity.post("/provisioning/tokens", body)).status_code == 401


async def test_another_organisations_token_is_not_there(directory: Directory, identity: Identity) -> None:
    other = await open_directory(identity)
    listed = await identity.get("/provisioning/tokens", token=directory.owner.access_token)
    async with identity.client(other.owner.access_token) as client:
        path = f"/api/identity/v1/provisioning/tokens/{listed.json()['items'][0]['id']}"
        assert (await client.delete(path)).status_code == 404


async def test_what_the_service_can_do_is_told_to_anybody(identity: Identity) -> None:
    async with identity.client() as client:
        config = (await client.get(f"{SCIM}/ServiceProviderConfig")).json()
        assert config["filter"] == {"supported": True, "maxResults": 200}
        for path in ("ResourceTypes", "Schemas"):
            listed = await client.get(f"{SCIM}/{path}")
            assert listed.headers["content-type"] == "application/scim+json"
            [entry] = listed.json()["Resources"]
            one = await client.get(f"{SCIM}/{path}/{entry['id']}")
            assert one.json() == entry
            assert (await client.get(f"{SCIM}/{path}/nonsense")).status_code == 404
