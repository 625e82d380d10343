"""Known and unknown addresses cost the same: counted in hashes, and levelled where the work differs."""

import time
from uuid import uuid4

import pytest

from lotpro_identity.passwords.hashing import Passwords
from services.identity.tests.conftest import PASSWORD, Identity


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each hash computation, as it happens; the computation itself is the real one."""
    done: list[str] = []
    for name in ("hash", "verify"):
        original = getattr(Passwords, name)

        async def counted(self: Passwords, *given: str, _name: str = name, _original: object = original) -> object:
            done.append(_name)
            return await _original(self, *given)  # type: ignore[operator]

        monkeypatch.setattr(Passwords, name, counted)
    return done


async def test_every_sign_in_computes_one_hash_whoever_it_is(identity: Identity, hashes: list[str]) -> None:
    owner = await identity.owner()
    unconfirmed = f"{uuid4().hex}@prairie-motors.com"
    await identity.post("/accounts", identity.sign_up_body(unconfirmed))
    for email in (owner.email, unconfirmed, f"{uuid4().hex}@prairie-motors.com"):
        for password in ("a-wrong-password", ""):
            hashes.clear()
            answer = await identity.post("/sessions", {"email": email, "password": password})
            assert (answer.status_code, answer.json()["code"]) == (401, "identity.credentials_invalid")
            assert hashes == ["verify"]


async def test_signing_up_computes_one_hash_whether_the_address_is_known(
    identity: Identity, hashes: list[str]
) -> None:
    owner = await identity.owner()
    for email in (owner.email, f"{uuid4().hex}@prairie-motors.com"):
        hashes.clear()
        answer = await identity.post("/accounts", identity.sign_up_body(email) | {"password": PASSWORD})
        assert (answer.status_code, hashes) == (202, ["hash"])


async def test_levelled_work_takes_as_long_as_it_says() -> None:
    from lotpro_identity.ports import Ports

    class Levelled(Ports):
        def __init__(self) -> None:
            object.__setattr__(self, "level_seconds", 0.05)

    begun = time.monotonic()
    async with Levelled().levelled():
        pass
    assert time.monotonic() - begun >= 0.05
