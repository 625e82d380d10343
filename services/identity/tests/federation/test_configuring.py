"""Configuring an organisation's provider and proving its domains: who may, and where we never go."""

from typing import Any
from uuid import uuid4

import pytest

from lotpro_identity import app
from lotpro_kit import testing
from lotpro_kit.web import Unreachable, Web
from services.identity.tests.conftest import PREFIX
from services.identity.tests.federation.conftest import Sso
from services.identity.tests.federation.provider import CLIENT_SECRET


async def test_the_secret_is_encrypted_and_never_told(sso: Sso) -> None:
    answer = await sso.identity.get("/federation", token=sso.owner.access_token)
    assert answer.json()["provider"]["issuer"] == sso.provider.issuer
    assert CLIENT_SECRET not in answer.text
    [row] = await sso.sql("SELECT f::text AS all FROM federations f WHERE org_id = :org", org=sso.org_id)
    assert CLIENT_SECRET not in row.all
    assert CLIENT_SECRET.encode().hex() not in row.all


async def test_only_an_owner_who_stepped_up_may_and_writes_need_the_version(sso: Sso) -> None:
    member = await sso.member(sso.address(), "store_admin")
    assert (await sso.identity.get("/federation", token=member.access_token)).status_code == 403
    assert (await sso.configure(issuer="x")).status_code == 422
    body = {"issuer": sso.provider.issuer, "client_id": "x", "client_secret": "y"}
    async with sso.identity.client(sso.owner.access_token) as client:
        assert (await client.put(f"{PREFIX}/federation", json=body)).status_code == 428
        assert (await client.put(f"{PREFIX}/federation", json=body, headers={"if-match": '"v9"'})).status_code == 412
        assert (await client.delete(f"{PREFIX}/federation", headers={"if-match": '"v9"'})).status_code == 412
        gone = await client.delete(f"{PREFIX}/federation", headers={"if-match": '"v1"'})
        assert gone.status_code == 204
    assert (await sso.identity.post("/sso:start", {"organisation_id": str(sso.org_id)})).status_code == 404
    actions = [event["action"] for event in await sso.events(containing=str(sso.org_id))]
    assert actions.count("identity:federation:update") == 2


async def test_a_secret_stays_for_its_own_provider_only(sso: Sso) -> None:
    assert (await sso.configure(client_secret=None, honour_mfa=False)).status_code == 200
    sso.provider.be("s-1", sso.address())
    assert (await sso.sign_in()).json()["status"] == "enrolment_required"
    refused = await sso.configure(client_secret=None, client_id="another")
    assert refused.json()["code"] == "identity.federation_secret_missing"


@pytest.mark.parametrize(
    "fields",
    [{"jit_role": "org_owner"}, {"jit_role": "compliance"}, {"jit_role": None}, {"store_id": None}],
)
async def test_newcomers_become_nothing_above_a_store(sso: Sso, fields: dict[str, Any]) -> None:
    answer = await sso.configure(**fields)
    assert (answer.status_code, answer.json()["code"]) == (422, "identity.role_scope")


async def test_another_organisations_store_and_domain_are_not_there(sso: Sso) -> None:
    other = await sso.identity.owner()
    assert (await sso.configure(store_id=str(uuid4()))).status_code == 404
    theirs = await sso.configure(other)
    assert theirs.status_code == 404, "our store"
    name = f"{uuid4().hex[:8]}.com"
    await sso.identity.post("/federation/domains", {"domain": name}, token=sso.owner.access_token)
    asked = await sso.identity.post(f"/federation/domains/{name}:verify", {}, token=other.access_token)
    assert asked.status_code == 404
    seen = await sso.identity.get("/federation", token=other.access_token)
    assert seen.json() == {"provider": None, "domains": []}


async def test_a_provider_is_looked_at_before_it_is_stored(sso: Sso) -> None:
    for wrong in ({"issuer": "https://somebody-else"}, {"token_endpoint": "http://10.0.0.1/token"}, {"jwks_uri": None}):
        sso.provider.metadata = wrong
        answer = await sso.configure()
        assert answer.json()["code"] == "identity.federation_provider_unfit", wrong


