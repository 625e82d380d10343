"""An account moves to another address: confirmed there, announced at the old one, undone from there for 72 hours."""

from datetime import timedelta
from uuid import uuid4

from services.identity.tests.conftest import PASSWORD, Identity, Person


def another() -> str:
    return f"{uuid4().hex[:12]}@prairie-motors.com"


async def moved(identity: Identity, person: Person) -> str:
    """The new address, after a move."""
    address = another()
    body = {"email": address}
    assert (await identity.post("/accounts/me:change-email", body, token=person.access_token)).status_code == 202
    code = (await identity.mailed(address)).code
    done = await identity.post("/accounts/me:confirm-email-change", {"code": code}, token=person.access_token)
    assert done.status_code == 204, done.text
    return address


async def status(identity: Identity, email: str) -> int:
    return (await identity.post("/sessions", {"email": email, "password": PASSWORD})).status_code


async def test_the_account_moves_when_the_new_address_is_confirmed(identity: Identity) -> None:
    owner = await identity.owner()
    address = await moved(identity, owner)
    assert (await status(identity, owner.email), await status(identity, address)) == (401, 200)
    assert [told.topic for told in await identity.alerts(address)] == ["email_changed"]
    undo = await identity.mailed(owner.email)
    assert undo.purpose == "undo_email"


async def test_the_old_address_undoes_it_and_everything_signed_in_ends(identity: Identity) -> None:
    owner = await identity.owner()
    address = await moved(identity, owner)
    identity.clock.advance(timedelta(hours=71, minutes=59))
    token = (await identity.mailed(owner.email)).code
    assert (await identity.post("/accounts:undo-email-change", {"token": token})).status_code == 204
    assert (await status(identity, owner.email), await status(identity, address)) == (401, 401)
    reset = await identity.mailed(owner.email)
    assert reset.purpose == "reset_password"
    body = {"token": reset.code, "password": "nine-loud-lots-at-dusk"}
    assert (await identity.post("/passwords:reset", body)).status_code == 204
    again = {"email": owner.email, "password": "nine-loud-lots-at-dusk"}
    assert (await identity.post("/sessions", again)).json()["status"] == "factor_required"


async def test_after_72_hours_the_link_is_over(identity: Identity) -> None:
    owner = await identity.owner()
    address = await moved(identity, owner)
    token = (await identity.mailed(owner.email)).code
    identity.clock.advance(timedelta(hours=72))
    answer = await identity.post("/accounts:undo-email-change", {"token": token})
    assert (answer.status_code, answer.json()["code"]) == (422, "identity.code_invalid")
    assert await status(identity, address) == 200


async def test_a_taken_address_is_told_only_to_who_reads_its_mail(identity: Identity) -> None:
    owner, other = await identity.owner(), await identity.owner()
    body = {"email": other.email}
    assert (await identity.post("/accounts/me:change-email", body, token=owner.access_token)).status_code == 202
    code = (await identity.mailed(other.email)).code
    answer = await identity.post("/accounts/me:confirm-email-change", {"code": code}, token=owner.access_token)
    assert (answer.status_code, answer.json()["code"]) == (409, "identity.email_taken")
    assert await status(identity, owner.email) == 200
