"""An account taken over is got back; a lost second factor is replaced by two other means."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit.caller import system
from lotpro_kit.jobs import Run
from services.identity.tests.conftest import PASSWORD, Identity, Person, claims_of, id_of

NEXT = "nine-loud-lots-at-dusk"


async def status(identity: Identity, email: str, password: str) -> int:
    return (await identity.post("/sessions", {"email": email, "password": password})).status_code


async def test_this_was_not_me_locks_everything_and_starts_recovery(identity: Identity) -> None:
    owner = await identity.owner()
    await identity.post("/factors/recovery-codes", {}, token=owner.access_token)
    [alert] = await identity.alerts(owner.email)
    assert alert.topic == "recovery_codes_renewed"
    assert (await identity.post("/accounts:not-me", {"token": alert.code})).status_code == 204
    assert await status(identity, owner.email, PASSWORD) == 401
    assert (await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})).status_code == 401
    reset = await identity.mailed(owner.email)
    assert (await identity.post("/passwords:reset", {"token": reset.code, "password": NEXT})).status_code == 204
    assert await status(identity, owner.email, NEXT) == 200
    again = await identity.post("/accounts:not-me", {"token": alert.code})
    assert again.status_code == 422, "a link works once"


async def test_what_somebody_else_did_to_the_factors_is_taken_back(identity: Identity) -> None:
    """Whoever got in added an authenticator of theirs, removed the owner's and made new recovery codes."""
    owner = await identity.owner()
    identity.clock.advance(timedelta(days=1))
    stepped = await identity.post("/sessions", {
        "email": owner.email, "password": PASSWORD, "totp": identity.code(owner),
    })
    theirs = Person(owner.email, secret="", access_token=stepped.json()["access_token"])
    theirs.secret = (await identity.ask("POST", "/factors/totp", theirs, {"name": "Theirs"})).json()["secret"]
    body = {"code": identity.code(theirs)}
    assert (await identity.post("/factors/totp:confirm", body, token=theirs.access_token)).status_code == 200
    listed = (await identity.get("/factors", token=theirs.access_token)).json()["items"]
    [old] = [item["id"] for item in listed if item["name"] != "Theirs"]
    assert (await identity.ask("DELETE", f"/factors/{old}", theirs)).status_code == 204
    made = await identity.post("/factors/recovery-codes", {}, token=theirs.access_token)
    their_code = made.json()["recovery_codes"][0]
    identity.clock.advance(timedelta(hours=70))
    oldest = (await identity.alerts(owner.email))[-1]
    assert (await identity.post("/accounts:not-me", {"token": oldest.code})).status_code == 204
    link = (await identity.mailed(owner.email)).code
    assert (await identity.post("/passwords:reset", {"token": link, "password": NEXT})).status_code == 204
    for factor in ({"totp": identity.code(theirs)}, {"recovery_code": their_code}):
        refused = await identity.post("/sessions", {"email": owner.email, "password": NEXT, **factor})
        assert refused.json()["code"] == "identity.credentials_invalid", factor
    again = await identity.post("/sessions", {"email": owner.email, "password": NEXT, "totp": identity.code(owner)})
    assert again.json()["status"] == "signed_in", again.text
    items = (await identity.get("/factors", token=again.json()["access_token"])).json()["items"]
    assert [item["id"] for item in items] == [old]


async def test_a_removed_factor_signs_nobody_in_and_is_dropped_after_three_days(identity: Identity) -> None:
    owner = await identity.owner()
    lost = Person(owner.email, secret=owner.secret)
    owner.secret = (await identity.post("/factors/totp", {"name": "Desk"}, token=owner.access_token)).json()["secret"]
    await identity.post("/factors/totp:confirm", {"code": identity.code(owner)}, token=owner.access_token)
    items = (await identity.get("/factors", token=owner.access_token)).json()["items"]
    assert (await identity.ask("DELETE", f"/factors/{items[0]['id']}", owner)).status_code == 204
    assert (await identity.ask("DELETE", f"/factors/{items[0]['id']}", owner)).status_code == 404
    identity.clock.advance(timedelta(seconds=30))
    refused = await identity.post("/sessions", {
        "email": owner.email, "password": PASSWORD, "totp": identity.code(lost),
    })
    assert refused.json()["code"] == "identity.credentials_invalid"
    job = next(job for job in identity.parts.jobs if job.name == "expire-challenges")
    identity.clock.advance(timedelta(hours=72) - timedelta(seconds=30))
    assert await factors_of(identity, owner) == 2
    await job.work(Run(as_of=identity.clock()))
    assert await factors_of(identity, owner) == 2
    identity.clock.advance(timedelta(seconds=1))
    await job.work(Run(as_of=identity.clock(), dry_run=True))
    assert await factors_of(identity, owner) == 2
    await job.work(Run(as_of=identity.clock()))
    assert await factors_of(identity, owner) == 1


async def factors_of(identity: Identity, person: Person) -> int:
    """How many factors of a person stand in the database."""
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        query = text("SELECT count(*) FROM factors WHERE account_id = :account_id")
        return int((await session.execute(query, {"account_id": id_of(person)})).scalar_one())


async def test_a_token_for_one_thing_opens_no_other(identity: Identity) -> None:
    owner = await identity.owner()
    await identity.post("/factors/recovery-codes", {}, token=owner.access_token)
    [alert] = await identity.alerts(owner.email)
    for path, body in (
        ("/passwords:reset", {"password": NEXT}), ("/accounts:undo-email-change", {}),
        ("/factors:reset", {"password": PASSWORD}),
    ):
        answer = await identity.post(path, body | {"token": alert.code})
        assert (answer.status_code, answer.json()["code"]) == (422, "identity.code_invalid"), path


