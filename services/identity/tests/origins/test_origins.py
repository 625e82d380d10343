"""Browsers, places, and travel that nobody can make."""

from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from lotpro_identity import app
from lotpro_identity.origins.browsers import Browser, browser_of
from lotpro_identity.origins.places import Place, Places
from services.identity.tests.conftest import PREFIX, Identity, Person

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0"
#: Documentation networks (RFC 5737), placed for this test.
LINCOLN, ZURICH, NOWHERE = "192.0.2.7", "198.51.100.7", "203.0.113.7"


def city(name: str, region: str, country: str, latitude: float, longitude: float) -> dict[str, Any]:
    return {
        "city": {"names": {"en": name}}, "subdivisions": [{"names": {"en": region}}],
        "country": {"names": {"en": country}}, "location": {"latitude": latitude, "longitude": longitude},
    }


@pytest.fixture(scope="module")
def geoip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as MaxMind's, with two cities."""
    writer = MMDBWriter(ip_version=4, database_type="GeoLite2-City", languages=["en"])
    for network, found in (
        ("192.0.2.0/24", city("Lincoln", "Nebraska", "United States", 40.81, -96.68)),
        ("198.51.100.0/24", city("Zurich", "Zurich", "Switzerland", 47.37, 8.54)),
        ("203.0.113.0/24", {"country": {"names": {"en": "Nowhere"}}}),
    ):
        writer.insert_network(IPSet([str(IPv4Network(network))]), found)
    file = tmp_path_factory.mktemp("geoip") / "city.mmdb"
    writer.to_db_file(str(file))
    return file


@pytest.mark.parametrize(
    ("user_agent", "browser"),
    [
        (FIREFOX, Browser("Firefox 142", "Windows 10")),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.5 Mobile/15E148 Safari/604.1",
            Browser("Mobile Safari 18", "iOS 18"),
        ),
        ("", Browser("", "")),
        ("x" * 256, Browser("", "")),
        ("<script>alert(1)</script>", Browser("", "")),
    ],
)
def test_a_browser_is_called_as_people_call_it(user_agent: str, browser: Browser) -> None:
    assert browser_of(user_agent) == browser


def test_an_address_has_a_place_where_the_file_knows_one(geoip: Path) -> None:
    places = Places(lambda: str(geoip))
    assert places.name_of(LINCOLN) == "Lincoln, Nebraska, United States"
    for ip in (NOWHERE, "8.8.8.8", "::1", "not an address", ""):
        assert places.of(ip) is None, ip
    assert Places(lambda: "").name_of(LINCOLN) is None


def test_distances_are_those_on_a_globe() -> None:
    lincoln, zurich = Place("", 40.81, -96.68), Place("", 47.37, 8.54)
    assert lincoln.kilometres_to(zurich) == pytest.approx(7_700, rel=0.02)
    assert lincoln.kilometres_to(lincoln) == 0
    assert Place("", 0, 0).kilometres_to(Place("", 0, 180)) == pytest.approx(20_015, rel=0.001)


async def come_from(identity: Identity, person: Person, ip: str) -> str:
    """Sign in from an address; answers the access token."""
    body = {"email": person.email, "password": person.password, "totp": identity.code(person)}
    async with identity.client() as client:
        headers = {"x-forwarded-for": ip, "user-agent": FIREFOX}
        answer = await client.post(f"{PREFIX}/sessions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


@pytest.fixture
def placed(identity: Identity, geoip: Path) -> Identity:
    """Identity, deployed with the file."""
    identity.runtime.settings = identity.runtime.settings.model_copy(update={"geoip_file": str(geoip)})
    identity.parts = app.wire(identity.runtime)
    return identity


async def test_sessions_say_browser_system_and_place(placed: Identity) -> None:
    person = await placed.owner()
    placed.clock.advance(timedelta(seconds=30))
    token = await come_from(placed, person, LINCOLN)
    newest = (await placed.get("/sessions", token=token)).json()["items"][0]
    assert (newest["browser"], newest["os"]) == ("Firefox 142", "Windows 10")
    assert (newest["ip"], newest["place"]) == (LINCOLN, "Lincoln, Nebraska, United States")


@pytest.mark.parametrize(("hours", "told"), [(1, True), (12, False)])
async def test_an_ocean_in_an_hour_is_told_and_half_a_day_is_not(placed: Identity, hours: int, *, told: bool) -> None:
    person = await placed.owner()
    placed.clock.advance(timedelta(seconds=30))
    await come_from(placed, person, LINCOLN)
    placed.clock.advance(timedelta(hours=hours))
    await come_from(placed, person, ZURICH)
    topics = [alert.topic for alert in await placed.alerts(person.email)]
    assert ("unusual_sign_in" in topics) == told
