"""Bad input of every kind: a clear problem with a stable code, nothing changed, nobody revealed."""

import asyncio
import base64
import hmac
import json
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import text

from lotpro_identity.accounts.domain import EmailInvalid, normalised_email
from lotpro_identity.db import AUTHENTICATOR
from lotpro_identity.passwords.hashing import Passwords
from lotpro_identity.sessions.tokens import TICKET
from lotpro_kit.caller import system
from services.identity.tests.conftest import PASSWORD, PREFIX, Identity, claims_of
from services.identity.tests.factors.test_managing import trusted

COUNTED = ("accounts", "sessions", "factors", "memberships", "devices", "outbox")


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def standing(identity: Identity) -> dict[str, int]:
    """How many rows there are of everything that an act would change."""
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        return {
            table: int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())
            for table in COUNTED
        }


async def sign_in(identity: Identity, email: str, password: str) -> tuple[int, str]:
    answer = await identity.post("/sessions", {"email": email, "password": password})
    return answer.status_code, answer.json().get("code") or answer.json()["status"]


def nobody() -> str:
    return f"{uuid4().hex[:12]}@prairie-motors.com"


WRONG = (401, "identity.credentials_invalid")
RIGHT = (200, "factor_required")

# -- passwords ----------------------------------------------------------------------------------------------------


async def signed_up(identity: Identity, password: str) -> str:
    email = nobody()
    answer = await identity.post("/accounts", identity.sign_up_body(email) | {"password": password})
    assert answer.status_code == 202, answer.text
    code = (await identity.mailed(email)).code
    assert (await identity.confirm(email, code, password)).status_code == 200
    return email


async def test_a_password_typed_in_another_form_is_the_same_and_one_that_only_looks_alike_is_not(
    identity: Identity,
) -> None:
    password = "sieben-leise-plätze-ﬁnal-42"
    email = await signed_up(identity, password)
    right = (200, "confirmation_required")
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert await sign_in(identity, email, unicodedata.normalize(form, password)) == right
    identity.clock.advance(timedelta(minutes=15))
    for typed in (password.replace("e", "\u0435"), password.upper(), password[:-1], f"{password} ", f" {password}"):
        assert await sign_in(identity, email, typed) == WRONG, typed.encode()


async def test_spaces_belong_to_a_password_wherever_they_are(identity: Identity) -> None:
    email = await signed_up(identity, "  seven quiet lots at dawn ")
    assert (await sign_in(identity, email, "  seven quiet lots at dawn "))[0] == 200
    assert await sign_in(identity, email, "seven quiet lots at dawn") == WRONG


