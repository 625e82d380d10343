"""The platform's own people in a dealer's organisation."""

from datetime import timedelta
from typing import Any

import pytest

from lotpro_identity import app
from lotpro_kit import testing
from services.identity.tests.conftest import Identity, Person, claims_of, id_of, org_of

REASON = "Ticket 4711: the owner sees no vehicles since the morning"


@pytest.fixture
async def helped(identity: Identity) -> tuple[Identity, Person]:
    """Identity, deployed again with one of the platform's people, and this person."""
    person = await identity.owner()
    told = {"platform_staff": (f"{id_of(person)}:platform_support",)}
    identity.runtime.settings = identity.runtime.settings.model_copy(update=told)
    identity.parts = app.wire(identity.runtime)
    return identity, person


async def opened(identity: Identity, staff: Person, owner: Person, **other: Any) -> Any:
    body = {"organisation_id": str(org_of(owner.access_token)), "reason": REASON, "minutes": 30}
    return await identity.ask("POST", "/accesses", staff, body | other)


async def test_staff_looks_into_an_organisation_and_its_owner_is_told(helped: tuple[Identity, Person]) -> None:
    identity, staff = helped
    owner = await identity.owner()
    answer = await opened(identity, staff, owner)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    claims = claims_of(token)
    assert (claims["org"], claims["roles"]) == (str(org_of(owner.access_token)), {"*": ["platform_support"]})
    members = (await identity.get("/members", token=token)).json()["items"]
    assert [member["email"] for member in members] == [owner.email]
    assert (await identity.alerts(owner.email))[0].topic == "staff_access"
    [seen] = (await identity.ask("GET", "/accesses", owner)).json()["items"]
    assert (seen["role"], seen["reason"], seen["ended_at"]) == ("platform_support", REASON, None)


async def test_staff_changes_nothing_there(helped: tuple[Identity, Person]) -> None:
    identity, staff = helped
    owner = await identity.owner()
    token = (await opened(identity, staff, owner)).json()["access_token"]
    invite = {"email": "friend@example.com", "role": "compliance"}
    assert (await identity.post("/invitations", invite, token=token)).status_code == 403
    assert (await identity.post("/stores", {"name": "X", "time_zone": "UTC"}, token=token)).status_code == 403


async def test_access_ends_by_itself_also_in_a_token(helped: tuple[Identity, Person]) -> None:
    identity, staff = helped
    owner = await identity.owner()
    token = (await opened(identity, staff, owner, minutes=5)).json()["access_token"]
    identity.clock.advance(timedelta(minutes=4))
    late = (await identity.post("/sessions:refresh", {"refresh_token": staff.refresh_token})).json()
    until = claims_of(token)["exp"]
    assert claims_of(late["access_token"])["exp"] == until
    identity.clock.advance(timedelta(minutes=1))
    assert (await identity.get("/members", token=late["access_token"])).status_code == 401
    after = (await identity.post("/sessions:refresh", {"refresh_token": late["refresh_token"]})).json()
    assert claims_of(after["access_token"])["roles"] == {}


async def test_access_can_be_ended_early(helped: tuple[Identity, Person]) -> None:
    identity, staff = helped
    owner = await identity.owner()
    token = (await opened(identity, staff, owner)).json()["access_token"]
    assert (await identity.post("/accesses:close", {}, token=token)).status_code == 204
    fresh = (await identity.post("/sessions:refresh", {"refresh_token": staff.refresh_token})).json()
    assert claims_of(fresh["access_token"])["roles"] == {}
    [seen] = (await identity.ask("GET", "/accesses", owner)).json()["items"]
    assert seen["ended_at"] is not None


async def test_nobody_else_gets_in(helped: tuple[Identity, Person]) -> None:
    identity, _ = helped
    owner, stranger = await identity.owner(), await identity.owner()
    answer = await opened(identity, stranger, owner)
    assert (answer.status_code, answer.json()["code"]) == (403, "identity.not_staff")
    assert (await identity.ask("GET", "/accesses", owner)).json()["items"] == []


@pytest.mark.parametrize("wrong", [{"reason": "curious"}, {"minutes": 61}, {"reason": None}])
async def test_a_reason_and_an_end_are_needed(helped: tuple[Identity, Person], wrong: dict[str, Any]) -> None:
    identity, staff = helped
    owner = await identity.owner()
    assert (await opened(identity, staff, owner, **wrong)).status_code == 422
    gone = {"organisation_id": "0192e4a0-0000-7000-8000-000000000000"}
    assert (await opened(identity, staff, owner, **gone)).status_code == 404


async def test_a_factor_given_long_ago_does_not_do(helped: tuple[Identity, Person]) -> None:
    identity, staff = helped
    owner = await identity.owner()
    identity.clock.advance(timedelta(minutes=16))
    fresh = (await identity.post("/sessions:refresh", {"refresh_token": staff.refresh_token})).json()
    staff.access_token = fresh["access_token"]
    assert (await opened(identity, staff, owner)).json()["code"] == "auth.step_up_required"


async def test_it_is_logged(helped: tuple[Identity, Person]) -> None:
    identity, staff = helped
    owner = await identity.owner()
    await opened(identity, staff, owner)
    org_id = str(org_of(owner.access_token))
    logged = [body for name, body in await testing.events(identity.runtime.database) if body.get("org_id") == org_id]
    assert "identity:access:open" in [body.get("action") for body in logged]
