"""Signing in with an organisation's own provider, over real HTTP."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from lotpro_kit.jobs import Run
from services.identity.tests.conftest import PASSWORD, PREFIX, Person, claims_of
from services.identity.tests.federation.conftest import Sso, id_of


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


async def test_without_the_providers_second_factor_ours_is_asked_and_the_session_says_so(sso: Sso) -> None:
    email = sso.address()
    member = await sso.member(email)
    sso.provider.be("s-1", email)
    sso.identity.clock.advance(timedelta(seconds=30))
    first = (await sso.sign_in()).json()
    assert (first["status"], first["access_token"]) == ("factor_required", None)
    assert first["factors"] == ["totp", "recovery_code"]
    body = {"ticket": first["ticket"], "totp": sso.identity.code(member)}
    second = await sso.identity.post("/sessions", body)
    assert second.json()["status"] == "signed_in", second.text
    claims = claims_of(second.json()["access_token"])
    assert (claims["amr"], claims["aal"], claims["org"]) == (["fed", "otp"], "aal2", str(sso.org_id))
    assert claims["sub"] == str(id_of(member)), "the member's account was linked"


async def test_a_newcomer_without_any_second_factor_has_to_enrol_one(sso: Sso) -> None:
    email = sso.address()
    sso.provider.be("s-1", email)
    first = (await sso.sign_in()).json()
    assert first["status"] == "enrolment_required"
    refused = await sso.identity.get("/accounts/me", token=first["access_token"])
    assert refused.json()["code"] == "auth.factor_required"
    person = await sso.identity.enrolled(Person(email), first["access_token"])
    claims = claims_of(person.access_token)
    assert (claims["amr"], claims["org"]) == (["fed", "otp"], str(sso.org_id))


@pytest.mark.parametrize(
    ("claims", "fields", "status"),
    [
        ({"amr": ["pwd", "otp"]}, {}, "signed_in"),
        ({"amr": ["hwk"]}, {}, "signed_in"),
        ({"acr": "urn:mfa"}, {"mfa_acr_values": ["urn:mfa"]}, "signed_in"),
        ({"acr": "urn:mfa"}, {}, "enrolment_required"),
        ({"amr": ["pwd"]}, {}, "enrolment_required"),
        ({"amr": "mfa"}, {}, "enrolment_required"),
        ({"amr": ["mfa"]}, {"honour_mfa": False}, "enrolment_required"),
    ],
)
async def test_the_providers_second_factor_counts_as_the_organisation_says(
    sso: Sso, claims: dict[str, Any], fields: dict[str, Any], status: str
) -> None:
    assert (await sso.configure(**fields)).status_code == 200
    sso.provider.be("s-1", sso.address(), **claims)
    answer = await sso.sign_in()
    assert answer.json()["status"] == status, answer.text


@pytest.mark.parametrize(
    ("minutes_ago", "code"), [(None, "auth.step_up_required"), (60, "auth.step_up_required"), (1, "")]
)
async def test_a_step_up_wants_a_proof_that_the_provider_says_is_fresh(
    sso: Sso, minutes_ago: int | None, code: str
) -> None:
    now = int(sso.identity.clock().timestamp())
    auth_time = None if minutes_ago is None else now - minutes_ago * 60
    sso.provider.be("s-1", sso.address(), amr=["mfa"], auth_time=auth_time)
    token = (await sso.sign_in(organisation_id=str(sso.org_id), fresh=True)).json()["access_token"]
    answer = await sso.identity.post("/factors/recovery-codes", {}, token=token)
    assert answer.json().get("code", "") == code, answer.text
    assert sso.provider.asked[-1]["prompt"] == "login"


async def test_somebody_of_several_organisations_needs_a_factor_of_their_own(sso: Sso) -> None:
    """Else one dealer's provider would open another dealer's data."""
    email = sso.address()
    other = await sso.identity.owner(email)
    invite = {"email": email, "role": "sales", "store_id": sso.store_id}
    await sso.identity.post("/invitations", invite, token=sso.owner.access_token)
    accept = {"token": (await sso.identity.mailed(email)).code, "name": "Dana Whitfield", "password": PASSWORD}
    assert (await sso.identity.post("/invitations:accept", accept)).status_code == 200
    sso.provider.be("s-1", email, amr=["mfa"])
    sso.identity.clock.advance(timedelta(seconds=30))
    first = (await sso.sign_in()).json()
    assert first["status"] == "factor_required"
    body = {"ticket": first["ticket"], "totp": sso.identity.code(other)}
    second = (await sso.identity.post("/sessions", body)).json()
    claims = claims_of(second["access_token"])
    assert claims["org"] == str(sso.org_id), "though the other organisation was joined first"
    assert claims["roles"] == {sso.store_id: ["sales"]}
    await sso.sql("DELETE FROM memberships WHERE org_id = :org AND account_id = :id", org=sso.org_id, id=id_of(other))
    refreshed = await sso.identity.post("/sessions:refresh", {"refresh_token": second["refresh_token"]})
    assert refreshed.json()["code"] == "identity.session_over", "and never moves to the other organisation"


async def test_an_account_is_never_linked_by_its_address_alone(sso: Sso) -> None:
    outsider = await sso.identity.owner(sso.address())
    sso.provider.be("s-1", outsider.email, amr=["mfa"])
    refused = await sso.sign_in()
    assert (refused.status_code, refused.json()["code"]) == (403, "identity.sso_not_member")
    elsewhere = await sso.member(f"{uuid4().hex[:12]}@unproven.com")
    sso.provider.be("s-2", elsewhere.email, amr=["mfa"])
    refused = await sso.sign_in()
    assert (refused.status_code, refused.json()["code"]) == (403, "identity.sso_not_member")
    sso.provider.be("s-3", f"{uuid4().hex[:12]}@unproven.com", amr=["mfa"])
    unknown = await sso.sign_in()
    assert (unknown.status_code, unknown.json()["code"]) == (403, "identity.sso_not_member"), "known or not"
    sso.provider.be("s-4", elsewhere.email, email_verified=False)
    assert (await sso.sign_in()).json()["code"] == "identity.sso_email_unverified"
    sso.provider.be("s-5", "")
    assert (await sso.sign_in()).json()["code"] == "identity.sso_email_unverified"
    assert await sso.sql("SELECT 1 FROM federated_identities WHERE org_id = :org", org=sso.org_id) == []


async def test_another_subject_with_a_members_address_is_another_person(sso: Sso) -> None:
    email = sso.address()
    sso.provider.be("s-1", email, amr=["mfa"])
    assert (await sso.sign_in()).json()["status"] == "signed_in"
    sso.provider.be("s-2", email, amr=["mfa"])
    assert (await sso.sign_in()).json()["code"] == "identity.sso_not_member"


async def test_who_was_taken_out_does_not_come_back_by_signing_in(sso: Sso) -> None:
    email = sso.address()
    sso.provider.be("s-1", email, amr=["mfa"])
    assert (await sso.sign_in()).json()["status"] == "signed_in"
    await sso.sql("DELETE FROM memberships WHERE account_id = (SELECT id FROM accounts WHERE email = :e)", e=email)
    assert (await sso.sign_in()).json()["code"] == "identity.sso_not_member"
    assert await sso.roles(email) == []


async def test_without_a_role_for_newcomers_nobody_becomes_a_member(sso: Sso) -> None:
    await sso.configure(jit_role=None, store_id=None)
    sso.provider.be("s-1", sso.address(), amr=["mfa"])
    assert (await sso.sign_in()).json()["code"] == "identity.sso_not_member"


async def test_a_proven_domain_stands_in_for_an_unverified_address(sso: Sso) -> None:
    sso.provider.be("s-1", sso.address(), amr=["mfa"], email_verified=None)
    assert (await sso.sign_in()).json()["status"] == "signed_in"


async def test_a_state_is_good_once_in_one_browser_for_ten_minutes(sso: Sso) -> None:
    sso.provider.be("s-1", sso.address(), amr=["mfa"])
    url, cookie = await sso.start()
    query = await sso.authorize(url)
    answers = await asyncio.gather(*(sso.callback(query, cookie) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    url, cookie = await sso.start()
    other = await sso.callback(await sso.authorize(url), "another-browsers-cookie")
    assert other.json()["code"] == "identity.sso_state_invalid"
    url, cookie = await sso.start()
    assert (await sso.callback(await sso.authorize(url), "")).json()["code"] == "identity.sso_state_invalid"
    url, cookie = await sso.start()
    query = await sso.authorize(url)
    sso.identity.clock.advance(timedelta(minutes=10))
    assert (await sso.callback(query, cookie)).json()["code"] == "identity.sso_state_invalid"
    assert (await sso.callback({"state": "made up", "code": "x"}, cookie)).status_code == 401
    assert (await sso.callback({}, "")).json()["code"] == "identity.sso_state_invalid"


async def test_parallel_first_sign_ins_make_one_account(sso: Sso) -> None:
    email = sso.address()
    sso.provider.be("s-1", email, amr=["mfa"])
    ways = [await sso.start() for _ in range(4)]
    queries = [(await sso.authorize(url), cookie) for url, cookie in ways]
    answers = await asyncio.gather(*(sso.callback(query, cookie) for query, cookie in queries))
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    assert len(await sso.sql("SELECT 1 FROM accounts WHERE email = :email", email=email)) == 1


async def test_the_answer_names_its_provider_where_the_provider_says_so(sso: Sso) -> None:
    sso.provider.be("s-1", sso.address(), amr=["mfa"])
    sso.provider.names_itself = True
    await sso.configure()
    assert (await sso.sign_in()).json()["status"] == "signed_in"
    sso.provider.answer_iss = "https://evil.example"
    assert (await sso.sign_in()).json()["code"] == "identity.sso_issuer_mismatch"
    url, cookie = await sso.start()
    query = await sso.authorize(url)
    del query["iss"]
    assert (await sso.callback(query, cookie)).json()["code"] == "identity.sso_issuer_mismatch"


async def test_a_refusal_a_bad_code_and_a_broken_provider_have_their_own_answers(sso: Sso) -> None:
    sso.provider.error = "access_denied"
    assert (await sso.sign_in()).json()["code"] == "identity.sso_refused"
    sso.provider.error = ""
    url, cookie = await sso.start()
    query = await sso.authorize(url) | {"code": "another"}
    assert (await sso.callback(query, cookie)).json()["code"] == "identity.sso_refused"
    sso.provider.token_status = 503
    answer = await sso.sign_in()
    assert (answer.status_code, answer.json()["code"]) == (503, "identity.sso_provider_unavailable")
    failures = [event for event in await sso.events(containing=str(sso.org_id)) if event.get("factor") == "sso"]
    assert [event["outcome"] for event in failures] == ["OUTCOME_FAILURE"] * 3


async def test_the_start_says_nothing_about_accounts(sso: Sso) -> None:
    member = await sso.member(f"{uuid4().hex[:12]}@unproven.com")
    bodies = ({"email": member.email}, {"email": "nobody@unproven.com"}, {"organisation_id": str(uuid4())})
    answers = [await sso.identity.post("/sso:start", body) for body in bodies]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "identity.sso_not_available")}
    known = await sso.member(sso.address())
    urls = [(await sso.start(email=email))[0] for email in (known.email, f"nobody@{sso.domain}")]
    shapes = [sorted(parse_qs(urlsplit(url).query)) for url in urls]
    assert shapes[0] == shapes[1]
    assert (await sso.identity.post("/sso:start", {})).status_code == 422


async def test_a_link_sends_the_browser_on_and_the_session_comes_as_cookies(sso: Sso) -> None:
    sso.provider.be("s-1", sso.address(), amr=["mfa"])
    async with sso.identity.client() as client:
        sent = await client.get(f"{PREFIX}/sso:start", params={"email": f"x@{sso.domain}"})
    assert sent.status_code == 303
    cookie = sent.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "Secure" in cookie
    assert "SameSite=lax" in cookie
    answer = await sso.callback(await sso.authorize(sent.headers["location"]), sent.cookies["__Host-lotpro-sso"])
    assert answer.json()["access_token"] is None
    assert {"__Host-lotpro-access", "__Host-lotpro-refresh"} <= set(answer.cookies)


async def test_states_that_never_came_back_are_forgotten(sso: Sso) -> None:
    await sso.start()
    job = next(job for job in sso.identity.parts.jobs if job.name == "expire-challenges")
    assert (await job.work(Run(as_of=sso.identity.clock() + timedelta(minutes=11))))["sso_states"] >= 1


async def test_a_password_does_not_open_an_account_that_has_none(sso: Sso) -> None:
    email = sso.address()
    sso.provider.be("s-1", email, amr=["mfa"])
    await sso.sign_in()
    for password in ("!", "\x00", "seven-quiet-lots-at-dawn"):
        assert (await sso.identity.post("/sessions", {"email": email, "password": password})).status_code == 401