@pytest.mark.parametrize("size", [1_025, 1_000_000, 1_048_577])
async def test_an_endless_password_is_refused_at_once_and_never_hashed(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    owner = await identity.owner()

    async def never(*_: object) -> None:
        raise AssertionError("hashed")

    monkeypatch.setattr(Passwords, "_in_pool", never)
    before = await standing(identity)
    for path, body in (
        ("/sessions", {"email": owner.email}), ("/accounts", identity.sign_up_body(nobody())),
        ("/passwords:reset", {"token": "A" * 64}), ("/invitations:accept", {"token": "A" * 64, "name": "S"}),
    ):
        begun = time.monotonic()
        answer = await identity.post(path, body | {"password": "x" * size})
        assert problem(answer) in {(413, "request.too_large"), (422, "request.invalid")}, path
        assert time.monotonic() - begun < 2
    assert await standing(identity) == before


@pytest.mark.parametrize("password", ["\ud800" * 14, 12345678901234, None, ["x" * 14]])
async def test_what_is_no_text_is_no_password(identity: Identity, password: object) -> None:
    content = json.dumps({"email": nobody(), "password": password})
    async with identity.client() as client:
        headers = {"content-type": "application/json"}
        answer = await client.post(f"{PREFIX}/sessions", content=content, headers=headers)
    assert problem(answer) == (422, "request.invalid")


# -- addresses ----------------------------------------------------------------------------------------------------


async def test_an_address_is_the_same_in_any_case_and_another_with_a_plus(identity: Identity) -> None:
    owner = await identity.owner()
    name, _, domain = owner.email.partition("@")
    for email in (owner.email.upper(), f"{name.title()}@{domain.title()}", f"  {owner.email} "):
        assert await sign_in(identity, email, PASSWORD) == RIGHT
    assert await sign_in(identity, f"{name}+lot@{domain}", PASSWORD) == WRONG
    plus = await identity.owner(f"{name}+lot@{domain}")
    assert claims_of(plus.access_token)["sub"] != claims_of(owner.access_token)["sub"]


async def test_an_address_that_only_looks_like_anothers_opens_nothing(identity: Identity) -> None:
    owner = await identity.owner(f"owner{uuid4().hex[:8]}@prairie-motors.com")
    cyrillic = owner.email.replace("o", "\u043e", 1)
    assert await sign_in(identity, cyrillic, PASSWORD) == WRONG
    before = len(await identity.alerts(owner.email))
    assert (await identity.post("/passwords:request-reset", {"email": cyrillic})).status_code == 202
    with pytest.raises(AssertionError, match="nothing was mailed"):
        await identity.mailed(owner.email)
    assert len(await identity.alerts(owner.email)) == before


@pytest.mark.parametrize(
    "email",
    ["\uff4fwner@prairie-motors.com", "o\ufb03ce@prairie-motors.com", "own\u200ber@prairie-motors.com",
     "owner\x00@prairie-motors.com", "owner\r\nbcc: x@prairie-motors.com", "owner@", "@prairie-motors.com",
     "a@b@prairie-motors.com", "owner@prairie_motors", "\u202eowner@prairie-motors.com", "owner@127.0.0.1"],
)
async def test_an_address_in_a_form_that_hides_what_it_is_is_refused(identity: Identity, email: str) -> None:
    before = await standing(identity)
    for path, body in (
        ("/accounts", identity.sign_up_body(email)), ("/sessions", {"email": email, "password": PASSWORD}),
        ("/passwords:request-reset", {"email": email}), ("/codes:resend", {"email": email}),
    ):
        assert problem(await identity.post(path, body)) == (422, "identity.email_invalid"), path
    assert await standing(identity) == before


def test_every_form_of_an_address_is_compared_as_one() -> None:
    assert normalised_email("Jos\u00e9@B\u00fccher.example") == normalised_email("jose\u0301@xn--bcher-kva.example")
    with pytest.raises(EmailInvalid):
        normalised_email("\uff4fwner@prairie-motors.com")


# -- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["محمد الأحمد", "דנה לוי", "李小龍", "👩\u200d🔧 Dana", "Zoë Núñez-O'Brien", "Zoe\u0308 \u1e69\u0323", "नेहा"],
)
async def test_names_in_any_script_stay_as_they_are(identity: Identity, name: str) -> None:
    email = nobody()
    answer = await identity.post("/accounts", identity.sign_up_body(email) | {"name": name})
    assert answer.status_code == 202, answer.text
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        stored = await session.execute(text("SELECT name FROM accounts WHERE email = :email"), {"email": email})
        assert stored.scalar_one() == name


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\n", "\x7f", "\x85", "\u2028", "\u202e", "\u2066"])
async def test_names_with_characters_that_control_something_are_refused(identity: Identity, character: str) -> None:
    owner = await identity.owner()
    before, bad = await standing(identity), f"Dana{character}Whitfield"
    up = identity.sign_up_body(nobody())
    for path, body, token in (
        ("/accounts", up | {"name": bad}, ""),
        ("/accounts", up | {"organisation": {"name": bad}}, ""),
        ("/accounts", up | {"store": {"name": bad, "time_zone": "America/Chicago"}}, ""),
        ("/stores", {"name": bad, "time_zone": "America/Chicago"}, owner.access_token),
        ("/factors/totp", {"name": bad}, owner.access_token),
    ):
        assert problem(await identity.post(path, body, token=token)) == (422, "request.invalid"), path
    assert await standing(identity) == before


