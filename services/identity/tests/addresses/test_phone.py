"""Changing the phone number of an account: a factor first, and both sides told."""

from datetime import timedelta

from services.identity.tests.conftest import Identity, Person, new_phone


async def change(identity: Identity, person: Person, phone: str | None) -> tuple[int, str]:
    """The status of an attempt, and the problem's code."""
    account = await identity.ask("GET", "/accounts/me", person)
    version = int(account.headers["etag"].strip('"v'))
    answer = await identity.ask("PATCH", "/accounts/me", person, {"phone": phone}, version=version)
    return answer.status_code, answer.json().get("code", "")


async def test_both_numbers_and_the_address_are_told(identity: Identity) -> None:
    owner, other = await identity.owner(), new_phone()
    assert await change(identity, owner, other) == (200, "")
    for address in (identity.phone, other, owner.email):
        told = (await identity.alerts(address))[0]
        assert (told.topic, told.channel) == ("phone_changed", "email" if "@" in address else "sms")


async def test_it_wants_a_factor_given_lately(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(minutes=16))
    fresh = await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})
    owner.access_token = fresh.json()["access_token"]
    assert await change(identity, owner, new_phone()) == (403, "auth.step_up_required")
    assert (await identity.ask("GET", "/accounts/me", owner)).json()["phone"] == identity.phone


async def test_the_same_number_tells_nobody_and_another_country_gets_no_sms(identity: Identity) -> None:
    owner = await identity.owner()
    assert await change(identity, owner, f"+1 (402) {identity.phone[5:8]}-{identity.phone[8:]}") == (200, "")
    assert await identity.alerts(owner.email) == []
    assert await change(identity, owner, "+41446681800") == (200, "")
    assert await identity.alerts("+41446681800") == []
    assert (await identity.alerts(owner.email))[0].topic == "phone_changed"


async def test_texts_to_numbers_have_their_limit_and_nothing_is_changed_beyond_it(identity: Identity) -> None:
    owner = await identity.owner()
    found = [await change(identity, owner, new_phone()) for _ in range(6)]
    assert found[0] == (200, "")
    assert found[-1] == (429, "identity.too_many_attempts")
