"""Unusual sign-ins are told to the owner and the security log, and a trusted device is then not enough."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from lotpro_kit import testing
from services.identity.tests.challenges.test_binding import ticket, with_sms
from services.identity.tests.conftest import PASSWORD, Identity, Person, org_of
from services.identity.tests.factors.test_managing import trusted


async def sign_in(identity: Identity, person: Person, *, agent: str, ip: str, **given: str) -> dict[str, object]:
    body = {"email": person.email, "password": PASSWORD, **given}
    async with identity.client() as client:
        headers = {"user-agent": agent, "x-forwarded-for": ip}
        answer = await client.post("/api/identity/v1/sessions", json=body, headers=headers)
    found: dict[str, object] = answer.json()
    return found


async def topics(identity: Identity, person: Person) -> list[str]:
    return [told.topic for told in await identity.alerts(person.email)]


async def test_a_new_browser_is_told_once(identity: Identity) -> None:
    owner = await identity.owner()
    for code in owner.recovery_codes[:2]:
        await sign_in(identity, owner, agent="Firefox/150", ip="", recovery_code=code)
    assert (await topics(identity, owner)).count("new_device") == 1


async def test_an_unusual_sign_in_asks_for_the_factor_even_on_a_trusted_device(identity: Identity) -> None:
    owner = await identity.owner()
    device = await trusted(identity, owner)
    for _ in range(5):
        await identity.post("/sessions", {"email": owner.email, "password": "a-wrong-password"})
    opened = await sign_in(identity, owner, agent="curl/9", ip="203.0.113.9", device_token=device)
    assert opened["status"] == "factor_required"
    identity.clock.advance(timedelta(seconds=30))
    done = await sign_in(identity, owner, agent="curl/9", ip="203.0.113.9", device_token=device,
                         totp=identity.code(owner))
    assert done["status"] == "signed_in"
    assert "unusual_sign_in" in await topics(identity, owner)
    events = await testing.events(identity.runtime.database, containing=str(org_of(owner.access_token)))
    [suspicious] = [body for _, body in events if body.get("action") == "identity:session:suspicious"]
    assert suspicious["changed_fields"] == ["new_agent", "new_network", "failed_before"]


async def suspicious(identity: Identity, signal: str, *, containing: str = "") -> int:
    """How often the security log was told of a signal."""
    events = await testing.events(identity.runtime.database, containing=containing or signal, last=400)
    return sum(
        body.get("action") == "identity:session:suspicious" and body["changed_fields"] == [signal]
        for _, body in events
    )


async def test_one_address_that_tries_many_accounts_is_told_of_once(identity: Identity) -> None:
    owner = await identity.owner()
    ip = f"198.51.100.{uuid4().int % 250}"
    before = await suspicious(identity, "many_accounts")
    for number in range(12):
        body = {"email": f"nobody{number}.{owner.email}", "password": "a-wrong-password"}
        for _ in range(2):
            async with identity.client() as client:
                await client.post("/api/identity/v1/sessions", json=body, headers={"x-forwarded-for": ip})
        told = await suspicious(identity, "many_accounts") - before
        assert told == (number >= 9), f"after {number + 1} accounts"
    identity.clock.advance(timedelta(seconds=30))
    await sign_in(identity, owner, agent="", ip=ip, totp=identity.code(owner))
    assert "unusual_sign_in" in await topics(identity, owner), "and who gets in from there hears of it"


async def test_second_factors_that_fail_at_once_are_not_overlooked(identity: Identity) -> None:
    owner = await identity.owner()
    body = {"email": owner.email, "password": PASSWORD, "recovery_code": "00000-00000-00000-00000"}
    await asyncio.gather(*(identity.post("/sessions", body) for _ in range(5)))
    assert await topics(identity, owner) == ["password_known"]
    org_id = str(org_of(owner.access_token))
    assert await suspicious(identity, "factor_fatigue", containing=org_id) == 1


async def test_a_burst_of_codes_is_told_once(identity: Identity) -> None:
    owner, _ = await with_sms(identity)
    identity.clock.advance(timedelta(minutes=15))
    asked = await ticket(identity, owner)
    for _ in range(5):
        sent = await identity.post("/sessions:send-code", {"ticket": asked, "channel": "sms"})
        assert sent.status_code == 202
    assert (await topics(identity, owner)).count("code_burst") == 1
    assert await suspicious(identity, "code_burst", containing=str(org_of(owner.access_token))) == 1
