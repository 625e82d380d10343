"""A code answers the request it was asked for with, and no other; asking again forgives no wrong one."""

from datetime import timedelta

from services.identity.tests.conftest import PASSWORD, Identity, Person, new_phone


async def with_sms(identity: Identity) -> tuple[Person, str]:
    """Somebody who gets codes by SMS, and the number."""
    owner, phone = await identity.owner(), new_phone()
    await identity.post("/factors/codes", {"channel": "sms", "phone": phone}, token=owner.access_token)
    body = {"channel": "sms", "code": (await identity.mailed(phone)).code}
    assert (await identity.post("/factors/codes:confirm", body, token=owner.access_token)).status_code == 200
    return owner, phone


async def ticket(identity: Identity, person: Person) -> str:
    given: str = (await identity.post("/sessions", {"email": person.email, "password": PASSWORD})).json()["ticket"]
    identity.clock.advance(timedelta(seconds=1))
    return given


async def test_a_code_signs_in_with_the_ticket_that_asked_for_it_only(identity: Identity) -> None:
    owner, phone = await with_sms(identity)
    asked, other = await ticket(identity, owner), await ticket(identity, owner)
    await identity.post("/sessions:send-code", {"ticket": asked, "channel": "sms"})
    code = (await identity.mailed(phone)).code
    refused = await identity.post("/sessions", {"ticket": other, "sms_code": code})
    assert (refused.status_code, refused.json()["code"]) == (401, "identity.credentials_invalid")
    alone = await identity.post("/sessions", {"email": owner.email, "password": PASSWORD, "sms_code": code})
    assert (alone.status_code, alone.json()["code"]) == (422, "request.invalid")
    assert (await identity.post("/sessions", {"ticket": asked, "sms_code": code})).status_code == 200


async def test_a_code_for_a_new_factor_or_address_belongs_to_the_session_that_asked(identity: Identity) -> None:
    owner, phone = await identity.owner(), new_phone()
    identity.clock.advance(timedelta(seconds=30))
    body = {"email": owner.email, "password": PASSWORD, "totp": identity.code(owner)}
    elsewhere: str = (await identity.post("/sessions", body)).json()["access_token"]
    await identity.post("/factors/codes", {"channel": "sms", "phone": phone}, token=owner.access_token)
    proof = {"channel": "sms", "code": (await identity.mailed(phone)).code}
    assert (await identity.post("/factors/codes:confirm", proof, token=elsewhere)).status_code == 422
    assert (await identity.post("/factors/codes:confirm", proof, token=owner.access_token)).status_code == 200
    address = f"new.{owner.email}"
    await identity.post("/accounts/me:change-email", {"email": address}, token=owner.access_token)
    code = {"code": (await identity.mailed(address)).code}
    refused = await identity.post("/accounts/me:confirm-email-change", code, token=elsewhere)
    assert (refused.status_code, refused.json()["code"]) == (422, "identity.code_invalid")
    moved = await identity.post("/accounts/me:confirm-email-change", code, token=owner.access_token)
    assert moved.status_code == 204


async def test_asking_for_another_code_forgives_no_wrong_one(identity: Identity) -> None:
    owner, _ = await with_sms(identity)
    # Setting it up has counted too.
    identity.clock.advance(timedelta(minutes=15))
    asked = await ticket(identity, owner)
    refused = []
    for tried in range(12):
        if tried % 3 == 0:
            await identity.post("/sessions:send-code", {"ticket": asked, "channel": "sms"})
        # Long enough for what has to wait, short enough for the ticket.
        identity.clock.advance(timedelta(seconds=17))
        answer = await identity.post("/sessions", {"ticket": asked, "sms_code": "000000"})
        refused.append(answer.json()["code"])
    assert refused == ["identity.credentials_invalid"] * 10 + ["identity.too_many_attempts"] * 2
