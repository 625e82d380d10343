"""Known and unknown addresses cost the same: counted in Argon2 computations, and levelled where the work differs."""

import base64
import time
from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from lotpro_identity.passwords.argon2id import Argon2id
from lotpro_identity.passwords.hashing import Passwords
from services.identity.tests.conftest import PASSWORD, Identity, Person

WRONG = "a-wrong-password"


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each Argon2 computation, as it happens; the computation itself is the real one."""
    done: list[str] = []

    def counted(name: str, original: Callable[..., object]) -> Callable[..., object]:
        def compute(self: object, *given: object) -> object:
            done.append(name)
            return original(self, *given)

        return compute

    for hasher in (Argon2id, PasswordHasher):
        for name in ("hash", "verify"):
            monkeypatch.setattr(hasher, name, counted(name, getattr(hasher, name)))
    return done


def nobody() -> str:
    return f"{uuid4().hex}@prairie-motors.com"


def told(answer: httpx.Response) -> tuple[object, ...]:
    """What an answer says, but for the ids of the request."""
    body = answer.json() if answer.content else {}
    body.pop("trace_id", None)
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, body, headers


async def unconfirmed(identity: Identity) -> str:
    email = nobody()
    await identity.post("/accounts", identity.sign_up_body(email))
    return email


async def closing(identity: Identity) -> str:
    owner = await identity.owner()
    closed = await identity.post("/accounts/me:close", {}, token=owner.access_token)
    assert closed.status_code == 202, closed.text
    return owner.email


async def locked(identity: Identity) -> str:
    owner = await identity.owner()
    await identity.post("/factors/recovery-codes", {}, token=owner.access_token)
    [alert] = await identity.alerts(owner.email)
    assert (await identity.post("/accounts:not-me", {"token": alert.code})).status_code == 204
    return owner.email


async def limited(identity: Identity) -> str:
    """Its tries from here are used up for now."""
    owner = await identity.owner()
    for _ in range(5):
        await identity.post("/sessions", {"email": owner.email, "password": WRONG})
    return owner.email


async def test_the_very_first_stranger_costs_one_computation_too(identity: Identity, hashes: list[str]) -> None:
    """In a process that has hashed nothing yet."""
    await identity.post("/sessions", {"email": nobody(), "password": WRONG})
    assert hashes == ["verify"]


async def test_every_sign_in_that_fails_is_answered_alike_after_one_computation(
    identity: Identity, hashes: list[str]
) -> None:
    owner = await identity.owner()
    accounts = {
        "known": owner.email, "unknown": nobody(), "unconfirmed": await unconfirmed(identity),
        "closing": await closing(identity), "locked": await locked(identity),
    }
    answers = set()
    for state, email in accounts.items():
        # The right one, too, where it opens nothing.
        for password in (WRONG, "", *([] if state == "known" else [PASSWORD])):
            hashes.clear()
            answer = await identity.post("/sessions", {"email": email, "password": password})
            assert hashes == ["verify"], (state, password)
            answers.add(str(told(answer)))
    assert len(answers) == 1
    assert "identity.credentials_invalid" in answers.pop()


async def test_the_right_password_costs_one_computation_with_and_without_a_code(
    identity: Identity, hashes: list[str]
) -> None:
    owner = await identity.owner()
    for given in ({}, {"totp": "000000"}, {"recovery_code": owner.recovery_codes[0]}, {"device_token": "A" * 43}):
        hashes.clear()
        await identity.post("/sessions", {"email": owner.email, "password": PASSWORD, **given})
        assert hashes == ["verify"], given


async def test_who_has_to_wait_costs_nothing_known_or_not(identity: Identity, hashes: list[str]) -> None:
    known, unknown = await limited(identity), nobody()
    for _ in range(5):
        await identity.post("/sessions", {"email": unknown, "password": WRONG})
    answers = set()
    for email, password in ((known, WRONG), (known, PASSWORD), (unknown, WRONG)):
        hashes.clear()
        answers.add(str(told(await identity.post("/sessions", {"email": email, "password": password}))))
        assert hashes == []
    assert len(answers) == 1
    assert "identity.too_many_attempts" in answers.pop()


@pytest.mark.parametrize(
    ("path", "computations"),
    [("/accounts", ["hash"]), ("/passwords:request-reset", []), ("/codes:resend", [])],
)
async def test_what_a_stranger_may_ask_about_an_address_is_answered_alike_for_the_same_work(
    identity: Identity, hashes: list[str], path: str, computations: list[str]
) -> None:
    answers = set()
    for email in (
        (await identity.owner()).email, nobody(), await unconfirmed(identity), await closing(identity),
        await locked(identity),
    ):
        body = identity.sign_up_body(email) if path == "/accounts" else {"email": email}
        hashes.clear()
        answers.add(str(told(await identity.post(path, body))))
        assert hashes == computations
    assert len(answers) == 1, answers


async def test_a_confirmation_code_for_nobody_is_refused_like_a_wrong_one(identity: Identity) -> None:
    known, unknown = Person(await unconfirmed(identity)), Person(nobody())
    wrong = "000000" if (await identity.mailed(known.email)).code != "000000" else "000001"
    answers = {
        str(told(await identity.confirm(person.email, wrong, password)))
        for person in (known, unknown) for password in (PASSWORD, WRONG)
    }
    assert len(answers) == 1


def test_the_hash_no_password_has_costs_what_a_real_one_does() -> None:
    passwords = Passwords(lambda: base64.b64encode(bytes(32)).decode(), threads=1, queue=1)
    assert not passwords.is_outdated(passwords.dummy)
    real = extract_parameters(PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash("x"))
    assert extract_parameters(passwords.dummy) == real
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(passwords.dummy, "x")


async def test_levelled_work_takes_as_long_as_it_says() -> None:
    from lotpro_identity.ports import Ports

    class Levelled(Ports):
        def __init__(self) -> None:
            object.__setattr__(self, "level_seconds", 0.05)

    begun = time.monotonic()
    async with Levelled().levelled():
        pass
    assert time.monotonic() - begun >= 0.05
