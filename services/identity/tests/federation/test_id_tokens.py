"""ID tokens that are forged, expired, for somebody else, or no ID tokens: each is refused in its own words."""

import base64
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from lotpro_identity.federation import domain
from lotpro_kit import errors
from services.identity.tests.federation.conftest import Sso
from services.identity.tests.federation.provider import CLIENT_ID, CLIENT_SECRET

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
NONCE = "n" * 43


async def refused(sso: Sso) -> str:
    answer = await sso.sign_in()
    assert answer.status_code == 401, answer.text
    assert "access_token" not in answer.json()
    return str(answer.json()["code"])


def claims(sso: Sso, **fields: Any) -> dict[str, Any]:
    now = int(sso.identity.clock().timestamp())
    return {"iss": sso.provider.issuer, "aud": CLIENT_ID, "sub": "s-1", "iat": now, "exp": now + 300} | fields


WRONG_CLAIMS = [
    ({"iss": "https://evil.example"}, "foreign"),
    ({"aud": "another-client"}, "foreign"),
    ({"aud": [CLIENT_ID, "another-client"]}, "foreign"),
    ({"azp": "another-client"}, "foreign"),
    ({"aud": None}, "foreign"),
    ({"exp": 1}, "expired"),
    ({"exp": None}, "expired"),
    ({"exp": "never"}, "expired"),
    ({"iat": 1}, "expired"),
    ({"iat": None}, "expired"),
    ({"nbf": 32_503_680_000}, "expired"),
    ({"nonce": "another"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"nonce": 7}, "nonce"),
    ({"sub": ""}, "incomplete"),
    ({"sub": 7}, "incomplete"),
    ({"sub": "x" * 256}, "incomplete"),
    ({"sub": "a\x00b"}, "incomplete"),
]


async def test_a_signed_token_that_is_not_for_us_now_is_refused(sso: Sso) -> None:
    for fields, code in WRONG_CLAIMS:
        sso.provider.be("s-1", sso.address(), **({"amr": ["mfa"]} | fields))
        assert await refused(sso) == f"identity.sso_token_{code}"


async def test_several_audiences_are_fine_when_we_are_the_authorised_party(sso: Sso) -> None:
    sso.provider.be("s-1", sso.address(), amr=["mfa"], aud=[CLIENT_ID, "another"], azp=CLIENT_ID)
    assert (await sso.sign_in()).json()["status"] == "signed_in"


async def test_a_token_signed_with_another_key_is_refused(sso: Sso) -> None:
    sso.provider.signing_key = ECKey.generate_key("P-256", {"kid": "one"})
    assert await refused(sso) == "identity.sso_token_forged"
    sso.provider.signing_key = RSAKey.generate_key(2048, {"kid": "one"})
    assert await refused(sso) == "identity.sso_token_forged"


async def test_unsigned_and_hmac_tokens_are_refused(sso: Sso) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    for algorithm in ("none", "None", "NONE", ""):
        sso.provider.token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims(sso))}."
        assert await refused(sso) == "identity.sso_token_forged"
    # Signed with what anybody may read as if it were a secret (RFC 8725, 2.1).
    for secret in (sso.provider.key.as_pem(private=False), CLIENT_SECRET.encode()):
        signed = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims(sso))}"
        seal = hmac.digest(secret, signed.encode(), "sha256")
        sso.provider.token = f"{signed}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"
        assert await refused(sso) == "identity.sso_token_forged"


async def test_a_token_that_brings_its_own_key_is_refused(sso: Sso) -> None:
    own = ECKey.generate_key("P-256", {"kid": "own"})
    sso.provider.signing_key = own
    sso.provider.header = {"kid": "own", "jwk": own.as_dict(private=False)}
    assert await refused(sso) == "identity.sso_token_forged"
    sso.provider.header = {"kid": "own", "jku": f"{sso.provider.issuer}/other-keys"}
    assert await refused(sso) == "identity.sso_token_forged"
    assert "/other-keys" not in sso.provider.fetched


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "dpop+jwt"])
async def test_another_kind_of_token_is_refused(sso: Sso, typ: str) -> None:
    sso.provider.be("s-1", sso.address(), amr=["mfa"])
    sso.provider.header = {"typ": typ}
    assert await refused(sso) == "identity.sso_token_forged"


NO_TOKENS = ["", "x", "a.b.c", "..", "é.é.é", "x" * 20_000, "a.b.c.d.e", "[" * 12_000]


async def test_what_is_no_token_is_refused(sso: Sso) -> None:
    for token in NO_TOKENS:
        sso.provider.token = token
        assert await refused(sso) == "identity.sso_token_forged"


async def test_rsa_keys_work_and_a_new_key_is_fetched_when_it_is_met(sso: Sso) -> None:
    sso.provider.be("s-1", sso.address(), amr=["mfa"])
    assert (await sso.sign_in()).json()["status"] == "signed_in"
    for algorithm in ("RS256", "PS256"):
        sso.provider.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})
        sso.provider.header = {"alg": algorithm}
        # An unknown key is asked for every few seconds at most; another process of the service has not asked yet.
        sso.restart()
        assert (await sso.sign_in()).json()["status"] == "signed_in"


HEADER = {"alg": "ES256"}
GOOD = {"iss": "https://idp", "aud": "me", "sub": "s", "iat": SECONDS, "exp": SECONDS + 60, "nonce": NONCE}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6,
)


def read(token: dict[str, Any]) -> domain.Subject:
    return domain.read_id_token(
        HEADER, token, issuer="https://idp", client_id="me", nonce_digest=domain.digest(NONCE), now=NOW
    )


@given(st.dictionaries(st.sampled_from([*GOOD, "azp", "nbf", "amr", "acr", "email", "name", "auth_time"]), JSON))
def test_no_claims_whatever_are_anything_but_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        subject = read(GOOD | fields)
    except errors.Unauthenticated:
        return
    assert 0 < len(subject.subject) <= 255


@given(st.text(max_size=80))
def test_a_domain_is_a_name_or_refused(text: str) -> None:
    try:
        name = domain.normalised_domain(text)
    except domain.DomainInvalid:
        return
    assert domain.normalised_domain(name) == name
    assert "/" not in name
    assert "@" not in name
