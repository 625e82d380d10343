"""Unusual sign-ins are told to the owner and the security log, and a trusted device is then not enough."""

from datetime import timedelta

from lotpro_kit import testing
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