# -- codes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["１２３４５６", "١٢٣٤٥٦", "12345", "1234567", "12 456", "-12345", "0x1234", 123456])
async def test_what_is_not_six_digits_is_no_code(identity: Identity, code: object) -> None:
    owner = await identity.owner()
    for path, body in (
        ("/sessions", {"email": owner.email, "password": PASSWORD, "totp": code}),
        ("/accounts:confirm-email", {"email": owner.email, "code": code, "password": PASSWORD}),
    ):
        assert problem(await identity.post(path, body)) == (422, "request.invalid"), path


async def test_a_confirmation_code_confirms_once_in_any_number_of_parallel_tries(identity: Identity) -> None:
    email = nobody()
    await identity.post("/accounts", identity.sign_up_body(email))
    code = (await identity.mailed(email)).code
    answers = await asyncio.gather(*(identity.confirm(email, code) for _ in range(8)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 422, 429}


async def test_a_recovery_code_and_a_reset_link_work_once_in_any_number_of_parallel_tries(identity: Identity) -> None:
    owner = await identity.owner()
    body = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_codes[0]}
    answers = await asyncio.gather(*(identity.post("/sessions", body) for _ in range(6)))
    assert Counter(answer.status_code for answer in answers)[200] == 1
    await identity.post("/passwords:request-reset", {"email": owner.email})
    reset = {"token": (await identity.mailed(owner.email)).code, "password": "nine-loud-lots-at-dusk"}
    answers = await asyncio.gather(*(identity.post("/passwords:reset", reset) for _ in range(6)))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 422: 5}


# -- tokens -------------------------------------------------------------------------------------------------------


def forged(part: str) -> Callable[[Identity, str], str]:
    """An access token as it should be, but for one thing."""

    def make(identity: Identity, good: str) -> str:
        key = ECKey.import_key(identity.runtime.settings.signing_key.get_secret_value())
        header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(good.split(".")[0] + "=="))
        claims, now = claims_of(good), int(identity.clock().timestamp())
        signing: Any = key
        match part:
            case "none":
                head = base64.urlsafe_b64encode(json.dumps(header | {"alg": "none"}).encode()).decode().rstrip("=")
                return f"{head}.{good.split('.')[1]}."
            case "signature":
                head, body, signature = good.split(".")
                turned = "A" if signature[9] != "A" else "B"
                return f"{head}.{body}.{signature[:9]}{turned}{signature[10:]}"
            case "another key":
                signing = ECKey.generate_key("P-256", {"kid": header["kid"], "alg": "ES256"})
            case "key in header":
                signing = ECKey.generate_key("P-256", {"kid": header["kid"], "alg": "ES256"})
                header["jwk"] = signing.as_dict(private=False)
            case "public key as secret":
                # By hand: the library would not make it.
                parts = [json.dumps(header | {"alg": "HS256"}).encode(), json.dumps(claims).encode()]
                text_ = b".".join(base64.urlsafe_b64encode(one).rstrip(b"=") for one in parts)
                mac = hmac.digest(key.as_pem(private=False), text_, "sha256")
                return f"{text_.decode()}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
            case "another algorithm":
                header["alg"], signing = "RS256", RSAKey.generate_key(2048)
            case "typ":
                header["typ"] = "JWT"
            case "expired":
                claims["exp"] = now
            case "from the future":
                claims |= {"iat": now + 6, "exp": now + 306}
            case "not before":
                claims["nbf"] = now + 6
            case "issuer":
                claims["iss"] = "https://evil.example"
            case "audience":
                claims["aud"] = "another"
            case "no expiry":
                del claims["exp"]
            case "no session":
                del claims["sid"]
            case "subject":
                claims["sub"] = "owner"
        return jwt.encode(header, claims, signing, algorithms=["ES256", "RS256"])

    return make


