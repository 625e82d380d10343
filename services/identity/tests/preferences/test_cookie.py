"""The preferences cookie: the one the policy lists, for as long as it says, and nothing about anybody in it."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lotpro_policy
from lotpro_identity.preferences import domain
from lotpro_identity.preferences.domain import Density, Preferences, Theme
from services.identity.tests.conftest import PREFIX, Identity, Person, claims_of

PATH = f"{PREFIX}/preferences"
DEFAULTS = {"store_id": None, "theme": "system", "density": "comfortable"}


async def store_of(identity: Identity, person: Person) -> str:
    found = await identity.get("/organisations/current", token=person.access_token)
    return str(found.json()["stores"][0]["id"])


async def test_the_cookie_is_the_listed_one_and_ends_with_the_browser(identity: Identity) -> None:
    owner = await identity.owner()
    chosen = {"store_id": await store_of(identity, owner), "theme": "dark", "density": "compact"}
    async with identity.client(owner.access_token) as client:
        answer = await client.put(PATH, json=chosen)
    assert (answer.status_code, answer.json()) == (200, chosen)
    [cookie] = answer.headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    listed = lotpro_policy.policy().cookies["preferences"]
    assert [name] == [one.name for one in listed.cookies]
    value, *flags = [part.strip() for part in rest.split(";")]
    assert {flag.lower() for flag in flags} == {"path=/", "samesite=lax", "secure"}
    assert listed.max_age is None
    claims = claims_of(owner.access_token)
    assert not any(word in value for word in (owner.email, claims["sub"], claims["org"], claims["sid"]))


async def test_what_was_set_is_read_and_then_cleared(identity: Identity) -> None:
    owner = await identity.owner()
    chosen = {"store_id": await store_of(identity, owner), "theme": "light", "density": "compact"}
    async with identity.client(owner.access_token) as client:
        assert (await client.get(PATH)).json() == DEFAULTS
        set_cookie = (await client.put(PATH, json=chosen)).headers["set-cookie"]
        sent = {"cookie": set_cookie.partition(";")[0]}
        assert (await client.get(PATH, headers=sent)).json() == chosen
        cleared = await client.delete(PATH, headers=sent)
    assert cleared.status_code == 204
    gone = cleared.headers["set-cookie"]
    assert gone.startswith("__Host-lotpro-preferences=")
    assert all(part in gone for part in ("Max-Age=0", "Secure", "SameSite=lax", "Path=/"))


async def test_another_organisations_store_is_not_there(identity: Identity) -> None:
    owner, other = await identity.owner(), await identity.owner()
    foreign = await store_of(identity, other)
    async with identity.client(owner.access_token) as client:
        refused = await client.put(PATH, json={"store_id": foreign})
        assert (refused.status_code, refused.json()["code"]) == (404, "request.not_found")
        assert "set-cookie" not in refused.headers
        taken = {"cookie": f"__Host-lotpro-preferences=theme=dark&store={foreign}"}
        assert (await client.get(PATH, headers=taken)).json() == DEFAULTS | {"theme": "dark"}


@pytest.mark.parametrize("body", [{"theme": "pink"}, {"density": "x" * 5000}, {"note": "Dana"}, {"store_id": "x"}])
async def test_nothing_else_can_be_remembered(identity: Identity, body: dict[str, str]) -> None:
    owner = await identity.owner()
    async with identity.client(owner.access_token) as client:
        refused = await client.put(PATH, json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid")


@given(st.builds(Preferences, st.none() | st.uuids(version=4), st.sampled_from(Theme), st.sampled_from(Density)))
def test_what_is_written_is_read_and_is_short(preferences: Preferences) -> None:
    value = domain.written(preferences)
    assert domain.read(value) == preferences
    assert len(value) <= domain.LONGEST
    assert not set(value) & set(' ",;\\')


@given(st.text(max_size=300))
def test_any_cookie_is_read_as_preferences(value: str) -> None:
    found = domain.read(value)
    assert isinstance(found.store_id, UUID | None)
    assert domain.read(domain.written(found)) == found
