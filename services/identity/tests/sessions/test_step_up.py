"""Sensitive acts want a second factor given lately."""

from datetime import timedelta

import pyotp

from services.identity.tests.conftest import PASSWORD, PREFIX, Identity, Person, claims_of


async def test_stepping_up_renews_the_moment_of_proof(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(minutes=4))
    answer = await identity.post("/sessions:step-up", {"totp": identity.code(owner)}, token=owner.access_token)
    assert answer.status_code == 200, answer.text
    before, after = claims_of(owner.access_token), claims_of(answer.json()["access_token"])
    assert after["auth_time"] - before["auth_time"] == 240
    assert after["sid"] == before["sid"]
    again = await identity.post("/sessions:step-up", {"totp": identity.code(owner)}, token=owner.access_token)
    assert (again.status_code, again.json()["code"]) == (401, "identity.credentials_invalid")


async def test_a_step_up_lives_on_through_a_refresh(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(minutes=4))
    stepped = await identity.post("/sessions:step-up", {"totp": identity.code(owner)}, token=owner.access_token)
    refreshed = (await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})).json()
    proven = claims_of(stepped.json()["access_token"])["auth_time"]
    assert claims_of(refreshed["access_token"])["auth_time"] == proven


async def signed_in_with(identity: Identity, person: Person, **factor: str) -> str:
    answer = await identity.post("/sessions", {"email": person.email, "password": PASSWORD, **factor})
    token: str = answer.json()["access_token"]
    return token


async def test_a_code_by_mail_or_a_recovery_code_signs_in_and_opens_nothing_sensitive(identity: Identity) -> None:
    owner = await identity.owner()
    await identity.post("/factors/codes", {"channel": "email"}, token=owner.access_token)
    code = (await identity.mailed(owner.email)).code
    await identity.post("/factors/codes:confirm", {"channel": "email", "code": code}, token=owner.access_token)
    first = (await identity.post("/sessions", {"email": owner.email, "password": PASSWORD})).json()
    await identity.post("/sessions:send-code", {"ticket": first["ticket"], "channel": "email"})
    code = (await identity.mailed(owner.email)).code
    mailed = (await identity.post("/sessions", {"ticket": first["ticket"], "email_code": code})).json()
    assert claims_of(mailed["access_token"])["amr"] == ["pwd", "email"]
    recovered = await signed_in_with(identity, owner, recovery_code=owner.recovery_codes[0])
    changes = {"current_password": PASSWORD, "new_password": "nine-loud-lots-at-dusk"}
    for token in (mailed["access_token"], recovered):
        for path, body in (
            ("/passwords:change", changes), ("/accounts/me:change-email", {"email": "dana@elsewhere.example"}),
            ("/factors/recovery-codes", {}), ("/accounts/me:close", {}),
        ):
            answer = await identity.post(path, body, token=token)
            assert (answer.status_code, answer.json()["code"]) == (403, "auth.step_up_required"), path
    answer = await identity.post("/factors/totp", {}, token=mailed["access_token"])
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.step_up_required")


async def test_who_lost_the_app_adds_another_with_a_recovery_code_and_steps_up_with_it(identity: Identity) -> None:
    owner = await identity.owner()
    recovered = await signed_in_with(identity, owner, recovery_code=owner.recovery_codes[0])
    secret = (await identity.post("/factors/totp", {"name": "New phone"}, token=recovered)).json()["secret"]
    code = pyotp.TOTP(secret).at(identity.clock())
    added = await identity.post("/factors/totp:confirm", {"code": code}, token=recovered)
    assert added.json()["status"] == "added", added.text
    identity.clock.advance(timedelta(seconds=30))
    stepped = await identity.post(
        "/sessions:step-up", {"totp": pyotp.TOTP(secret).at(identity.clock())}, token=recovered
    )
    token = stepped.json()["access_token"]
    lost = next(
        item for item in (await identity.get("/factors", token=token)).json()["items"] if item["name"] != "New phone"
    )
    async with identity.client(token) as client:
        assert (await client.delete(f"{PREFIX}/factors/{lost['id']}")).status_code == 204


async def test_whose_only_factor_is_weak_adds_a_strong_one_and_then_needs_it(identity: Identity) -> None:
    person, token = await identity.confirmed()
    await identity.post("/factors/codes", {"channel": "email"}, token=token)
    code = (await identity.mailed(person.email)).code
    enrolled = await identity.post("/factors/codes:confirm", {"channel": "email", "code": code}, token=token)
    person.access_token = enrolled.json()["access_token"]
    body = {"current_password": PASSWORD, "new_password": "nine-loud-lots-at-dusk"}
    refused = await identity.post("/passwords:change", body, token=person.access_token)
    assert refused.json()["code"] == "auth.step_up_required"
    person.secret = (await identity.post("/factors/totp", {}, token=person.access_token)).json()["secret"]
    added = await identity.post("/factors/totp:confirm", {"code": identity.code(person)}, token=person.access_token)
    assert added.json()["status"] == "added"
    another = await identity.post("/factors/totp", {}, token=person.access_token)
    assert another.json()["code"] == "auth.step_up_required"


async def test_a_refresh_token_from_before_a_step_up_is_a_stolen_one(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(minutes=4))
    stepped = await identity.post("/sessions:step-up", {"totp": identity.code(owner)}, token=owner.access_token)
    fresh = stepped.json()["refresh_token"]
    identity.clock.advance(timedelta(seconds=31))
    stolen = await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})
    assert (stolen.status_code, stolen.json()["code"]) == (401, "identity.session_over")
    ended = await identity.post("/sessions:refresh", {"refresh_token": fresh})
    assert ended.json()["code"] == "identity.session_over", "whoever tried, the session is over for both"
    assert [told.topic for told in await identity.alerts(owner.email)] == ["session_stolen"]


async def test_the_refresh_token_of_a_step_up_goes_on(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(minutes=4))
    stepped = await identity.post("/sessions:step-up", {"totp": identity.code(owner)}, token=owner.access_token)
    identity.clock.advance(timedelta(hours=1))
    body = {"refresh_token": stepped.json()["refresh_token"]}
    refreshed = await identity.post("/sessions:refresh", body)
    assert claims_of(refreshed.json()["access_token"])["aal"] == "aal2"
