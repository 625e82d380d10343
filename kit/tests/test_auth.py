"""Tokens: only what identity or Entra signed, of the right type, for us, now."""

import base64
import json
import time
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from lotpro_kit import auth, testing


def tokens(signer: testing.Signer) -> auth.UserTokens:
    return auth.UserTokens(signer.user_keys, issuer=testing.ISSUER, audience=testing.AUDIENCE)


async def test_a_good_token_tells_person_organisation_and_roles(signer: testing.Signer) -> None:
    user_id, org_id, store_id = uuid4(), uuid4(), uuid4()
    token = signer.user_token(user_id=user_id, org_id=org_id, roles={str(store_id): ["sales"]})
    caller = await tokens(signer).verify(token)
    assert (caller.user_id, caller.org_id) == (user_id, org_id)
    assert caller.stores_with("inventory:vehicle:sell") == frozenset({store_id})
    assert caller.may("identity:member:invite") is False


async def test_a_role_in_the_whole_organisation_opens_all_stores(signer: testing.Signer) -> None:
    token = signer.user_token(user_id=uuid4(), org_id=uuid4(), roles={"*": ["org_owner"]})
    assert (await tokens(signer).verify(token)).stores_with("inventory:vehicle:sell") is None


async def test_a_role_in_one_store_grants_nothing_on_the_organisation_itself(signer: testing.Signer) -> None:
    token = signer.user_token(user_id=uuid4(), org_id=uuid4(), roles={str(uuid4()): ["compliance", "org_owner"]})
    caller = await tokens(signer).verify(token)
    assert caller.may("audit:event:view")
    assert not caller.may("privacy:request:open")
    assert not caller.may("billing:subscription:manage")


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time.time()) - 1},
        {"iss": "https://evil.example/identity"},
        {"aud": "another"},
        {"nbf": int(time.time()) + 600},
        {"sub": "not-a-uuid"},
        {"amr": 5},
        {"sid": None},
        {"exp": "soon"},
    ],
    ids=lambda claims: next(iter(claims)),
)
async def test_a_token_with_a_wrong_claim_is_refused(signer: testing.Signer, claims: dict[str, Any]) -> None:
    with pytest.raises(auth.InvalidToken):
        await tokens(signer).verify(signer.user_token(user_id=uuid4(), **claims))


async def test_forged_tokens_are_refused(signer: testing.Signer) -> None:
    good = signer.user_token(user_id=uuid4())
    head, body, mark = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
    own = ECKey.generate_key("P-256", {"kid": "test-user"})
    shared = OctKey.import_key(json.dumps({"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}))
    forged = [
        f"{none}.{body}.",
        f"{head}.{body}.{mark[:-4]}AAAA",
        jwt.encode({"alg": "ES256", "kid": "test-user", "typ": "at+jwt"}, claims, own, algorithms=["ES256"]),
        jwt.encode({"alg": "HS256", "kid": "test-user", "typ": "at+jwt"}, claims, shared, algorithms=["HS256"]),
        jwt.encode(
            {"alg": "ES256", "kid": "x", "typ": "at+jwt", "jwk": own.as_dict(private=False)}, claims, own,
            algorithms=["ES256"],
        ),
        "", "a.b.c", "a" * 9000,
    ]
    for token in forged:
        with pytest.raises(auth.InvalidToken):
            await tokens(signer).verify(token)


async def test_a_token_of_another_type_is_refused(signer: testing.Signer) -> None:
    claims = {"iss": testing.ISSUER, "aud": testing.AUDIENCE, "sub": str(uuid4()), "exp": int(time.time()) + 60}
    header = {"alg": "ES256", "kid": "test-user", "typ": "JWT"}
    other = jwt.encode(header, claims, signer._user_key, algorithms=["ES256"])
    with pytest.raises(auth.InvalidToken):
        await tokens(signer).verify(other)


async def test_a_remembered_token_still_ends_at_its_expiry(signer: testing.Signer) -> None:
    verifier = tokens(signer)
    token = signer.user_token(user_id=uuid4(), expires_in=1)
    await verifier.verify(token)
    deadline = time.time() + 3

    async def refused() -> bool:
        try:
            await verifier.verify(token)
        except auth.InvalidToken:
            return True
        return False

    assert await testing.eventually(refused, within=deadline - time.time())


async def test_only_known_principals_are_services(signer: testing.Signer) -> None:
    verifier = auth.ServiceTokens(
        signer.service_keys, issuer=testing.ENTRA_ISSUER, audience=testing.SERVICE_AUDIENCE,
        principals=signer.principals,
    )
    assert await verifier.verify(signer.service_token("billing")) == "billing"
    with pytest.raises(auth.InvalidToken):
        await verifier.verify(signer.service_token("billing", audience="https://vault.azure.net"))
    stranger = auth.ServiceTokens(
        signer.service_keys, issuer=testing.ENTRA_ISSUER, audience=testing.SERVICE_AUDIENCE, principals={}
    )
    with pytest.raises(auth.InvalidToken):
        await stranger.verify(signer.service_token("billing"))
