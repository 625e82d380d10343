"""What is revoked is refused on the next request, here and in every service that follows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from lotpro_identity.accounts import service as accounts
from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit import auth, testing
from lotpro_kit.caller import system
from lotpro_kit.jobs import Run
from lotpro_kit.revocations import Revocations, Revoked, follow
from services.identity.tests.conftest import Identity, claims_of


@asynccontextmanager
async def following(identity: Identity) -> AsyncIterator[Revocations]:
    """Another service's list, kept from identity's feed."""
    known = Revocations()
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        task = asyncio.create_task(follow(channel_as("inventory"), known))
        try:
            yield known
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def refused(identity: Identity, known: Revocations, token: str) -> bool:
    caller = auth._caller(claims_of(token))
    try:
        known.check(caller)
    except Revoked:
        return True
    return False


async def status(identity: Identity, token: str) -> int:
    return (await identity.get("/sessions/current", token=token)).status_code


async def test_an_ended_session_is_refused_everywhere_at_once(identity: Identity) -> None:
    owner = await identity.owner()
    async with following(identity) as known:
        assert await status(identity, owner.access_token) == 200
        await identity.post("/sessions:sign-out", {}, token=owner.access_token)

        async def gone() -> bool:
            here = await status(identity, owner.access_token) == 401
            return here and refused(identity, known, owner.access_token)

        await testing.eventually(gone, within=1)
    answer = await identity.get("/sessions/current", token=owner.access_token)
    assert answer.json()["code"] == "auth.revoked"


async def test_a_service_that_comes_later_learns_what_is_in_force(identity: Identity) -> None:
    owner = await identity.owner()
    await identity.post("/sessions:sign-out", {}, token=owner.access_token)
    async with following(identity) as known:

        async def learned() -> bool:
            return refused(identity, known, owner.access_token)

        await testing.eventually(learned, within=2)


async def test_a_changed_access_takes_old_tokens_back_and_a_refresh_brings_a_good_one(identity: Identity) -> None:
    owner = await identity.owner()
    account_id = UUID(claims_of(owner.access_token)["sub"])
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        await accounts.change_access(session, account_id, now=identity.clock())

    async def gone() -> bool:
        return await status(identity, owner.access_token) == 401

    await testing.eventually(gone, within=1)
    fresh = (await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})).json()
    assert await status(identity, fresh["access_token"]) == 200


async def test_revocations_are_dropped_when_the_tokens_have_expired(identity: Identity) -> None:
    owner = await identity.owner()
    job = next(job for job in identity.parts.jobs if job.name == "expire-challenges")
    # Of the tests before, whose rows are in the same table.
    await job.work(Run(as_of=identity.clock() + timedelta(minutes=5)))
    await identity.post("/sessions:sign-out", {}, token=owner.access_token)
    kept = await job.work(Run(as_of=identity.clock() + timedelta(minutes=5)))
    dropped = await job.work(Run(as_of=identity.clock() + timedelta(minutes=6)))
    assert (kept["revocations"], dropped["revocations"] >= 1) == (0, True)


@pytest.mark.parametrize("signed_out", [1, 3])
async def test_signing_out_elsewhere_ends_the_others_only(identity: Identity, signed_out: int) -> None:
    owner = await identity.owner()
    others = []
    for code in owner.recovery_codes[:signed_out]:
        body = {"email": owner.email, "password": owner.password, "recovery_code": code}
        others.append((await identity.post("/sessions", body)).json()["access_token"])
    answer = await identity.post("/sessions:revoke-others", {}, token=owner.access_token)
    assert answer.json() == {"sessions": signed_out}

    async def gone() -> bool:
        return all([await status(identity, token) == 401 for token in others])

    await testing.eventually(gone, within=1)
    assert await status(identity, owner.access_token) == 200
