"""Trusted devices: the password is enough there, for 90 days, until revoked; strangers cannot lock their owner out."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit.caller import system
from lotpro_kit.jobs import Run
from services.identity.tests.conftest import PASSWORD, Identity, Person, claims_of
from services.identity.tests.factors.test_managing import trusted


async def sign_in(identity: Identity, person: Person, device: str, password: str = PASSWORD) -> dict[str, object]:
    body = {"email": person.email, "password": password, "device_token": device}
    answer: dict[str, object] = (await identity.post("/sessions", body)).json()
    return answer


async def test_a_trusted_device_signs_in_with_the_password_alone_and_is_listed(identity: Identity) -> None:
    owner = await identity.owner()
    device = await trusted(identity, owner)
    opened = await sign_in(identity, owner, device)
    claims = claims_of(str(opened["access_token"]))
    assert (claims["aal"], claims["amr"]) == ("aal1", ["pwd", "dev"])
    [listed] = (await identity.get("/devices", token=owner.access_token)).json()["items"]
    async with identity.client(owner.access_token) as client:
        path = f"/api/identity/v1/devices/{listed['id']}"
        assert (await client.delete(path)).status_code == 204
        assert (await client.delete(path)).status_code == 404
    assert (await sign_in(identity, owner, device))["status"] == "factor_required"


@pytest.mark.parametrize("token", ["forged", "of another person"])
async def test_a_foreign_or_forged_device_is_no_device(identity: Identity, token: str) -> None:
    owner, other = await identity.owner(), await identity.owner()
    device = "A" * 43 if token == "forged" else await trusted(identity, other)
    assert (await sign_in(identity, owner, device))["status"] == "factor_required"


async def test_trust_ends_after_90_days_and_the_row_with_it(identity: Identity) -> None:
    owner = await identity.owner()
    device = await trusted(identity, owner)
    job = next(job for job in identity.parts.jobs if job.name == "expire-devices")
    identity.clock.advance(timedelta(days=90) - timedelta(seconds=1))
    await job.work(Run(as_of=identity.clock()))
    assert await rows(identity, owner) == 1
    identity.clock.advance(timedelta(seconds=1))
    assert (await sign_in(identity, owner, device))["status"] == "factor_required"
    foreseen = await job.work(Run(as_of=identity.clock(), dry_run=True))
    assert await rows(identity, owner) == 1
    assert foreseen == await job.work(Run(as_of=identity.clock()))
    assert await rows(identity, owner) == 0


async def rows(identity: Identity, person: Person) -> int:
    """How many devices of a person stand in the database."""
    account_id = claims_of(person.access_token)["sub"]
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        query = text("SELECT count(*) FROM devices WHERE account_id = :account_id")
        return int((await session.execute(query, {"account_id": account_id})).scalar_one())


async def test_a_new_password_ends_all_trust(identity: Identity) -> None:
    owner = await identity.owner()
    device = await trusted(identity, owner)
    body = {"current_password": PASSWORD, "new_password": "nine-loud-lots-at-dusk"}
    assert (await identity.post("/passwords:change", body, token=owner.access_token)).status_code == 204
    opened = await sign_in(identity, owner, device, "nine-loud-lots-at-dusk")
    assert opened["status"] == "factor_required"


async def test_strangers_cannot_lock_the_owner_out_of_a_trusted_device(identity: Identity) -> None:
    owner = await identity.owner()
    device = await trusted(identity, owner)
    for _ in range(5):
        assert (await sign_in(identity, owner, "", "a-wrong-password"))["code"] == "identity.credentials_invalid"
    assert (await sign_in(identity, owner, "", PASSWORD))["code"] == "identity.too_many_attempts"
    assert (await sign_in(identity, owner, device))["status"] == "signed_in"
