"""Adding, naming and removing factors; codes by SMS and e-mail; recovery codes."""

import asyncio
from datetime import timedelta

import pyotp

from services.identity.tests.conftest import PASSWORD, Identity, Person, claims_of, new_phone


async def second_app(identity: Identity, person: Person) -> str:
    """Another authenticator app; answers its secret."""
    begun = await identity.post("/factors/totp", {"name": "Tablet"}, token=person.access_token)
    secret: str = begun.json()["secret"]
    code = pyotp.TOTP(secret).at(identity.clock())
    done = await identity.post("/factors/totp:confirm", {"code": code}, token=person.access_token)
    assert done.json()["status"] == "added", done.text
    return secret


async def listed(identity: Identity, person: Person) -> list[dict[str, str]]:
    items: list[dict[str, str]] = (await identity.get("/factors", token=person.access_token)).json()["items"]
    return items


async def request(identity: Identity, method: str, path: str, person: Person, body: object = None) -> int:
    async with identity.client(person.access_token) as client:
        answer = await client.request(method, f"/api/identity/v1{path}", json=body)
    return answer.status_code


async def test_a_second_app_works_beside_the_first_and_is_named_and_removed(identity: Identity) -> None:
    owner = await identity.owner()
    secret = await second_app(identity, owner)
    identity.clock.advance(timedelta(seconds=30))
    body = {"email": owner.email, "password": PASSWORD, "totp": pyotp.TOTP(secret).at(identity.clock())}
    assert (await identity.post("/sessions", body)).status_code == 200
    first, second = await listed(identity, owner)
    assert [first["name"], second["name"]] == ["Authenticator app", "Tablet"]
    assert await request(identity, "PATCH", f"/factors/{second['id']}", owner, {"name": "Desk"}) == 204
    assert await request(identity, "DELETE", f"/factors/{first['id']}", owner) == 204
    assert [item["name"] for item in await listed(identity, owner)] == ["Desk"]


async def test_the_last_strong_factor_stays(identity: Identity) -> None:
    owner = await identity.owner()
    await identity.post("/factors/codes", {"channel": "email"}, token=owner.access_token)
    code = (await identity.mailed(owner.email)).code
    added = await identity.post("/factors/codes:confirm", {"channel": "email", "code": code}, token=owner.access_token)
    assert added.json()["status"] == "added", added.text
    app = next(item for item in await listed(identity, owner) if item["kind"] == "totp")
    assert await request(identity, "DELETE", f"/factors/{app['id']}", owner) == 409


async def test_two_removals_at_once_leave_one(identity: Identity) -> None:
    owner = await identity.owner()
    await second_app(identity, owner)
    paths = [f"/factors/{item['id']}" for item in await listed(identity, owner)]
    statuses = await asyncio.gather(*(request(identity, "DELETE", path, owner) for path in paths))
    assert sorted(statuses) == [204, 409]


async def test_changing_factors_wants_a_fresh_second_factor(identity: Identity) -> None:
    owner = await identity.owner()
    device = await trusted(identity, owner)
    body = {"email": owner.email, "password": PASSWORD, "device_token": device}
    weak = (await identity.post("/sessions", body)).json()
    assert claims_of(weak["access_token"])["aal"] == "aal1"
    for path in ("/factors/totp", "/factors/passkeys:begin", "/factors/recovery-codes"):
        answer = await identity.post(path, {}, token=weak["access_token"])
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.step_up_required"), path


async def trusted(identity: Identity, person: Person) -> str:
    identity.clock.advance(timedelta(seconds=30))
    body = {"email": person.email, "password": PASSWORD, "totp": identity.code(person), "trust_device": True}
    token: str = (await identity.post("/sessions", body)).json()["device_token"]
    return token


async def test_codes_by_sms_sign_in_but_do_not_step_up(identity: Identity) -> None:
    owner = await identity.owner()
    phone = new_phone()
    begun = await identity.post("/factors/codes", {"channel": "sms", "phone": phone}, token=owner.access_token)
    assert begun.status_code == 202, begun.text
    sent = await identity.mailed(phone)
    assert sent.channel == "sms"
    body = {"channel": "sms", "code": sent.code}
    assert (await identity.post("/factors/codes:confirm", body, token=owner.access_token)).status_code == 200
    first = (await identity.post("/sessions", {"email": owner.email, "password": PASSWORD})).json()
    assert first["factors"] == ["totp", "sms", "recovery_code"]
    asked = await identity.post("/sessions:send-code", {"ticket": first["ticket"], "channel": "sms"})
    assert asked.status_code == 202
    code = (await identity.mailed(phone)).code
    answer = await identity.post("/sessions", {"ticket": first["ticket"], "sms_code": code})
    assert claims_of(answer.json()["access_token"])["amr"] == ["pwd", "sms"]
    again = await identity.post("/sessions", {"ticket": first["ticket"], "sms_code": code})
    assert again.status_code == 401


async def test_sms_goes_to_allowed_countries_and_not_without_end(identity: Identity) -> None:
    owner = await identity.owner()
    premium = await identity.post(
        "/factors/codes", {"channel": "sms", "phone": "+88213123456"}, token=owner.access_token
    )
    assert (premium.status_code, premium.json()["code"]) == (403, "identity.channel_not_allowed")
    body = {"channel": "sms", "phone": new_phone()}
    statuses = [
        (await identity.post("/factors/codes", body, token=owner.access_token)).status_code for _ in range(6)
    ]
    assert statuses == [202] * 5 + [429]


async def test_new_recovery_codes_end_the_old_ones(identity: Identity) -> None:
    owner = await identity.owner()
    fresh = (await identity.post("/factors/recovery-codes", {}, token=owner.access_token)).json()["recovery_codes"]
    assert len(set(fresh)) == 10
    old = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_codes[0]}
    assert (await identity.post("/sessions", old)).status_code == 401
    assert (await identity.post("/sessions", old | {"recovery_code": fresh[0]})).status_code == 200


async def test_three_wrong_second_factors_tell_the_owner_once(identity: Identity) -> None:
    owner = await identity.owner()
    for _ in range(4):
        body = {"email": owner.email, "password": PASSWORD, "recovery_code": "00000-00000-00000-00000"}
        assert (await identity.post("/sessions", body)).status_code == 401
    assert [told.topic for told in await identity.alerts(owner.email)] == ["password_known"]
