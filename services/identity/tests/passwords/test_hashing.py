"""What is stored of a password: Argon2id over an HMAC under the pepper, made anew when the parameters have changed."""

import base64
import hmac

from argon2 import PasswordHasher
from sqlalchemy import text

from lotpro_identity.db import AUTHENTICATOR
from lotpro_identity.passwords.hashing import Passwords
from lotpro_kit.caller import system
from services.identity.tests.conftest import PASSWORD, Identity, Person, id_of

#: OWASP ASVS 5.0, 11.4.2.
TODAY = "$argon2id$v=19$m=19456,t=2,p=1$"


def peppered(identity: Identity, password: str) -> str:
    """What is hashed, by hand."""
    pepper = base64.b64decode(identity.runtime.settings.pepper.get_secret_value())
    return hmac.digest(pepper, password.encode(), "sha256").hex()


async def stored(identity: Identity, person: Person, *, instead: str = "") -> str:
    """The hash in the database; with `instead` that is put in its place first."""
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        values = {"id": id_of(person), "hash": instead}
        if instead:
            await session.execute(text("UPDATE accounts SET password_hash = :hash WHERE id = :id"), values)
        found = await session.execute(text("SELECT password_hash FROM accounts WHERE id = :id"), values)
        return str(found.scalar_one())


async def test_the_hash_is_of_the_peppered_password_with_todays_parameters(identity: Identity) -> None:
    owner = await identity.owner()
    kept = await stored(identity, owner)
    assert kept.startswith(TODAY)
    assert PasswordHasher().verify(kept, peppered(identity, PASSWORD))


async def test_a_hash_of_weaker_parameters_is_made_anew_at_the_next_sign_in(identity: Identity) -> None:
    owner = await identity.owner()
    weak = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(peppered(identity, PASSWORD))
    await stored(identity, owner, instead=weak)
    wrong = await identity.post("/sessions", {"email": owner.email, "password": "a-wrong-password"})
    assert wrong.status_code == 401
    assert await stored(identity, owner) == weak, "only the right password makes it anew"
    first = await identity.post("/sessions", {"email": owner.email, "password": PASSWORD})
    fresh = await stored(identity, owner)
    assert fresh.startswith(TODAY)
    body = {"ticket": first.json()["ticket"], "recovery_code": owner.recovery_codes[0]}
    assert (await identity.post("/sessions", body)).status_code == 200, "the second step goes on"
    await identity.post("/sessions", {"email": owner.email, "password": PASSWORD})
    assert await stored(identity, owner) == fresh, "once"


async def test_without_the_pepper_a_stolen_hash_can_not_be_guessed(identity: Identity) -> None:
    owner = await identity.owner()
    kept = await stored(identity, owner)
    elsewhere = Passwords(lambda: base64.b64encode(b"another pepper, of 32 bytes, too").decode(), threads=1, queue=2)
    here = Passwords(identity.runtime.settings.pepper.get_secret_value, threads=1, queue=2)
    assert [await one.verify(PASSWORD, kept) for one in (elsewhere, here)] == [False, True]
