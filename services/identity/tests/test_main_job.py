"""From sign-up to signed in, and what cannot be done on the way."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from lotpro_kit import testing
from services.identity.tests.conftest import PASSWORD, Identity, Person, org_of


async def test_a_person_signs_up_confirms_enrols_and_is_signed_in_as_owner(identity: Identity) -> None:
    owner = await identity.owner()
    assert len(set(owner.recovery_codes)) == 10
    me = await identity.get("/accounts/me", token=owner.access_token)
    assert me.json()["email"] == owner.email
    assert me.json()["phone"] == identity.phone
    organisation = await identity.get("/organisations/current", token=owner.access_token)
    assert [store["name"] for store in organisation.json()["stores"]] == ["Lincoln"]
    keys = (await identity.get("/jwks.json")).json()["keys"]
    assert [key["alg"] for key in keys] == ["ES256"]
    assert "d" not in keys[0]
    events = await testing.events(identity.runtime.database, containing=str(org_of(owner.access_token)))
    actions = {body.get("action") for _, body in events if "action" in body}
    assert {
        "identity:account:sign_up", "identity:store:open", "identity:email:confirm", "identity:factor:enrol",
        "identity:session:create",
    } <= actions
    assert owner.email not in str(events)


async def test_sign_in_in_one_step_and_in_two(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(seconds=30))
    first = await identity.post("/sessions", {"email": owner.email.upper(), "password": PASSWORD})
    assert first.json()["status"] == "factor_required"
    assert first.json()["access_token"] is None
    code = identity.code(owner)
    second = await identity.post("/sessions", {"ticket": first.json()["ticket"], "totp": code})
    assert second.json()["status"] == "signed_in", second.text
    again = await identity.post("/sessions", {"email": owner.email, "password": PASSWORD, "totp": code})
    assert (again.status_code, again.json()["code"]) == (401, "identity.credentials_invalid")
    identity.clock.advance(timedelta(seconds=30))
    body = {"email": owner.email, "password": PASSWORD, "totp": identity.code(owner)}
    assert (await identity.post("/sessions", body)).json()["status"] == "signed_in"


async def test_a_totp_code_opens_one_session_in_any_number_of_parallel_tries(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(seconds=30))
    body = {"email": owner.email, "password": PASSWORD, "totp": identity.code(owner)}
    answers = await asyncio.gather(*(identity.post("/sessions", body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers).count(200) == 1


async def test_a_recovery_code_works_once(identity: Identity) -> None:
    owner = await identity.owner()
    body = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_codes[0]}
    assert (await identity.post("/sessions", body)).json()["status"] == "signed_in"
    assert (await identity.post("/sessions", body)).status_code == 401


async def test_without_a_second_factor_nothing_but_enrolment_works(identity: Identity) -> None:
    person, token = await identity.confirmed()
    for path in ("/accounts/me", "/organisations/current", "/sessions", "/factors"):
        refused = await identity.get(path, token=token)
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.factor_required")
    assert (await identity.get("/members", token=token)).status_code == 403
    signed_in = await identity.post("/sessions", {"email": person.email, "password": PASSWORD})
    assert signed_in.json()["status"] == "confirmation_required"
    assert signed_in.json()["access_token"] is None


async def test_an_enrolment_token_cannot_replace_a_factor(identity: Identity) -> None:
    person, token = await identity.confirmed()
    await identity.enrolled(person, token)
    refused = await identity.post("/factors/totp", {}, token=token)
    assert (refused.status_code, refused.json()["code"]) == (409, "identity.factor_exists")


async def test_known_and_unknown_addresses_are_answered_alike(identity: Identity) -> None:
    owner = await identity.owner()
    before = await identity.post("/accounts", identity.sign_up_body(owner.email))
    fresh = await identity.post("/accounts", identity.sign_up_body(f"{uuid4().hex}@prairie-motors.com"))
    assert (before.status_code, before.content) == (fresh.status_code, fresh.content)
    wrong = await identity.post("/sessions", {"email": owner.email, "password": "not-the-password-at-all"})
    unknown = await identity.post(
        "/sessions", {"email": f"{uuid4().hex}@prairie-motors.com", "password": "not-the-password-at-all"}
    )
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["code"] == unknown.json()["code"]
    for path in ("/codes:resend",):
        known = await identity.post(path, {"email": owner.email})
        stranger = await identity.post(path, {"email": f"{uuid4().hex}@prairie-motors.com"})
        assert (known.status_code, known.content) == (stranger.status_code, stranger.content)


async def test_parallel_guesses_never_exceed_the_limit(identity: Identity) -> None:
    owner = await identity.owner()
    guesses = [
        identity.post("/sessions", {"email": owner.email, "password": f"a-wrong-password-{number}"})
        for number in range(14)
    ]
    answers = await asyncio.gather(*guesses)
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 9, "the sixth has to wait"
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert limited.json()["code"] == "identity.too_many_attempts"
    assert int(limited.headers["retry-after"]) == 1


async def test_each_further_guess_waits_twice_as_long_and_the_tenth_is_the_last(identity: Identity) -> None:
    owner = await identity.owner()

    async def guess() -> int:
        body = {"email": owner.email, "password": "a-wrong-password"}
        return (await identity.post("/sessions", body)).status_code

    assert [await guess() for _ in range(5)] == [401] * 5
    for wait in (1, 2, 4, 8, 16):
        identity.clock.advance(timedelta(seconds=wait) - timedelta(milliseconds=1))
        assert await guess() == 429
        identity.clock.advance(timedelta(milliseconds=1))
        assert await guess() == 401
    identity.clock.advance(timedelta(minutes=5))
    assert await guess() == 429
    identity.clock.advance(timedelta(minutes=10))
    assert await guess() == 401


async def test_a_confirmation_code_ends_after_five_wrong_tries_ten_minutes_or_a_newer_one(identity: Identity) -> None:
    async def wrong(email: str, right: str) -> int:
        other = f"{(int(right) + 1) % 1_000_000:06d}"
        return (await identity.confirm(email, other)).status_code

    for how in ("tries", "time", "newer"):
        email = f"{uuid4().hex[:12]}@prairie-motors.com"
        await identity.post("/accounts", identity.sign_up_body(email))
        code = (await identity.mailed(email)).code
        identity.clock.advance(timedelta(seconds=1))
        if how == "tries":
            assert [await wrong(email, code) for _ in range(5)] == [422] * 5
            identity.clock.advance(timedelta(seconds=1))
        elif how == "time":
            identity.clock.advance(timedelta(minutes=10))
        else:
            await identity.post("/codes:resend", {"email": email})
            assert (await identity.mailed(email)).code != code
        refused = await identity.confirm(email, code)
        assert (refused.status_code, refused.json()["code"]) == (422, "identity.code_invalid"), how


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"password": "short"}, "identity.password_too_weak"),
        ({"password": "password1234"}, "identity.password_too_weak"),
        ({"password": "x" * 1000}, "identity.password_too_weak"),
        ({"password": "Dana Whitfield"}, "identity.password_too_weak"),
        ({"email": "not an address"}, "identity.email_invalid"),
        ({"phone": "12"}, "identity.phone_invalid"),
        ({"store": {"name": "x", "time_zone": "Mars/Base"}}, "identity.time_zone_unknown"),
        ({"role": "org_owner"}, "request.invalid"),
    ],
)
async def test_a_bad_sign_up_is_a_problem_with_a_stable_code(
    identity: Identity, change: dict[str, object], code: str
) -> None:
    body = identity.sign_up_body(f"{uuid4().hex}@prairie-motors.com") | change
    answer = await identity.post("/accounts", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_refresh_rotates_tolerates_two_tabs_and_ends_the_session_of_a_thief(identity: Identity) -> None:
    owner = await identity.owner()
    both = await asyncio.gather(
        *(identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token}) for _ in range(5))
    )
    assert {answer.status_code for answer in both} == {200}
    fresh = both[0].json()["refresh_token"]
    assert fresh != owner.refresh_token
    identity.clock.advance(timedelta(seconds=31))
    stolen = await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})
    assert (stolen.status_code, stolen.json()["code"]) == (401, "identity.session_over")
    assert (await identity.post("/sessions:refresh", {"refresh_token": fresh})).status_code == 401


async def test_sessions_are_listed_and_ended(identity: Identity) -> None:
    owner = await identity.owner()
    body = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_codes[1]}
    other = (await identity.post("/sessions", body)).json()
    listed = (await identity.get("/sessions", token=owner.access_token)).json()["items"]
    assert len(listed) == 2
    elsewhere = next(item["id"] for item in listed if not item["current"])
    async with identity.client(owner.access_token) as client:
        assert (await client.delete(f"/api/identity/v1/sessions/{elsewhere}")).status_code == 204
        assert (await client.delete(f"/api/identity/v1/sessions/{elsewhere}")).status_code == 404
        assert (await client.delete("/api/identity/v1/sessions/nonsense")).status_code == 404
    assert (await identity.post("/sessions:refresh", {"refresh_token": other["refresh_token"]})).status_code == 401
    assert (await identity.post("/sessions:sign-out", {}, token=owner.access_token)).status_code == 204
    assert (await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})).status_code == 401


async def test_web_clients_get_cookies_no_script_can_read(identity: Identity) -> None:
    owner = await identity.owner()
    body = {
        "email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_codes[2], "transport": "cookie",
    }
    answer = await identity.post("/sessions", body)
    assert answer.json()["access_token"] is None
    cookies = answer.headers.get_list("set-cookie")
    names = [cookie.partition("=")[0] for cookie in cookies]
    assert names == ["__Host-lotpro-access", "__Host-lotpro-refresh", "__Host-lotpro-csrf"]
    for cookie in cookies:
        assert all(part in cookie for part in ("Secure", "SameSite=lax", "Path=/"))
        # The one our pages have to read opens nothing by itself.
        assert ("HttpOnly" in cookie) == ("-csrf=" not in cookie)


async def test_a_profile_changes_only_from_the_version_that_was_read(identity: Identity) -> None:
    owner = await identity.owner()
    async with identity.client(owner.access_token) as client:
        path = "/api/identity/v1/accounts/me"
        tag = (await client.get(path)).headers["etag"]
        assert (await client.patch(path, json={"name": "D"})).status_code == 428
        changed = await client.patch(path, json={"name": "Dana W.", "phone": None}, headers={"if-match": tag})
        assert (changed.status_code, changed.json()["phone"]) == (200, None)
        assert (await client.patch(path, json={"name": "E"}, headers={"if-match": tag})).status_code == 412


async def test_a_second_person_is_invited_and_joins_with_the_role_in_one_store(identity: Identity) -> None:
    owner = await identity.owner()
    store = (await identity.get("/organisations/current", token=owner.access_token)).json()["stores"][0]["id"]
    email = f"{uuid4().hex[:12]}@prairie-motors.com"
    invite = {"email": email, "role": "sales", "store_id": store}
    assert (await identity.post("/invitations", invite, token=owner.access_token)).status_code == 201
    mailed = await identity.mailed(email)
    assert mailed.organisation_name == "Prairie Motor Group"
    accept = {"token": mailed.code, "name": "Sam Ortega", "password": "another-quiet-lot-42"}
    joined = await identity.post("/invitations:accept", accept)
    assert joined.status_code == 200, joined.text
    seller = await identity.enrolled(Person(email, "another-quiet-lot-42"), joined.json()["access_token"])
    reused = await identity.post("/invitations:accept", accept)
    assert (reused.status_code, reused.json()["code"]) == (422, "identity.code_invalid")
    assert org_of(seller.access_token) == org_of(owner.access_token)
    refused = await identity.post("/invitations", invite, token=seller.access_token)
    assert refused.status_code == 403
    members = (await identity.get("/members", token=owner.access_token)).json()["items"]
    assert {(m["email"], m["roles"][0]["role"]) for m in members} == {(owner.email, "org_owner"), (email, "sales")}


async def test_an_owner_cannot_invite_into_another_organisations_store(identity: Identity) -> None:
    owner, other = await identity.owner(), await identity.owner()
    store = (await identity.get("/organisations/current", token=other.access_token)).json()["stores"][0]["id"]
    answer = await identity.post(
        "/invitations", {"email": "a@prairie-motors.com", "role": "sales", "store_id": store}, token=owner.access_token
    )
    assert answer.status_code == 404
    members = (await identity.get("/members", token=owner.access_token)).json()["items"]
    assert other.email not in {member["email"] for member in members}
