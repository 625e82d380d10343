"""Several organisations of one person, and what an organisation says about itself."""

from datetime import timedelta

from services.identity.tests.conftest import Identity, Person, claims_of, id_of, org_of


async def joined(identity: Identity, owner: Person, person: Person, role: str = "sales") -> None:
    """Somebody who has an account already accepts an invitation."""
    here = (await identity.ask("GET", "/organisations/current", owner)).json()["stores"][0]["id"]
    invite = {"email": person.email, "role": role, "store_id": here}
    assert (await identity.ask("POST", "/invitations", owner, invite)).status_code == 201
    token = (await identity.mailed(person.email)).code
    body = {"token": token, "name": "Dana Whitfield", "password": person.password}
    assert (await identity.post("/invitations:accept", body)).status_code == 200


async def test_one_person_works_in_two_organisations_and_switches(identity: Identity) -> None:
    first, second = await identity.owner(), await identity.owner()
    await joined(identity, second, first)
    listed = (await identity.ask("GET", "/organisations", first)).json()["items"]
    assert [item["current"] for item in listed] == [True, False]
    there = str(org_of(second.access_token))
    answer = await identity.ask("POST", "/sessions:switch", first, {"organisation_id": there})
    claims = claims_of(answer.json()["access_token"])
    assert claims["org"] == there
    assert list(claims["roles"].values()) == [["sales"]]
    before = claims_of(first.access_token)
    assert (claims["sid"], claims["aal"], claims["auth_time"]) == (before["sid"], before["aal"], before["auth_time"])
    fresh = await identity.post("/sessions:refresh", {"refresh_token": first.refresh_token})
    assert claims_of(fresh.json()["access_token"])["org"] == there


async def test_nobody_switches_to_where_they_are_not_a_member(identity: Identity) -> None:
    first, second = await identity.owner(), await identity.owner()
    body = {"organisation_id": str(org_of(second.access_token))}
    assert (await identity.ask("POST", "/sessions:switch", first, body)).status_code == 404
    await joined(identity, second, first)
    await identity.ask("POST", f"/members/{id_of(first)}:suspend", second)
    fresh = await identity.post("/sessions:refresh", {"refresh_token": first.refresh_token})
    first.access_token = fresh.json()["access_token"]
    assert (await identity.ask("POST", "/sessions:switch", first, body)).status_code == 404


async def test_nobody_is_moved_to_another_organisation_unasked(identity: Identity) -> None:
    first, second = await identity.owner(), await identity.owner()
    await joined(identity, second, first)
    there = str(org_of(second.access_token))
    await identity.ask("POST", "/sessions:switch", first, {"organisation_id": there})
    await identity.ask("DELETE", f"/members/{id_of(first)}", second)
    fresh = await identity.post("/sessions:refresh", {"refresh_token": first.refresh_token})
    claims = claims_of(fresh.json()["access_token"])
    assert (claims.get("org"), claims["roles"]) == (None, {})


async def test_an_owner_renames_the_organisation_once_for_each_version(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "store_admin")
    answer = await identity.ask("PATCH", "/organisations/current", owner, {"name": "Plains Motor Group"}, version=1)
    assert (answer.json()["name"], answer.headers["ETag"]) == ("Plains Motor Group", '"v2"')
    stale = await identity.ask("PATCH", "/organisations/current", owner, {"name": "Other"}, version=1)
    assert stale.status_code == 412
    assert (await identity.ask("PATCH", "/organisations/current", owner, {"name": "Other"})).status_code == 428
    refused = await identity.ask("PATCH", "/organisations/current", sam, {"name": "Other"}, version=2)
    assert refused.status_code == 403
    assert (await identity.ask("GET", "/organisations/current", sam)).json()["name"] == "Plains Motor Group"