INSIDE = [
    ("http://login.example.com", "issuer_invalid"),
    ("https://user:pass@login.example.com", "issuer_invalid"),
    ("https://login.example.com?x=1", "issuer_invalid"),
    ("https://login.example.com#x", "issuer_invalid"),
    ("https://login.example.com:99999", "issuer_invalid"),
    ("https://[::1", "issuer_invalid"),
    ("file:///etc/passwd", "issuer_invalid"),
    ("https://127.0.0.1", "provider_unfit"),
    ("https://localhost", "provider_unfit"),
    ("https://169.254.169.254/latest", "provider_unfit"),
    ("https://10.0.0.1", "provider_unfit"),
    ("https://[::1]", "provider_unfit"),
    ("https://[::ffff:127.0.0.1]", "provider_unfit"),
    ("https://2130706433", "provider_unfit"),
    ("https://0x7f.1", "provider_unfit"),
    ("https://nobody.invalid", "provider_unfit"),
]


async def test_we_do_not_go_where_an_owner_must_not_send_us(sso: Sso) -> None:
    for issuer, code in INSIDE:
        answer = await sso.configure(issuer=issuer)
        assert (answer.status_code, answer.json()["code"]) == (422, f"identity.federation_{code}")


async def test_the_sandbox_is_exactly_what_the_settings_name(sso: Sso) -> None:
    web = Web()
    with pytest.raises(Unreachable):
        await web.get(f"{sso.provider.issuer}/keys")
    await web.close()
    web = Web(lambda: ((sso.provider.issuer,), ()))
    assert (await web.get(f"{sso.provider.issuer}/keys")).status == 200
    with pytest.raises(Unreachable):
        await web.get(f"{sso.provider.issuer.replace('127.0.0.1', 'localhost')}/keys")
    await web.close()


def test_production_has_no_sandbox() -> None:
    for name in ("sandbox_issuers", "sandbox_domains"):
        with pytest.raises(ValueError, match=f"{name} must be empty"):
            testing.settings(
                app.SERVICE, environment="production", code_key="x", pepper="x", signing_key="x", blob_url="https://x",
                **{name: "http://127.0.0.1:1"},
            )


async def test_a_domain_is_proven_by_its_page_and_by_one_organisation(sso: Sso) -> None:
    name, token = "proven.prairie-motors.com", sso.owner.access_token
    await sso.sql("DELETE FROM federation_domains WHERE domain = :name", name=name)
    added = await sso.identity.post("/federation/domains", {"domain": name.upper()}, token=token)
    assert added.status_code == 201, added.text
    assert added.json()["url"] == f"https://{name}/.well-known/lotpro-domain"
    early = await sso.identity.post(f"/federation/domains/{name}:verify", {}, token=token)
    assert (early.status_code, early.json()["code"]) == (409, "identity.domain_not_proven")
    assert (await sso.identity.post("/sso:start", {"email": f"x@{name}"})).status_code == 404
    sso.provider.page = added.json()["token"]
    done = await sso.identity.post(f"/federation/domains/{name}:verify", {}, token=token)
    assert done.json()["verified_at"], done.text
    again = await sso.identity.post("/federation/domains", {"domain": name}, token=token)
    assert again.json() == done.json()
    assert (await sso.start(email=f"x@{name}"))[0].startswith(sso.provider.issuer)
    rival = await sso.identity.owner()
    theirs = await sso.identity.post("/federation/domains", {"domain": name}, token=rival.access_token)
    assert theirs.json()["token"] != added.json()["token"]
    sso.provider.page = theirs.json()["token"]
    taken = await sso.identity.post(f"/federation/domains/{name}:verify", {}, token=rival.access_token)
    assert (taken.status_code, taken.json()["code"]) == (409, "identity.domain_taken")
    async with sso.identity.client(token) as client:
        assert (await client.delete(f"{PREFIX}/federation/domains/{name}")).status_code == 204
        assert (await client.delete(f"{PREFIX}/federation/domains/{name}")).status_code == 404


NO_DOMAINS = ["localhost", "127.0.0.1", "a b.com", "-a.com", "a..com", "a/b.com"]


async def test_what_is_no_domain_is_refused(sso: Sso) -> None:
    for name in NO_DOMAINS:
        answer = await sso.identity.post("/federation/domains", {"domain": name}, token=sso.owner.access_token)
        assert (answer.status_code, answer.json()["code"]) == (422, "identity.domain_invalid")
