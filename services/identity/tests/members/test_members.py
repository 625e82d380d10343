"""Changing what members are, suspending them, letting them go, handing the organisation over."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_kit import testing
from services.identity.tests.conftest import Identity, Person, claims_of, id_of, org_of


async def seen(identity: Identity, viewer: Person, member: Person) -> dict[str, Any]:
    """A member as somebody sees them."""
    items = (await identity.ask("GET", "/members", viewer)).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["user_id"] == str(id_of(member)))
    return found


async def store_of(identity: Identity, owner: Person) -> str:
    stores = (await identity.ask("GET", "/organisations/current", owner)).json()["stores"]
    found: str = stores[0]["id"]
    return found


async def set_roles(
    identity: Identity, by: Person, member: Person, *roles: tuple[str, str | None], version: int
) -> Any:
    body = {"roles": [{"role": role, "store_id": store} for role, store in roles]}
    return await identity.ask("PUT", f"/members/{id_of(member)}/roles", by, body, version=version)


async def refused_soon(identity: Identity, person: Person) -> bool:
    """Whether a token that was given before is refused within a second."""
    for _ in range(100):
        if (await identity.get("/sessions/current", token=person.access_token)).status_code == 401:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_new_role_holds_from_the_next_request_on(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    store, before = await store_of(identity, owner), await seen(identity, owner, sam)
    answer = await set_roles(identity, owner, sam, ("manager", store), version=before["version"])
    assert answer.status_code == 204, answer.text
    assert (await seen(identity, owner, sam))["roles"] == [{"role": "manager", "store_id": store}]
    assert await refused_soon(identity, sam)
    fresh = await identity.post("/sessions:refresh", {"refresh_token": sam.refresh_token})
    assert claims_of(fresh.json()["access_token"])["roles"] == {store: ["manager"]}


async def test_whoever_saw_an_older_version_is_refused_and_nothing_changes(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    store, before = await store_of(identity, owner), await seen(identity, owner, sam)
    await set_roles(identity, owner, sam, ("manager", store), version=before["version"])
    stale = await set_roles(identity, owner, sam, ("viewer", store), version=before["version"])
    assert (stale.status_code, stale.json()["code"]) == (412, "request.stale")
    assert (await seen(identity, owner, sam))["roles"] == [{"role": "manager", "store_id": store}]


@pytest.mark.parametrize("role", ["org_owner", "compliance", "store_admin"])
async def test_a_store_admin_cannot_raise_anybody_above_the_store(identity: Identity, role: str) -> None:
    owner = await identity.owner()
    admin, sam = await identity.member(owner, "store_admin"), await identity.member(owner, "sales")
    store, before = await store_of(identity, owner), await seen(identity, owner, sam)
    where = store if role == "store_admin" else None
    answer = await set_roles(identity, admin, sam, (role, where), version=before["version"])
    assert (answer.status_code, answer.json()["code"]) == (403, "identity.may_not_grant")
    assert (await seen(identity, owner, sam))["roles"] == before["roles"]


async def test_a_store_admin_touches_neither_other_admins_nor_other_stores(identity: Identity) -> None:
    owner = await identity.owner()
    admin, other = await identity.member(owner, "store_admin"), await identity.member(owner, "store_admin")
    store, before = await store_of(identity, owner), await seen(identity, owner, other)
    answer = await set_roles(identity, admin, other, ("sales", store), version=before["version"])
    assert answer.json()["code"] == "identity.may_not_grant"
    assert (await identity.ask("DELETE", f"/members/{id_of(other)}", admin)).json()["code"] == "identity.may_not_grant"
    sam = await identity.member(owner, "sales")
    elsewhere = {"name": "Omaha", "time_zone": "America/Chicago"}
    omaha = (await identity.ask("POST", "/stores", owner, elsewhere)).json()["id"]
    both = (("sales", store), ("manager", omaha))
    version = (await seen(identity, owner, sam))["version"]
    assert (await set_roles(identity, owner, sam, *both, version=version)).status_code == 204
    version = (await seen(identity, owner, sam))["version"]
    assert (await set_roles(identity, admin, sam, ("viewer", omaha), version=version)).status_code == 404
    assert (await set_roles(identity, admin, sam, ("viewer", store), version=version)).status_code == 204
    held = {(role["role"], role["store_id"]) for role in (await seen(identity, owner, sam))["roles"]}
    assert held == {("viewer", store), ("manager", omaha)}


async def test_nobody_changes_their_own_roles(identity: Identity) -> None:
    owner = await identity.owner()
    version = (await seen(identity, owner, owner))["version"]
    answer = await set_roles(identity, owner, owner, ("compliance", None), version=version)
    assert (answer.status_code, answer.json()["code"]) == (409, "identity.own_roles")
    for act in ("DELETE /members/{}", "POST /members/{}:suspend"):
        method, path = act.split()
        assert (await identity.ask(method, path.format(id_of(owner)), owner)).status_code == 409


async def test_another_dealer_finds_nobody(identity: Identity) -> None:
    owner, stranger = await identity.owner(), await identity.owner()
    sam = await identity.member(owner, "sales")
    store = await store_of(identity, stranger)
    assert (await set_roles(identity, stranger, sam, ("viewer", store), version=1)).status_code == 404
    for act in ("DELETE /members/{}", "POST /members/{}:suspend", "POST /members/{}:resume"):
        method, path = act.split()
        assert (await identity.ask(method, path.format(id_of(sam)), stranger)).status_code == 404
    answer = await identity.ask("POST", "/organisations/current:transfer", stranger, {"user_id": str(id_of(sam))})
    assert answer.status_code == 404
    mine, before = await store_of(identity, owner), await seen(identity, owner, sam)
    assert (await set_roles(identity, owner, sam, ("sales", store), version=before["version"])).status_code == 404
    assert before["roles"] == [{"role": "sales", "store_id": mine}]


async def test_two_owners_who_remove_each_other_at_once_leave_one(identity: Identity) -> None:
    owner = await identity.owner()
    second = await identity.member(owner, "org_owner", store=False)
    answers = await asyncio.gather(
        identity.ask("DELETE", f"/members/{id_of(second)}", owner),
        identity.ask("DELETE", f"/members/{id_of(owner)}", second),
    )
    assert sorted(answer.status_code for answer in answers) == [204, 401]


async def test_the_last_owner_stays_until_another_owns(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    answer = await identity.ask("POST", "/organisations/current:leave", owner)
    assert (answer.status_code, answer.json()["code"]) == (409, "identity.last_owner")
    handed = await identity.ask("POST", "/organisations/current:transfer", owner, {"user_id": str(id_of(sam))})
    assert handed.status_code == 204, handed.text
    identity.clock.advance(timedelta(seconds=30))
    for person in (owner, sam):
        await identity.sign_in(person)
    store = await store_of(identity, sam)
    assert claims_of(owner.access_token)["roles"] == {store: ["store_admin"]}
    assert "org_owner" in claims_of(sam.access_token)["roles"]["*"]
    assert (await identity.ask("POST", "/organisations/current:leave", owner)).status_code == 204
    identity.clock.advance(timedelta(seconds=30))
    await identity.sign_in(owner)
    assert claims_of(owner.access_token)["roles"] == {}


async def test_a_removed_member_keeps_the_account_and_has_no_organisation(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    assert (await identity.ask("DELETE", f"/members/{id_of(sam)}", owner)).status_code == 204
    assert await refused_soon(identity, sam)
    identity.clock.advance(timedelta(seconds=30))
    assert (await identity.sign_in(sam)).status_code == 200
    assert claims_of(sam.access_token)["roles"] == {}
    assert (await identity.ask("GET", "/organisations/current", sam)).status_code == 404
    assert (await identity.ask("DELETE", f"/members/{id_of(sam)}", owner)).status_code == 404


async def test_a_suspended_member_is_nothing_until_resumed(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    path = f"/members/{id_of(sam)}"
    assert (await identity.ask("POST", f"{path}:suspend", owner)).status_code == 204
    assert await refused_soon(identity, sam)
    fresh = await identity.post("/sessions:refresh", {"refresh_token": sam.refresh_token})
    assert claims_of(fresh.json()["access_token"])["roles"] == {}
    assert (await seen(identity, owner, sam))["suspended"] is True
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        stub = identity_pb2_grpc.IdentityServiceStub(channel_as("billing"))
        members = await stub.GetMembers(identity_pb2.GetMembersRequest(org_id=str(org_of(owner.access_token))))
    assert [member.user_id for member in members.members] == [str(id_of(owner))]
    assert (await identity.ask("POST", f"{path}:resume", owner)).status_code == 204
    identity.clock.advance(timedelta(seconds=30))
    await identity.sign_in(sam)
    assert list(claims_of(sam.access_token)["roles"].values()) == [["sales"]]


async def test_changing_people_wants_a_factor_given_lately(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    version = (await seen(identity, owner, sam))["version"]
    identity.clock.advance(timedelta(minutes=16))
    fresh = await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})
    owner.access_token = fresh.json()["access_token"]
    store = await store_of(identity, owner)
    for answer in (
        await set_roles(identity, owner, sam, ("viewer", store), version=version),
        await identity.ask("DELETE", f"/members/{id_of(sam)}", owner),
        await identity.ask("POST", f"/members/{id_of(sam)}:suspend", owner),
        await identity.ask("POST", "/organisations/current:leave", owner),
        await identity.ask("POST", "/organisations/current:transfer", owner, {"user_id": str(id_of(sam))}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.step_up_required")


async def test_every_change_is_told_and_logged(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    store, before = await store_of(identity, owner), await seen(identity, owner, sam)
    await set_roles(identity, owner, sam, ("manager", store), version=before["version"])
    await identity.ask("POST", f"/members/{id_of(sam)}:suspend", owner)
    await identity.ask("POST", f"/members/{id_of(sam)}:resume", owner)
    await identity.ask("DELETE", f"/members/{id_of(sam)}", owner)
    events = await testing.events(identity.runtime.database, containing=str(id_of(sam)))
    names = [name.rsplit(".", 1)[-1] for name, _ in events]
    told = [name for name in names if name.startswith("Member") and name != "MemberJoined"]
    assert told == ["MemberRolesChanged", "MemberSuspended", "MemberResumed", "MemberRemoved"]
    logged = [body["action"] for name, body in events if "action" in body]
    for action in ("update", "suspend", "resume", "remove"):
        assert f"identity:member:{action}" in logged


async def refreshed(identity: Identity, person: Person) -> Person:
    """The person with what their session is worth now."""
    answer = await identity.post("/sessions:refresh", {"refresh_token": person.refresh_token})
    assert answer.status_code == 200, answer.text
    person.access_token, person.refresh_token = answer.json()["access_token"], answer.json()["refresh_token"]
    return person


async def roles(identity: Identity, person: Person) -> list[str]:
    held = (await identity.ask("GET", "/sessions/current", await refreshed(identity, person))).json()["roles"]
    return sorted(role for names in held.values() for role in names)


async def test_another_role_or_invitation_does_not_end_a_suspension(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    store = (await identity.ask("GET", "/organisations/current", owner)).json()["stores"][0]["id"]
    assert (await identity.ask("POST", f"/members/{id_of(sam)}:suspend", owner)).status_code == 204
    [sams] = [row for row in (await identity.ask("GET", "/members", owner)).json()["items"] if row["suspended"]]
    wanted = {"roles": [{"role": "manager", "store_id": store}]}
    changed = await identity.ask("PUT", f"/members/{id_of(sam)}/roles", owner, wanted, version=sams["version"])
    assert changed.status_code == 204, changed.text
    invite = {"email": sam.email, "role": "porter", "store_id": store}
    await identity.ask("POST", "/invitations", owner, invite)
    accept = {"token": (await identity.mailed(sam.email)).code, "name": "Sam Ortega", "password": sam.password}
    assert (await identity.post("/invitations:accept", accept)).status_code == 200
    assert await roles(identity, sam) == []
    assert (await identity.ask("POST", f"/members/{id_of(sam)}:resume", owner)).status_code == 204
    assert await roles(identity, sam) == ["manager", "porter"]


async def test_a_suspended_organisation_is_open_to_its_owners_only(identity: Identity) -> None:
    owner = await identity.owner()
    sam, lee = await identity.member(owner, "sales"), await identity.member(owner, "porter")
    await identity.ask("POST", f"/members/{id_of(lee)}:suspend", owner)
    refused = await identity.ask("POST", "/organisations/current:suspend", sam)
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden")
    assert (await identity.ask("POST", "/organisations/current:suspend", owner)).status_code == 204

    async def gone() -> bool:
        return (await identity.ask("GET", "/sessions/current", sam)).status_code == 401

    await testing.eventually(gone, within=1)
    assert await roles(identity, sam) == []
    assert (await identity.ask("GET", "/organisations", sam)).json()["items"] == []
    kim = await identity.member(owner, "viewer")
    assert await roles(identity, kim) == [], "who joins now is nothing there either"
    shown = await identity.ask("GET", "/organisations/current", owner)
    assert (shown.status_code, shown.json()["suspended"]) == (200, True)
    assert (await identity.ask("POST", "/organisations/current:resume", owner)).status_code == 204
    assert await roles(identity, sam) == ["sales"]
    assert await roles(identity, lee) == [], "who was suspended by themselves stays so"
