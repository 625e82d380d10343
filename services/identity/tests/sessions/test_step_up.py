"""Sensitive acts want a second factor given lately."""

from datetime import timedelta

from services.identity.tests.conftest import Identity, claims_of


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