async def with_email_codes(identity: Identity, person: Person) -> int:
    """Codes by e-mail as another factor."""
    begun = await identity.ask("POST", "/factors/codes", person, {"channel": "email"})
    if begun.status_code != 202:
        return begun.status_code
    code = (await identity.mailed(person.email)).code
    done = await identity.ask("POST", "/factors/codes:confirm", person, {"channel": "email", "code": code})
    return done.status_code


async def test_a_factor_that_the_organisation_forbids_opens_no_session(identity: Identity) -> None:
    owner = await identity.owner()
    assert await with_email_codes(identity, owner) == 200
    answer = await identity.ask("PATCH", "/organisations/current", owner, {"allow_email_factor": False}, version=1)
    assert answer.json()["allow_email_factor"] is False
    identity.clock.advance(timedelta(seconds=30))
    asked = await identity.post("/sessions", {"email": owner.email, "password": owner.password})
    assert asked.json()["factors"] == ["totp", "recovery_code"]
    sent = await identity.post("/sessions:send-code", {"ticket": asked.json()["ticket"], "channel": "email"})
    assert sent.status_code == 202
    code = (await identity.mailed(owner.email)).code
    refused = await identity.post("/sessions", {"ticket": asked.json()["ticket"], "email_code": code})
    assert (refused.status_code, refused.json()["code"]) == (401, "identity.credentials_invalid")
    sam = await identity.member(owner, "sales")
    assert await with_email_codes(identity, sam) == 403


async def test_whose_only_factor_was_forbidden_gives_it_and_then_enrols_a_better_one(identity: Identity) -> None:
    owner = await identity.owner()
    person, token = await identity.invited(owner, "sales")
    await identity.post("/factors/codes", {"channel": "email"}, token=token)
    code = (await identity.mailed(person.email)).code
    first = await identity.post("/factors/codes:confirm", {"channel": "email", "code": code}, token=token)
    person.access_token = first.json()["access_token"]
    changed = await identity.ask("PATCH", "/organisations/current", owner, {"allow_email_factor": False}, version=1)
    assert changed.status_code == 200, changed.text
    identity.clock.advance(timedelta(minutes=1))
    asked = await identity.post("/sessions", {"email": person.email, "password": person.password})
    assert asked.json()["status"] == "factor_required", "the password alone must not enrol anything"
    ticket = asked.json()["ticket"]
    await identity.post("/sessions:send-code", {"ticket": ticket, "channel": "email"})
    code = (await identity.mailed(person.email)).code
    enrolling = await identity.post("/sessions", {"ticket": ticket, "email_code": code})
    assert enrolling.json()["status"] == "enrolment_required"
    assert (await identity.get("/members", token=enrolling.json()["access_token"])).status_code == 403
    better = await identity.enrolled(person, enrolling.json()["access_token"])
    assert claims_of(better.access_token)["amr"] == ["pwd", "otp"]


async def test_who_has_an_account_opens_another_organisation_and_owns_it(identity: Identity) -> None:
    owner = await identity.owner()
    sam = await identity.member(owner, "sales")
    body = {
        "organisation": {"name": "Ortega Cars"}, "store": {"name": "Omaha", "time_zone": "America/Chicago"},
    }
    made = await identity.ask("POST", "/organisations", sam, body)
    assert (made.status_code, made.json()["name"]) == (201, "Ortega Cars")
    switched = await identity.post(
        "/sessions:switch", {"organisation_id": made.json()["id"]}, token=sam.access_token
    )
    claims = claims_of(switched.json()["access_token"])
    assert (claims["org"], claims["roles"]) == (made.json()["id"], {"*": ["org_owner"]})
    listed = (await identity.ask("GET", "/organisations", sam)).json()["items"]
    assert [row["name"] for row in listed] == ["Prairie Motor Group", "Ortega Cars"]
    wrong = body | {"store": {"name": "Omaha", "time_zone": "America/Nowhere"}}
    assert (await identity.ask("POST", "/organisations", sam, wrong)).json()["code"] == "identity.time_zone_unknown"