async def member(identity: Identity, owner: Person) -> Person:
    """A salesperson of the owner's organisation."""
    store = (await identity.get("/organisations/current", token=owner.access_token)).json()["stores"][0]["id"]
    email = f"{uuid4().hex[:12]}@prairie-motors.com"
    await identity.post("/invitations", {"email": email, "role": "sales", "store_id": store}, token=owner.access_token)
    accept = {"token": (await identity.mailed(email)).code, "name": "Sam Ortega", "password": PASSWORD}
    joined = (await identity.post("/invitations:accept", accept)).json()
    return await identity.enrolled(Person(email), joined["access_token"])


async def test_an_admin_offers_a_new_start_that_only_the_members_password_takes(identity: Identity) -> None:
    owner = await identity.owner()
    seller = await member(identity, owner)
    seller_id = claims_of(seller.access_token)["sub"]
    offered = await identity.post(f"/members/{seller_id}:offer-factor-reset", {}, token=owner.access_token)
    assert offered.status_code == 202, offered.text
    token = (await identity.mailed(seller.email)).code
    wrong = await identity.post("/factors:reset", {"token": token, "password": "not-the-password"})
    assert wrong.status_code == 401
    done = await identity.post("/factors:reset", {"token": token, "password": PASSWORD})
    assert done.json()["status"] == "enrolment_required"
    assert (await identity.post("/sessions:refresh", {"refresh_token": seller.refresh_token})).status_code == 401
    renewed = await identity.enrolled(seller, done.json()["access_token"])
    assert claims_of(renewed.access_token)["aal"] == "aal2"


async def test_an_admin_ends_what_a_password_opens_and_only_its_owner_sets_another(identity: Identity) -> None:
    owner = await identity.owner()
    seller = await member(identity, owner)
    path = f"/members/{id_of(seller)}:require-password-reset"
    asked = await identity.ask("POST", path, owner)
    assert (asked.status_code, asked.content) == (202, b""), "the admin is told nothing that opens anything"
    assert await status(identity, seller.email, PASSWORD) == 401
    assert (await identity.post("/sessions:refresh", {"refresh_token": seller.refresh_token})).status_code == 401
    link = (await identity.mailed(seller.email)).code
    assert (await identity.post("/passwords:reset", {"token": link, "password": NEXT})).status_code == 204
    identity.clock.advance(timedelta(seconds=30))
    body = {"email": seller.email, "password": NEXT, "totp": identity.code(seller)}
    again = await identity.post("/sessions", body)
    assert again.json()["status"] == "signed_in", "the second factor is as it was"
    seller.access_token = again.json()["access_token"]
    stranger = await identity.owner()
    for whom, by, expected in (
        (owner, owner, 409), (stranger, owner, 404), (owner, seller, 403), (seller, stranger, 404),
    ):
        refused = await identity.ask("POST", f"/members/{id_of(whom)}:require-password-reset", by)
        assert refused.status_code == expected, refused.text


async def test_of_a_locked_account_the_password_resets_no_factors(identity: Identity) -> None:
    owner = await identity.owner()
    seller = await member(identity, owner)
    seller_id = claims_of(seller.access_token)["sub"]
    await identity.post(f"/members/{seller_id}:offer-factor-reset", {}, token=owner.access_token)
    token = (await identity.mailed(seller.email)).code
    await identity.post("/factors/recovery-codes", {}, token=seller.access_token)
    alert = (await identity.alerts(seller.email))[0]
    assert (await identity.post("/accounts:not-me", {"token": alert.code})).status_code == 204
    answer = await identity.post("/factors:reset", {"token": token, "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (401, "identity.credentials_invalid")


async def test_a_mailbox_alone_opens_no_account(identity: Identity) -> None:
    """Whoever reads somebody's mail can set a password; a code that comes by the same way is no second means."""
    person, token = await identity.confirmed()
    await identity.post("/factors/codes", {"channel": "email"}, token=token)
    code = (await identity.mailed(person.email)).code
    enrolled = await identity.post("/factors/codes:confirm", {"channel": "email", "code": code}, token=token)
    recovery_code, *_ = enrolled.json()["recovery_codes"]
    await identity.post("/passwords:request-reset", {"email": person.email})
    link = (await identity.mailed(person.email)).code
    assert (await identity.post("/passwords:reset", {"token": link, "password": NEXT})).status_code == 204
    asked = (await identity.post("/sessions", {"email": person.email, "password": NEXT})).json()
    assert (asked["status"], asked["factors"]) == ("factor_required", ["recovery_code"])
    sent = await identity.post("/sessions:send-code", {"ticket": asked["ticket"], "channel": "email"})
    assert sent.status_code == 202
    with pytest.raises(AssertionError, match="nothing was mailed"):
        await identity.mailed(person.email)
    refused = await identity.post("/sessions", {"ticket": asked["ticket"], "email_code": code})
    assert refused.json()["code"] == "identity.credentials_invalid"
    by_code = await identity.post("/sessions", {"ticket": asked["ticket"], "recovery_code": recovery_code})
    assert by_code.json()["status"] == "signed_in", by_code.text
    again = (await identity.post("/sessions", {"email": person.email, "password": NEXT})).json()
    assert again["factors"] == ["email", "recovery_code"], "two means were shown"


async def test_nobody_resets_the_factors_of_strangers_or_of_themselves(identity: Identity) -> None:
    owner, other = await identity.owner(), await identity.owner()
    for whom in (other, owner):
        user_id = claims_of(whom.access_token)["sub"]
        answer = await identity.post(f"/members/{user_id}:offer-factor-reset", {}, token=owner.access_token)
        assert answer.status_code == 404