@pytest.mark.parametrize(
    "part",
    ["none", "signature", "another key", "key in header", "public key as secret", "another algorithm", "typ",
     "expired", "from the future", "not before", "issuer", "audience", "no expiry", "no session", "subject"],
)
async def test_a_token_with_anything_wrong_opens_nothing(identity: Identity, part: str) -> None:
    owner = await identity.owner()
    bad = forged(part)(identity, owner.access_token)
    before = await standing(identity)
    refused = await identity.get("/accounts/me", token=bad)
    assert problem(refused) == (401, "auth.invalid_token")
    assert owner.email not in refused.text
    async with identity.client() as client:
        cookie = {"cookie": f"__Host-lotpro-access={bad}"}
        assert problem(await client.post(f"{PREFIX}/accounts/me:close", headers=cookie)) == (401, "auth.invalid_token")
    assert await standing(identity) == before


async def test_clocks_may_differ_by_five_seconds_and_an_end_is_an_end(identity: Identity) -> None:
    owner = await identity.owner()
    made = identity.clock()
    identity.clock.now = made - timedelta(seconds=5)
    assert (await identity.get("/accounts/me", token=forged("")(identity, owner.access_token))).status_code == 200
    identity.clock.now = made + timedelta(seconds=299)
    assert (await identity.get("/accounts/me", token=owner.access_token)).status_code == 200
    identity.clock.now = made + timedelta(seconds=300)
    assert problem(await identity.get("/accounts/me", token=owner.access_token)) == (401, "auth.invalid_token")


def sealed_for_something_else(identity: Identity, good: str) -> str:
    """A ticket's content under the right key, and yet no ticket."""
    keyring = identity.runtime.keyring
    content = keyring.unwrap(base64.urlsafe_b64decode(good), context=TICKET)
    return base64.urlsafe_b64encode(keyring.wrap(content, context="another")).decode()


FORGED_TICKETS: dict[str, Callable[[Identity, str], str]] = {
    "altered": lambda _, good: good[:60] + ("A" if good[60] != "A" else "B") + good[61:],
    "cut": lambda _, good: good[:-4],
    "too short": lambda _, __: "AAAA",
    "garbage": lambda _, __: "A" * 200,
    "not base64": lambda _, __: "\u00e4" * 40,
    "sealed for something else": sealed_for_something_else,
}


@pytest.mark.parametrize("part", [*FORGED_TICKETS, "access token"])
async def test_a_forged_ticket_is_a_wrong_code(identity: Identity, part: str) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(seconds=30))
    first = await identity.post("/sessions", {"email": owner.email, "password": PASSWORD})
    good = first.json()["ticket"]
    bad = owner.access_token if part == "access token" else FORGED_TICKETS[part](identity, good)
    answer = await identity.post("/sessions", {"ticket": bad, "totp": identity.code(owner)})
    assert problem(answer) == WRONG
    right = await identity.post("/sessions", {"ticket": good, "totp": identity.code(owner)})
    assert right.json()["status"] == "signed_in", "the forged one used up nothing"


async def test_a_ticket_is_no_access_token(identity: Identity) -> None:
    owner = await identity.owner()
    first = await identity.post("/sessions", {"email": owner.email, "password": PASSWORD})
    refused = await identity.get("/accounts/me", token=first.json()["ticket"])
    assert problem(refused) == (401, "auth.invalid_token")


@pytest.mark.parametrize("given", ["A" * 43, "", "\u00e4" * 20, "of another person"])
async def test_a_forged_device_cookie_is_no_device(identity: Identity, given: str) -> None:
    owner, other = await identity.owner(), await identity.owner()
    token = await trusted(identity, other) if given == "of another person" else given
    async with identity.client() as client:
        answer = await client.post(
            f"{PREFIX}/sessions", json={"email": owner.email, "password": PASSWORD},
            headers={"cookie": f"__Host-lotpro-device={token}".encode()},
        )
    assert (answer.status_code, answer.json()["status"]) == RIGHT


# -- too much, too often ------------------------------------------------------------------------------------------


