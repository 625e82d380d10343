"""Signing in with an organisation's own provider, over real HTTP."""

from services.identity.tests.conftest import claims_of
from services.identity.tests.federation.conftest import Sso


async def test_a_newcomer_of_a_proven_domain_becomes_a_member_and_is_signed_in(sso: Sso) -> None:
    email = sso.address()
    sso.provider.be("s-1", email, amr=["pwd", "mfa"])
    answer = await sso.sign_in(email=f"anybody@{sso.domain}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "signed_in"
    claims = claims_of(answer.json()["access_token"])
    assert (claims["aal"], claims["amr"], claims["org"]) == ("aal2", ["fed", "mfa"], str(sso.org_id))
    assert claims["roles"] == {sso.store_id: ["sales"]}
    assert sso.provider.asked[0]["code_challenge_method"] == "S256"
    assert sso.provider.asked[0]["scope"] == "openid email profile"
    again = await sso.sign_in()
    assert claims_of(again.json()["access_token"])["sub"] == claims["sub"]
    created = [event for event in await sso.events(containing=claims["sub"]) if event["action"].endswith(":create")]
    assert {event["factor"] for event in created} == {"sso"}
