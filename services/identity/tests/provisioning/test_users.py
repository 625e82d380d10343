"""What a directory can do to an organisation's people, and what it cannot."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from lotpro_identity.provisioning import service
from lotpro_kit import testing
from lotpro_kit.caller import Caller
from lotpro_kit.jobs import Run
from services.identity.tests.conftest import PASSWORD, Identity, Person, claims_of
from services.identity.tests.provisioning.conftest import SCIM, Directory, open_directory


async def test_a_user_is_created_read_and_deactivated(directory: Directory) -> None:
    user = await directory.created(externalId="00u1", name={"givenName": "Sam", "familyName": "Ortega"})
    email = user["userName"]
    assert (user["displayName"], user["active"], user["externalId"]) == ("Sam Ortega", True, "00u1")
    assert await directory.roles(email) == ["sales"]
    read = await directory.send("GET", f"/Users/{user['id']}")
    assert read.headers["content-type"] == "application/scim+json"
    assert read.json() == user
    answer = await directory.patch(user, {"op": "Replace", "path": "active", "value": "False"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["active"] is False
    assert await directory.roles(email) == []
    again = await directory.patch(user, {"op": "replace", "value": {"active": True}})
    assert again.json()["active"] is True
    assert await directory.roles(email) == ["sales"]
    assert (await directory.send("DELETE", f"/Users/{user['id']}")).status_code == 204
    assert (await directory.send("GET", f"/Users/{user['id']}")).status_code == 404
    assert await directory.roles(email) == []


async def test_a_put_describes_anew_and_names_the_account_it_made(directory: Directory) -> None:
    user = await directory.created(externalId="1", displayName="Sam Ortega")
    body = {"username": "Sam@" + user["userName"].rpartition("@")[2], "displayName": "Sam O.", "active": "True"}
    answer = await directory.send("PUT", f"/Users/{user['id']}", body)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert (changed["displayName"], changed["userName"]) == ("Sam O.", body["username"])
    assert "externalId" not in changed
    assert changed["emails"] == user["emails"], "the account's address is the person's own"
    [row] = await directory.sql("SELECT name FROM accounts WHERE email = :email", email=user["userName"])
    assert row.name == "Sam O."


PATCHES = [
    ([{"op": "Add", "path": "externalId", "value": "x-1"}], {"externalId": "x-1"}),
    ([{"op": "replace", "value": {"name.givenName": "Sammy", "title": "Boss"}}], {"name": {"givenName": "Sammy"}}),
    ([{"op": "replace", "path": "name", "value": {"familyName": "O"}}], {"name": {"familyName": "O"}}),
    ([{"op": "replace", "path": "NAME.formatted", "value": "S. O."}], {"displayName": "S. O."}),
    ([{"op": "remove", "path": "externalId"}], {"externalId": None}),
    ([{"op": "replace", "path": "active", "value": "false"}, {"op": "add", "path": "active", "value": True}],
     {"active": True}),
    ([{"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@x.com"}], {"active": True}),
    ([{"op": "add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
       "value": "Sales"}], {"active": True}),
]


async def test_a_patch_does_what_directories_send(directory: Directory) -> None:
    for operations, expected in PATCHES:
        user = await directory.created(externalId="00u1")
        answer = await directory.patch(user, *operations)
        assert answer.status_code == 200, answer.text
        assert {name: answer.json().get(name) for name in expected} == expected


BAD_OPERATIONS: list[tuple[dict[str, Any], str]] = [
    ({"op": "replace", "path": "nonsense", "value": 1}, "invalidPath"),
    ({"op": "replace", "path": "a" * 300, "value": 1}, "invalidPath"),
    ({"op": "replace", "path": 7, "value": 1}, "invalidPath"),
    ({"op": "remove"}, "invalidPath"),
    ({"op": "delete", "path": "active"}, "invalidSyntax"),
    ({"op": "replace", "value": "x"}, "invalidValue"),
    ({"op": "replace", "path": "active", "value": "maybe"}, "invalidValue"),
    ({"op": "replace", "path": "active", "value": 1}, "invalidValue"),
    ({"op": "remove", "path": "userName"}, "invalidValue"),
    ({"op": "replace", "path": "userName", "value": "a\u0000b"}, "invalidValue"),
    ({"op": "replace", "path": "userName", "value": "x" * 255}, "invalidValue"),
    ({"op": "replace", "path": "name", "value": "Sam"}, "invalidValue"),
]


async def test_a_patch_that_cannot_be_done_changes_nothing(directory: Directory) -> None:
    user = await directory.created()
    for operation, scim_type in BAD_OPERATIONS:
        answer = await directory.patch(user, {"op": "replace", "path": "active", "value": False}, operation)
        assert (answer.status_code, answer.json()["scimType"]) == (400, scim_type), answer.text
        assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert answer.headers["content-type"] == "application/scim+json"
        assert (await directory.send("GET", f"/Users/{user['id']}")).json() == user
    assert await directory.roles(user["userName"]) == ["sales"]


BAD_USERS: list[tuple[dict[str, Any], int, str]] = [
    ({"userName": None}, 400, "invalidValue"),
    ({"userName": ["x"]}, 400, "invalidValue"),
    ({"userName": "no address"}, 400, "invalidValue"),
    ({"userName": "sam@unproven.com"}, 400, "invalidValue"),
    ({"emails": "x"}, 400, "invalidValue"),
    ({"emails": [{"value": 7}]}, 400, "invalidValue"),
    ({"active": []}, 400, "invalidValue"),
    ({"name": 7}, 400, "invalidValue"),
]


async def test_a_user_that_cannot_be_made_is_refused_in_scims_words(directory: Directory) -> None:
    for fields, status, scim_type in BAD_USERS:
        answer = await directory.send("POST", "/Users", {"userName": directory.address()} | fields)
        assert (answer.status_code, answer.json()["scimType"]) == (status, scim_type), answer.text
        assert answer.json()["status"] == str(status)


async def test_what_is_no_message_is_refused(directory: Directory) -> None:
    user = await directory.created()
    contents = (
        b"", b"{", b"[]", b'"x"', b"[" * 50_000, b"\xff", b'{"Operations": {}}', b'{"userName": "\\ud800@x.com"}',
    )
    for method, content in itertools.product(("POST", "PUT", "PATCH"), contents):
        path = "/Users" if method == "POST" else f"/Users/{user['id']}"
        async with directory.identity.client(directory.token) as client:
            headers = {"content-type": "application/scim+json"}
            answer = await client.request(method, SCIM + path, content=content, headers=headers)
        assert answer.status_code == 400, (method, content[:40], answer.text)
        assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


async def test_names_and_people_are_there_once(directory: Directory) -> None:
    user = await directory.created()
    for body in ({"userName": user["userName"].upper()}, {"userName": "x", "emails": [{"value": user["userName"]}]}):
        answer = await directory.send("POST", "/Users", body)
        assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness"), answer.text
    other = await directory.created()
    answer = await directory.patch(other, {"op": "replace", "path": "userName", "value": user["userName"]})
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    address = directory.address()
    answers = await asyncio.gather(*(directory.send("POST", "/Users", {"userName": address}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def _arrive(identity: Identity, email: str) -> Person:
    """A person who was provisioned sets a password by the mailbox, and enrols an authenticator app."""
    person = Person(email, "another-quiet-lot-42")
    await identity.post("/passwords:request-reset", {"email": email})
    reset = {"token": (await identity.mailed(email)).code, "password": person.password}
    assert (await identity.post("/passwords:reset", reset)).status_code < 300
    answer = await identity.post("/sessions", {"email": email, "password": person.password})
    assert answer.json()["status"] == "confirmation_required"
    confirmed = await identity.confirm(email, (await identity.mailed(email)).code, person.password)
    return await identity.enrolled(person, confirmed.json()["access_token"])


async def test_tokens_of_a_deactivated_person_end_on_the_next_request(directory: Directory) -> None:
    lives = directory.identity
    email = directory.address()
    user = await directory.created(userName=email)
    person = await _arrive(lives, email)
    assert (await lives.get("/organisations/current", token=person.access_token)).status_code == 200
    await directory.patch(user, {"op": "replace", "path": "active", "value": False})

    async def refused() -> bool:
        return (await lives.get("/sessions/current", token=person.access_token)).status_code == 401

    await testing.eventually(refused, within=2)
    fresh = (await lives.post("/sessions:refresh", {"refresh_token": person.refresh_token})).json()
    assert claims_of(fresh["access_token"])["roles"] == {}
    assert "org" not in claims_of(fresh["access_token"])


async def test_owners_are_out_of_reach(directory: Directory) -> None:
    body = {"userName": directory.owner.email, "active": False}
    refused = await directory.send("POST", "/Users", body)
    assert refused.status_code == 403, refused.text
    user = await directory.created()
    await directory.sql(
        "INSERT INTO memberships (id, account_id, org_id, role) SELECT gen_random_uuid(), account_id, org_id,"
        " 'org_owner' FROM scim_users WHERE id = :id", id=UUID(user["id"]),
    )
    deactivate = {"op": "replace", "path": "active", "value": False}
    assert (await directory.patch(user, deactivate)).status_code == 403
    assert (await directory.send("PUT", f"/Users/{user['id']}", {"userName": "x"})).status_code == 403
    assert (await directory.send("DELETE", f"/Users/{user['id']}")).status_code == 403
    assert sorted(await directory.roles(user["userName"])) == ["org_owner", "sales"]


async def test_an_account_of_several_organisations_loses_this_membership_and_nothing_else(
    directory: Directory, identity: Identity
) -> None:
    other = await identity.owner(directory.address())
    user = await directory.created(userName=other.email, displayName="Renamed")
    before = await directory.sql("SELECT name, email, password_hash FROM accounts WHERE email = :e", e=other.email)
    await directory.patch(user, {"op": "replace", "path": "displayName", "value": "Renamed again"})
    await directory.patch(user, {"op": "replace", "path": "active", "value": False})
    after = await directory.sql("SELECT name, email, password_hash FROM accounts WHERE email = :e", e=other.email)
    assert before == after
    rows = await directory.sql(
        "SELECT m.role FROM memberships m JOIN accounts a ON a.id = m.account_id WHERE a.email = :e", e=other.email
    )
    assert [row.role for row in rows] == ["org_owner"]


async def test_whether_a_stranger_has_an_account_is_not_told(directory: Directory, identity: Identity) -> None:
    stranger = await identity.owner(f"{uuid4().hex[:12]}@unproven.com")
    answers = [
        await directory.send("POST", "/Users", {"userName": email})
        for email in (stranger.email, f"{uuid4().hex[:12]}@unproven.com")
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["detail"].startswith("identity.scim_domain_unverified")


async def test_a_strangers_sign_up_keeps_nobody_out_and_opens_nothing(directory: Directory) -> None:
    """Somebody signed up with the address before and waits: they know the password, and opened an organisation."""
    lives, email = directory.identity, directory.address()
    await lives.post("/accounts", lives.sign_up_body(email))
    code = (await lives.mailed(email)).code
    user = await directory.created(userName=email, name={"formatted": "Robin Vale"})
    assert await directory.roles(email) == ["sales"]
    assert (await lives.confirm(email, code)).status_code == 422
    refused = await lives.post("/sessions", {"email": email, "password": PASSWORD})
    assert refused.status_code == 401, refused.text
    person = await _arrive(lives, email)
    listed = (await lives.get("/organisations", token=person.access_token)).json()["items"]
    assert [row["id"] for row in listed] == [str(directory.org_id)]
    mine = (await lives.get("/accounts/me", token=person.access_token)).json()
    assert (mine["name"], mine["email"]) == (user["displayName"], email)


async def test_a_sign_up_that_comes_in_between_is_not_taken_over(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    email, void_sign_up = directory.address(), service.void_sign_up

    async def void_and_be_followed(*arguments: Any, **named: Any) -> None:
        await void_sign_up(*arguments, **named)
        await directory.identity.post("/accounts", directory.identity.sign_up_body(email))

    monkeypatch.setattr(service, "void_sign_up", void_and_be_followed)
    refused = await directory.send("POST", "/Users", {"userName": email})
    assert refused.status_code == 409, "whoever signed up with it knows the password"
    assert await directory.roles(email) == []


async def test_a_sign_up_in_a_domain_that_is_not_proven_stays(directory: Directory) -> None:
    lives, email = directory.identity, f"{uuid4().hex[:12]}@unproven.com"
    await lives.post("/accounts", lives.sign_up_body(email))
    code = (await lives.mailed(email)).code
    assert (await directory.send("POST", "/Users", {"userName": email})).status_code == 400
    assert (await lives.confirm(email, code)).status_code == 200


async def test_another_organisations_users_are_not_there(directory: Directory, identity: Identity) -> None:
    other = await open_directory(identity)
    user = await directory.created()
    path = f"/Users/{user['id']}"
    body = {"userName": other.address()}
    patch = {"Operations": [{"op": "replace", "path": "active", "value": False}]}
    for method, content in (("GET", None), ("PUT", body), ("PATCH", patch), ("DELETE", None)):
        answer = await other.send(method, path, content)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/scim+json"), method
    found = (await other.send("GET", "/Users", filter=f'userName eq "{user["userName"]}"')).json()
    assert found["totalResults"] == 0
    assert (await directory.send("GET", path)).json() == user
    assert (await directory.send("GET", "/Users/nonsense")).status_code == 404


async def test_the_scope_of_directories_writes_in_its_own_organisation_only(directory: Directory) -> None:
    """Row-level security alone, whatever the code asks for."""
    user = await directory.created()
    stranger = Caller(kind="service", org_id=uuid4(), stores=None, scope="provisioning")
    async with directory.identity.runtime.database.begin(stranger) as session:
        for statement in (
            "DELETE FROM memberships", "DELETE FROM scim_users", "UPDATE scim_users SET active = false",
            "UPDATE scim_tokens SET revoked_at = now()", "DELETE FROM federation_domains",
        ):
            assert getattr(await session.execute(text(statement)), "rowcount", None) == 0
        for table in ("scim_users", "scim_tokens", "federations", "federation_domains", "sso_states", "factors"):
            assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0
    assert await directory.roles(user["userName"]) == ["sales"]


async def test_a_deleted_account_leaves_nothing_of_the_directory(directory: Directory) -> None:
    user = await directory.created(externalId="secret-external-id")
    [row] = await directory.sql("SELECT account_id FROM scim_users WHERE id = :id", id=UUID(user["id"]))
    async with directory.identity.client(directory.owner.access_token) as client:
        gone = await client.delete(f"/api/identity/v1/members/{row.account_id}/account")
    assert gone.status_code == 204, gone.text
    job = next(job for job in directory.identity.parts.jobs if job.name == "delete-closed")
    await job.work(Run(as_of=directory.identity.clock() + timedelta(hours=1)))
    assert await directory.sql("SELECT 1 FROM scim_users WHERE id = :id", id=UUID(user["id"])) == []
    assert (await directory.send("GET", f"/Users/{user['id']}")).status_code == 404


async def test_each_change_is_in_the_security_log(directory: Directory) -> None:
    user = await directory.created()
    await directory.patch(user, {"op": "replace", "path": "active", "value": False})
    [row] = await directory.sql("SELECT account_id FROM scim_users WHERE id = :id", id=UUID(user["id"]))
    found = await testing.events(directory.identity.runtime.database, containing=str(row.account_id))
    actions = [body["action"] for _, body in found if "action" in body]
    assert actions == [
        "identity:member:provision", "identity:member:join", "identity:member:update", "identity:member:deprovision",
    ]
    assert user["userName"] not in str(found)