async def test_mass_sign_up_is_stopped_for_one_address_alike_known_or_not(identity: Identity) -> None:
    known = (await identity.owner()).email
    # The owner's own sign-up does not count any more.
    identity.clock.advance(timedelta(minutes=15))
    for email in (known, nobody()):
        answers = [await identity.post("/accounts", identity.sign_up_body(email)) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [202] * 5 + [429]
        assert problem(answers[-1]) == (429, "identity.too_many_attempts")
        assert int(answers[-1].headers["retry-after"]) == 1


async def test_mass_sign_up_from_one_place_is_stopped(identity: Identity) -> None:
    """The limit of one place is reached by counting, not by hashing six hundred passwords."""
    from lotpro_identity.accounts import attempts

    place, now = f"2001:db8::{uuid4().hex[:4]}", identity.clock()
    for _ in range(attempts.PER_IP):
        await attempts.reserve_alone(
            identity.runtime.database, attempts.limits_of("sign_up", account=nobody(), ip=place)[2:], now=now
        )
    before = await standing(identity)
    async with identity.client() as client:
        body, headers = identity.sign_up_body(nobody()), {"x-forwarded-for": place}
        answer = await client.post(f"{PREFIX}/accounts", json=body, headers=headers)
    assert problem(answer) == (429, "identity.too_many_attempts")
    assert await standing(identity) == before


# -- invitations --------------------------------------------------------------------------------------------------


async def test_an_invitation_is_used_once_and_a_made_up_one_tells_nothing(identity: Identity) -> None:
    owner, invited = await identity.owner(), await identity.owner()
    store = (await identity.get("/organisations/current", token=owner.access_token)).json()["stores"][0]["id"]
    invite = {"email": invited.email, "role": "sales", "store_id": store}
    assert (await identity.post("/invitations", invite, token=owner.access_token)).status_code == 201
    token = (await identity.mailed(invited.email)).code
    raw = base64.urlsafe_b64decode(token)
    made_up = base64.urlsafe_b64encode(raw[:16] + bytes(32)).decode()
    nowhere = base64.urlsafe_b64encode(UUID(int=7).bytes + bytes(32)).decode()
    before = await standing(identity)
    for bad in (made_up, nowhere, "A" * 64):
        for password in (PASSWORD, "password1234", "a-wrong-password"):
            body = {"token": bad, "name": "Sam Ortega", "password": password}
            assert problem(await identity.post("/invitations:accept", body)) == (422, "identity.code_invalid")
    assert await standing(identity) == before
    accept = {"token": token, "name": "Sam Ortega", "password": PASSWORD}
    wrong = await identity.post("/invitations:accept", accept | {"password": "a-wrong-password"})
    assert problem(wrong) == (422, "identity.code_invalid")
    answers = await asyncio.gather(*(identity.post("/invitations:accept", accept) for _ in range(3)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 422: 2}
    again = await identity.post("/invitations:accept", accept)
    assert problem(again) == (422, "identity.code_invalid")
    assert (await standing(identity))["memberships"] == before["memberships"] + 1


async def test_guesses_with_an_invitation_count_as_guesses_of_the_password(identity: Identity) -> None:
    owner, invited = await identity.owner(), await identity.owner()
    store = (await identity.get("/organisations/current", token=owner.access_token)).json()["stores"][0]["id"]
    invite = {"email": invited.email, "role": "sales", "store_id": store}
    await identity.post("/invitations", invite, token=owner.access_token)
    token = (await identity.mailed(invited.email)).code
    body = {"token": token, "name": "Sam Ortega", "password": "a-wrong-password"}
    for _ in range(3):
        assert problem(await identity.post("/invitations:accept", body)) == (422, "identity.code_invalid")
    for _ in range(2):
        assert await sign_in(identity, invited.email, "a-wrong-password") == WRONG
    assert await sign_in(identity, invited.email, "a-wrong-password") == (429, "identity.too_many_attempts")
    assert problem(await identity.post("/invitations:accept", body)) == (429, "identity.too_many_attempts")
