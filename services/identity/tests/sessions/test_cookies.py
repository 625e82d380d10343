"""Browsers' sessions: cookies that the policy lists, that no script reads, and that do nothing for another site."""

from datetime import timedelta
from http.cookies import SimpleCookie

import httpx
import pytest

import lotpro_policy
from services.identity.tests.conftest import PASSWORD, PREFIX, Identity, Person

ACCESS, REFRESH, CSRF = (f"__Host-lotpro-{name}" for name in ("access", "refresh", "csrf"))


class Browser:
    """A browser with its cookies, and a page of ours in it that repeats the one that it has to."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self.cookies: dict[str, str] = {}
        #: Until when each is kept, in seconds; None ends with the browser.
        self.ages: dict[str, int | None] = {}

    async def ask(
        self, method: str, path: str, body: object = None, *, csrf: str | None = None
    ) -> httpx.Response:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        repeated = self.cookies.get(CSRF, "") if csrf is None else csrf
        if repeated:
            headers["x-csrf-token"] = repeated
        async with self._identity.client() as client:
            answer = await client.request(method, PREFIX + path, json=body, headers=headers)
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                self.ages[name] = int(morsel["max-age"]) if morsel["max-age"] else None
        return answer

    def close(self) -> None:
        """What ends with the browser is gone."""
        self.cookies = {name: value for name, value in self.cookies.items() if self.ages[name] is not None}


async def signed_in(identity: Identity, person: Person, **more: object) -> Browser:
    browser = Browser(identity)
    identity.clock.advance(timedelta(seconds=30))
    body = {"email": person.email, "password": PASSWORD, "totp": identity.code(person), "transport": "cookie", **more}
    answer = await browser.ask("POST", "/sessions", body)
    assert answer.status_code == 200, answer.text
    return browser


@pytest.mark.parametrize("stays", [True, False])
async def test_cookies_live_as_long_as_the_policy_says(identity: Identity, *, stays: bool) -> None:
    browser = await signed_in(identity, await identity.owner(), trust_device=True, stay_signed_in=stays)
    table = lotpro_policy.policy().cookies
    listed = {one.name: one.max_age for row in table.values() for one in row.cookies}
    assert set(browser.ages) <= set(listed)
    longest = {name: int(age.length.total_seconds()) if age else None for name, age in listed.items()}
    month = longest[REFRESH] if stays else None
    assert browser.ages == {name: longest[name] for name in browser.ages} | {REFRESH: month}
    answer = await browser.ask("POST", "/sessions:refresh", {})
    assert answer.status_code == 200, answer.text
    assert browser.ages[REFRESH] == month, "renewing it keeps what was chosen"


@pytest.mark.parametrize("forged", ["", "made-up"])
async def test_another_sites_page_changes_nothing_with_our_cookies(identity: Identity, forged: str) -> None:
    browser = await signed_in(identity, await identity.owner())
    before = dict(browser.cookies)
    if not forged:
        del browser.cookies[CSRF]
    for method, path, body in (
        ("POST", "/sessions:refresh", {}), ("POST", "/sessions:sign-out", None), ("POST", "/devices:revoke-all", None),
        ("PUT", "/preferences", {"theme": "dark"}), ("POST", "/accounts/me:close", None),
        ("POST", "/sessions:step-up", {"totp": "000000"}), ("POST", "/factors/totp", {}),
    ):
        answer = await browser.ask(method, path, body, csrf=forged)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.csrf_failed"), path
    browser.cookies = before
    assert (await browser.ask("GET", "/sessions/current", csrf="")).status_code == 200, "reading is no change"
    assert (await browser.ask("POST", "/sessions:refresh", {})).status_code == 200


async def test_a_bearer_token_needs_no_proof_of_where_it_comes_from(identity: Identity) -> None:
    owner = await identity.owner()
    browser = await signed_in(identity, owner)
    async with identity.client(owner.access_token) as client:
        headers = {"cookie": f"{ACCESS}={browser.cookies[ACCESS]}"}
        answer = await client.post(f"{PREFIX}/devices:revoke-all", headers=headers)
    assert answer.status_code == 200


async def test_no_script_ever_gets_the_tokens_of_a_browser(identity: Identity) -> None:
    """Script that got into a page may ask for tokens in the body; whose last one was a cookie gets cookies."""
    owner = await identity.owner()
    browser = await signed_in(identity, owner)
    identity.clock.advance(timedelta(seconds=30))
    answers = [
        await browser.ask("POST", "/sessions:refresh", {"transport": "body"}),
        await browser.ask("POST", "/sessions:step-up", {"totp": identity.code(owner), "transport": "body"}),
    ]
    org_id = (await browser.ask("GET", "/organisations/current")).json()["id"]
    answers.append(await browser.ask("POST", "/sessions:switch", {"organisation_id": org_id, "transport": "body"}))
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert not any("token" in name and value for name, value in answer.json().items()), answer.json()
        assert browser.cookies[ACCESS] not in answer.text


async def test_a_browser_that_was_closed_goes_on_where_staying_was_asked_for(identity: Identity) -> None:
    owner = await identity.owner()
    staying, leaving = [await signed_in(identity, owner, stay_signed_in=stays) for stays in (True, False)]
    for browser in (staying, leaving):
        browser.close()
        assert (await browser.ask("GET", "/csrf")).status_code == 204
    assert (await staying.ask("POST", "/sessions:refresh", {})).status_code == 200
    assert (await leaving.ask("POST", "/sessions:refresh", {})).json()["code"] == "identity.session_over"
    kept = staying.cookies[CSRF]
    await staying.ask("GET", "/csrf")
    assert staying.cookies[CSRF] == kept, "other tabs go on with theirs"


async def test_signing_out_takes_the_cookies_back(identity: Identity) -> None:
    browser = await signed_in(identity, await identity.owner(), stay_signed_in=True)
    assert (await browser.ask("POST", "/sessions:sign-out")).status_code == 204
    assert {name: browser.ages[name] for name in (ACCESS, REFRESH, CSRF)} == dict.fromkeys((ACCESS, REFRESH, CSRF), 0)
