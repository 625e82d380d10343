"""Somebody signs up with another's address and waits: whose mailbox it is gets the account, and the other nothing."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

from services.identity.tests.conftest import PASSWORD, Identity, Person, claims_of

ATTACKERS = "forty-stolen-sedans-at-noon"
#: What the attacker says about himself.
EVIL: dict[str, Any] = {
    "name": "Mallory", "password": ATTACKERS, "phone": "+14025550199", "organisation": {"name": "Mallory Motors"},
    "store": {"name": "Backyard", "time_zone": "America/Denver"},
}


def somebody() -> str:
    return f"{uuid4().hex[:12]}@prairie-motors.com"


async def sign_up(identity: Identity, email: str, **said: Any) -> str:
    """Sign up; answers the code that the mailbox got for it."""
    answer = await identity.post("/accounts", identity.sign_up_body(email) | said)
    assert answer.status_code == 202, answer.text
    return (await identity.mailed(email)).code


async def refused(identity: Identity, email: str, code: str, password: str) -> bool:
    answer = await identity.confirm(email, code, password)
    return (answer.status_code, answer.json().get("code")) == (422, "identity.code_invalid")


async def opens_nothing(identity: Identity, email: str, password: str) -> bool:
    answer = await identity.post("/sessions", {"email": email, "password": password})
    return (answer.status_code, answer.json().get("code")) == (401, "identity.credentials_invalid")


async def confirmed_owner(identity: Identity, email: str, code: str) -> Person:
    """The one with the mailbox, all the way to a session."""
    answer = await identity.confirm(email, code)
    assert answer.status_code == 200, answer.text
    return await identity.enrolled(Person(email), answer.json()["access_token"])


async def nothing_is_the_attackers(identity: Identity, owner: Person) -> None:
    """Neither does his password open anything, nor does anything he said stand anywhere."""
    identity.clock.advance(timedelta(minutes=15))
    assert await opens_nothing(identity, owner.email, ATTACKERS)
    assert (await identity.sign_in(owner)).json()["status"] == "signed_in"
    profile = (await identity.get("/accounts/me", token=owner.access_token)).json()
    assert (profile["name"], profile["phone"]) == ("Dana Whitfield", identity.phone)
    [organisation] = (await identity.get("/organisations", token=owner.access_token)).json()["items"]
    current = (await identity.get("/organisations/current", token=owner.access_token)).json()
    assert (organisation["name"], current["name"]) == ("Prairie Motor Group", "Prairie Motor Group")
    stores = [(store["name"], store["time_zone"]) for store in current["stores"]]
    assert stores == [("Lincoln", "America/Chicago")]


async def test_the_attacker_was_first_and_the_owner_signs_up_over_it(identity: Identity) -> None:
    email = somebody()
    first = await sign_up(identity, email, **EVIL)
    code = await sign_up(identity, email)
    assert await refused(identity, email, first, ATTACKERS), "the code of the sign-up before has ended"
    assert await refused(identity, email, code, ATTACKERS)
    await nothing_is_the_attackers(identity, await confirmed_owner(identity, email, code))


async def test_the_attacker_signs_up_over_the_owner_who_signs_up_once_more(identity: Identity) -> None:
    email = somebody()
    first = await sign_up(identity, email)
    code = await sign_up(identity, email, **EVIL)
    assert await refused(identity, email, first, PASSWORD)
    assert await refused(identity, email, code, PASSWORD), "what he chose is not confirmed by the mailbox alone"
    assert await opens_nothing(identity, email, ATTACKERS)
    await nothing_is_the_attackers(identity, await confirmed_owner(identity, email, await sign_up(identity, email)))


async def test_the_attacker_signs_up_over_the_owner_who_is_confirming_at_that_moment(identity: Identity) -> None:
    for _ in range(8):
        email = somebody()
        code = await sign_up(identity, email)
        confirmed, _ = await asyncio.gather(
            identity.confirm(email, code), identity.post("/accounts", identity.sign_up_body(email) | EVIL)
        )
        assert confirmed.status_code in (200, 422)
        assert await opens_nothing(identity, email, ATTACKERS)
        assert await opens_nothing(identity, email, PASSWORD) == (confirmed.status_code == 422)


async def test_whoever_has_the_mailbox_but_not_the_password_confirms_nothing(identity: Identity) -> None:
    email = somebody()
    code = await sign_up(identity, email, **EVIL)
    for guess in (PASSWORD, ATTACKERS.upper(), "", ATTACKERS + " "):
        assert await refused(identity, email, code, guess), guess
    assert await opens_nothing(identity, email, ATTACKERS)
    identity.clock.advance(timedelta(seconds=10))
    assert await refused(identity, email, code, "one-too-many-sedans"), "the fifth"
    identity.clock.advance(timedelta(seconds=10))
    assert await refused(identity, email, code, ATTACKERS), "a wrong password uses up the code as a wrong code does"


async def test_a_sign_up_over_a_confirmed_address_changes_nothing(identity: Identity) -> None:
    owner = await identity.owner()
    alerted = await identity.post("/accounts", identity.sign_up_body(owner.email) | EVIL)
    assert alerted.status_code == 202
    await nothing_is_the_attackers(identity, owner)


async def test_an_invited_person_owes_nothing_to_whoever_signed_up_before(identity: Identity) -> None:
    email, dealer = somebody(), await identity.owner()
    await sign_up(identity, email, **EVIL)
    store = (await identity.get("/organisations/current", token=dealer.access_token)).json()["stores"][0]["id"]
    await identity.post("/invitations", {"email": email, "role": "sales", "store_id": store}, token=dealer.access_token)
    accept = {"token": (await identity.mailed(email)).code, "name": "Dana Whitfield", "password": "my-own-quiet-lot-42"}
    joined = await identity.post("/invitations:accept", accept)
    assert joined.status_code == 200, joined.text
    person = await identity.enrolled(Person(email, accept["password"]), joined.json()["access_token"])
    assert claims_of(person.access_token)["roles"] == {store: ["sales"]}
    listed = (await identity.get("/organisations", token=person.access_token)).json()["items"]
    assert [row["name"] for row in listed] == ["Prairie Motor Group"]
    assert await opens_nothing(identity, email, ATTACKERS)


async def test_a_password_alone_enrols_no_factor(identity: Identity) -> None:
    """Of a confirmed address without a factor: whoever got to know the password would own the account."""
    person, _ = await identity.confirmed()
    answer = (await identity.post("/sessions", {"email": person.email, "password": PASSWORD})).json()
    assert answer["status"] == "confirmation_required"
    assert {name for name, value in answer.items() if value is not None} == {"status"}
    code = (await identity.mailed(person.email)).code
    assert await refused(identity, person.email, code, ATTACKERS)
    enrolled = await confirmed_owner(identity, person.email, code)
    assert claims_of(enrolled.access_token)["amr"] == ["pwd", "otp"]


async def test_codes_for_who_has_no_factor_are_counted(identity: Identity) -> None:
    person, _ = await identity.confirmed()
    body = {"email": person.email, "password": PASSWORD}
    statuses = []
    for _ in range(6):
        identity.clock.advance(timedelta(minutes=1))
        statuses.append((await identity.post("/sessions", body)).status_code)
    assert statuses == [200] * 5 + [429]
