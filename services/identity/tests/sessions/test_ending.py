"""Sessions end everywhere at once when their owner says so, and leave nothing when their 30 days are over."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.jobs import Counts, Run
from services.identity.tests.conftest import PASSWORD, Identity, Person, id_of

MONTH = timedelta(days=30)


async def expire(identity: Identity, *, dry_run: bool = False) -> Counts:
    job = next(job for job in identity.parts.jobs if job.name == "expire-sessions")
    return await job.work(Run(as_of=identity.clock(), dry_run=dry_run))


async def number(identity: Identity, query: str, account_id: UUID) -> int:
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        return int((await session.execute(text(query), {"account": account_id})).scalar_one())


async def stored(identity: Identity, person: Person) -> tuple[int, int]:
    """How many sessions and refresh tokens of a person stand in the database."""
    mine = "FROM sessions s WHERE s.account_id = :account"
    tokens = f"SELECT count(*) FROM refresh_tokens WHERE session_id IN (SELECT s.id {mine})"
    return (
        await number(identity, f"SELECT count(*) {mine}", id_of(person)), await number(identity, tokens, id_of(person))
    )


async def test_signing_out_everywhere_ends_the_present_session_too(identity: Identity) -> None:
    owner = await identity.owner()
    body = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_codes[0]}
    elsewhere = (await identity.post("/sessions", body)).json()
    answer = await identity.post("/sessions:revoke-all", {}, token=owner.access_token)
    assert answer.json() == {"sessions": 2}

    async def over() -> bool:
        tokens = (owner.access_token, elsewhere["access_token"])
        return {(await identity.get("/accounts/me", token=token)).status_code for token in tokens} == {401}

    await testing.eventually(over, within=1)
    for refresh_token in (owner.refresh_token, elsewhere["refresh_token"]):
        assert (await identity.post("/sessions:refresh", {"refresh_token": refresh_token})).status_code == 401


async def test_a_session_and_its_tokens_are_dropped_when_its_30_days_are_over(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(timedelta(minutes=20))
    used_last = identity.clock()
    fresh = await identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})
    identity.clock.advance(MONTH - timedelta(minutes=20, seconds=1))
    await expire(identity)
    assert await stored(identity, owner) == (1, 2), "not before its time"
    identity.clock.advance(timedelta(seconds=1))
    over = await identity.post("/sessions:refresh", {"refresh_token": fresh.json()["refresh_token"]})
    assert over.json()["code"] == "identity.session_over", "however lately it was renewed"
    foreseen = await expire(identity, dry_run=True)
    assert await stored(identity, owner) == (1, 2)
    assert foreseen == await expire(identity)
    assert await stored(identity, owner) == (0, 0)
    active = "SELECT floor(extract(epoch FROM last_active_at)) FROM accounts WHERE id = :account"
    assert await number(identity, active, id_of(owner)) == int(used_last.timestamp()), "when they were here stays known"


async def test_who_comes_back_after_their_sessions_were_dropped_is_told(identity: Identity) -> None:
    owner = await identity.owner()
    identity.clock.advance(MONTH + timedelta(hours=1))
    await expire(identity)
    body = {"email": owner.email, "password": PASSWORD, "totp": identity.code(owner)}
    assert (await identity.post("/sessions", body)).status_code == 200
    assert [told.topic for told in await identity.alerts(owner.email)] == ["new_device"]
