"""Passkeys: registered, used alone and as a second step, and what is refused."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit.caller import system
from services.identity.tests.authenticator import BACKED_UP, BACKUP_ELIGIBLE, Passkey, b64
from services.identity.tests.conftest import Identity, Person, claims_of


async def registered(identity: Identity, person: Person, passkey: Passkey) -> httpx.Response:
    begun = (await identity.post("/factors/passkeys:begin", {}, token=person.access_token)).json()
    body = {"ceremony_id": begun["ceremony_id"], "credential": passkey.register(begun["options"]), "name": "Phone"}
    return await identity.post("/factors/passkeys", body, token=person.access_token)


async def proof(identity: Identity, passkey: Passkey, *, ticket: str | None = None) -> dict[str, Any]:
    begun = (await identity.post("/sessions:begin-passkey", {"ticket": ticket} if ticket else {})).json()
    return {"ceremony_id": begun["ceremony_id"], "credential": passkey.prove(begun["options"])}


@pytest.fixture
async def owner(identity: Identity) -> Person:
    return await identity.owner()


@pytest.fixture
async def passkey(identity: Identity, owner: Person) -> Passkey:
    made = Passkey()
    answer = await registered(identity, owner, made)
    assert answer.json()["status"] == "added", answer.text
    return made


async def test_a_passkey_alone_signs_in_with_two_factors(identity: Identity, passkey: Passkey) -> None:
    answer = await identity.post("/sessions", {"passkey": await proof(identity, passkey)})
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json()["access_token"])
    assert (claims["aal"], claims["amr"]) == ("aal2", ["pop", "user"])


async def test_a_passkey_is_a_second_step_and_steps_up(identity: Identity, owner: Person, passkey: Passkey) -> None:
    first = (await identity.post("/sessions", {"email": owner.email, "password": owner.password})).json()
    assert first["factors"] == ["passkey", "totp", "recovery_code"]
    shown = await proof(identity, passkey, ticket=first["ticket"])
    second = await identity.post("/sessions", {"ticket": first["ticket"], "passkey": shown})
    token = second.json()["access_token"]
    assert claims_of(token)["amr"] == ["pwd", "pop"]
    begun = (await identity.post("/sessions:begin-step-up", {}, token=token)).json()
    body = {"passkey": {"ceremony_id": begun["ceremony_id"], "credential": passkey.prove(begun["options"])}}
    assert (await identity.post("/sessions:step-up", body, token=token)).status_code == 200


async def test_a_newcomer_can_begin_with_a_passkey(identity: Identity) -> None:
    person, token = await identity.confirmed()
    person.access_token = token
    answer = (await registered(identity, person, Passkey())).json()
    assert (answer["status"], len(answer["recovery_codes"])) == ("signed_in", 10)
    assert claims_of(answer["access_token"])["amr"] == ["pwd", "pop"]


async def test_an_answer_counts_once(identity: Identity, passkey: Passkey) -> None:
    shown = await proof(identity, passkey)
    assert (await identity.post("/sessions", {"passkey": shown})).status_code == 200
    assert (await identity.post("/sessions", {"passkey": shown})).status_code == 401


@pytest.mark.parametrize("wrong", ["origin", "unverified", "copied", "key", "domain", "late", "other user", "unknown"])
async def test_what_is_not_right_is_refused_in_the_same_words(
    identity: Identity, passkey: Passkey, wrong: str
) -> None:
    begun = (await identity.post("/sessions:begin-passkey", {})).json()
    used, options = passkey, begun["options"]
    if wrong == "origin":
        used = replace(passkey, origin="http://localhost.evil.example")
    elif wrong == "unverified":
        used = replace(passkey, verified=False)
    elif wrong == "copied":
        ahead = replace(passkey, count=50)
        assert (await identity.post("/sessions", {"passkey": await proof(identity, ahead)})).status_code == 200
    elif wrong == "key":
        used = replace(passkey, key=Passkey().key)
    elif wrong == "domain":
        options = options | {"rpId": "evil.example"}
    elif wrong == "late":
        identity.clock.advance(timedelta(minutes=5))
    elif wrong == "other user":
        used = replace(passkey, user_handle=b64(uuid4().bytes))
    elif wrong == "unknown":
        used = replace(passkey, id=b"\x00" * 32)
    body = {"passkey": {"ceremony_id": begun["ceremony_id"], "credential": used.prove(options)}}
    answer = await identity.post("/sessions", body)
    assert (answer.status_code, answer.json()["code"]) == (401, "identity.credentials_invalid")


async def stored(identity: Identity, passkey: Passkey) -> tuple[int, bool, bool]:
    """What is kept of a passkey: counter, whether it may be copied, whether it is."""
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        query = text("SELECT sign_count, backup_eligible, backed_up FROM factors WHERE credential_id = :id")
        return tuple((await session.execute(query, {"id": passkey.id})).one())


async def test_the_counter_and_the_flags_of_copies_are_kept(identity: Identity, owner: Person) -> None:
    passkey = Passkey(copies=BACKUP_ELIGIBLE)
    assert (await registered(identity, owner, passkey)).json()["status"] == "added"
    assert await stored(identity, passkey) == (0, True, False)
    passkey.copies |= BACKED_UP
    assert (await identity.post("/sessions", {"passkey": await proof(identity, passkey)})).status_code == 200
    assert await stored(identity, passkey) == (1, True, True)
    passkey.copies = 0
    refused = await identity.post("/sessions", {"passkey": await proof(identity, passkey)})
    assert refused.json()["code"] == "identity.credentials_invalid", "a key may be copied from the beginning, or never"
    assert await stored(identity, passkey) == (1, True, True)


async def test_a_registration_from_another_page_or_for_another_person_is_refused(
    identity: Identity, owner: Person
) -> None:
    foreign = await registered(identity, owner, Passkey(origin="http://evil.example"))
    assert (foreign.status_code, foreign.json()["code"]) == (422, "identity.passkey_invalid")
    other = await identity.owner()
    begun = (await identity.post("/factors/passkeys:begin", {}, token=other.access_token)).json()
    body = {"ceremony_id": begun["ceremony_id"], "credential": Passkey().register(begun["options"])}
    assert (await identity.post("/factors/passkeys", body, token=owner.access_token)).status_code == 422


async def test_a_passkey_belongs_to_one_account(identity: Identity, passkey: Passkey) -> None:
    other = await identity.owner()
    assert (await registered(identity, other, passkey)).status_code == 422


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    credential=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("id", "rawId", "type", "response", "clientExtensionResults"), _JSON)
    )
)
def test_no_answer_of_an_authenticator_breaks_the_door(credential: dict[str, Any]) -> None:
    """Pure part: what the library makes of hostile JSON is always one of the errors we expect."""
    from webauthn import verify_authentication_response

    from lotpro_identity.factors.passkeys import _MALFORMED

    with pytest.raises(_MALFORMED):
        verify_authentication_response(
            credential=credential, expected_challenge=b"x", expected_rp_id="localhost", expected_origin="http://x",
            credential_public_key=b"", credential_current_sign_count=0,
        )
