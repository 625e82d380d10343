"""Changing a password and setting a forgotten one anew."""

from datetime import timedelta
from uuid import uuid4

import pytest

from lotpro_kit import testing
from services.identity.tests.conftest import PASSWORD, Identity, Person

NEXT = "nine-loud-lots-at-dusk"


async def sign_in(identity: Identity, person: Person, password: str) -> int:
    return (await identity.post("/sessions", {"email": person.email, "password": password})).status_code


async def test_a_changed_password_ends_the_other_sessions_and_its_owner_is_told(identity: Identity) -> None:
    owner = await identity.owner()
    body = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_codes[0]}
    elsewhere = (await identity.post("/sessions", body)).json()
    change = {"current_password": PASSWORD, "new_password": NEXT}
    assert (await identity.post("/passwords:change", change, token=owner.access_token)).status_code == 204
    assert (await sign_in(identity, owner, PASSWORD), await sign_in(identity, owner, NEXT)) == (401, 200)
    refused = await identity.post("/sessions:refresh", {"refresh_token": elsewhere["refresh_token"]})
    assert refused.status_code == 401
    assert (await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})).status_code == 200
    assert "password_changed" in [told.topic for told in await identity.alerts(owner.email)]


@pytest.mark.parametrize(
    ("current", "chosen", "status"), [("wrong-but-long-enough", NEXT, 401), (PASSWORD, "short", 422)]
)
async def test_a_wrong_present_or_a_weak_new_password_changes_nothing(
    identity: Identity, current: str, chosen: str, status: int
) -> None:
    owner = await identity.owner()
    change = {"current_password": current, "new_password": chosen}
    assert (await identity.post("/passwords:change", change, token=owner.access_token)).status_code == status
    assert await sign_in(identity, owner, PASSWORD) == 200


async def test_a_forgotten_password_is_set_by_a_link_once_and_the_second_factor_stays(identity: Identity) -> None:
    owner = await identity.owner()
    assert (await identity.post("/passwords:request-reset", {"email": owner.email})).status_code == 202
    mailed = await identity.mailed(owner.email)
    assert mailed.purpose == "reset_password"
    reset = {"token": mailed.code, "password": NEXT}
    weak = await identity.post("/passwords:reset", reset | {"password": "password1234"})
    assert (weak.status_code, weak.json()["code"]) == (422, "identity.password_too_weak")
    assert (await identity.post("/passwords:reset", reset)).status_code == 204
    again = await identity.post("/passwords:reset", reset)
    assert (again.status_code, again.json()["code"]) == (422, "identity.code_invalid")
    answer = await identity.post("/sessions", {"email": owner.email, "password": NEXT})
    assert answer.json()["status"] == "factor_required"
    assert (await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})).status_code == 401


async def test_a_link_ends_after_half_an_hour_or_with_a_newer_one(identity: Identity) -> None:
    owner = await identity.owner()
    await identity.post("/passwords:request-reset", {"email": owner.email})
    first = (await identity.mailed(owner.email)).code
    await identity.post("/passwords:request-reset", {"email": owner.email})
    second = (await identity.mailed(owner.email)).code
    assert (await identity.post("/passwords:reset", {"token": first, "password": NEXT})).status_code == 422
    identity.clock.advance(timedelta(minutes=30))
    assert (await identity.post("/passwords:reset", {"token": second, "password": NEXT})).status_code == 422


async def test_an_unknown_address_gets_the_same_answer_and_no_mail(identity: Identity) -> None:
    owner, nobody = await identity.owner(), f"{uuid4().hex}@prairie-motors.com"
    before = len(await testing.events(identity.runtime.database))
    unknown = await identity.post("/passwords:request-reset", {"email": nobody})
    assert len(await testing.events(identity.runtime.database)) == before
    known = await identity.post("/passwords:request-reset", {"email": owner.email})
    assert (unknown.status_code, unknown.json()) == (known.status_code, known.json())


OF_PLACES = "Prairie-Motor-Group!Lincoln9"


async def test_a_password_is_made_of_no_place_one_works_at(identity: Identity) -> None:
    owner = await identity.owner()
    change = {"current_password": PASSWORD, "new_password": OF_PLACES}
    answers = [await identity.post("/passwords:change", change, token=owner.access_token)]
    await identity.post("/passwords:request-reset", {"email": owner.email})
    link = (await identity.mailed(owner.email)).code
    answers.append(await identity.post("/passwords:reset", {"token": link, "password": OF_PLACES}))
    store = (await identity.get("/organisations/current", token=owner.access_token)).json()["stores"][0]["id"]
    invited = f"sam.{owner.email}"
    await identity.ask("POST", "/invitations", owner, {"email": invited, "role": "sales", "store_id": store})
    accept = {"token": (await identity.mailed(invited)).code, "name": "Sam Ortega", "password": OF_PLACES}
    answers.append(await identity.post("/invitations:accept", accept))
    signing_up = identity.sign_up_body(f"new.{owner.email}") | {"password": OF_PLACES}
    answers.append(await identity.post("/accounts", signing_up))
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (422, "identity.password_too_weak")


async def test_a_session_gives_no_more_guesses_of_the_password_than_the_door(identity: Identity) -> None:
    owner = await identity.owner()
    for _ in range(5):
        await identity.post("/sessions", {"email": owner.email, "password": "a-wrong-password"})
    body = {"current_password": "a-wrong-password", "new_password": "nine-loud-lots-at-dusk"}
    answer = await identity.post("/passwords:change", body, token=owner.access_token)
    assert (answer.status_code, answer.json()["code"]) == (429, "identity.too_many_attempts")
