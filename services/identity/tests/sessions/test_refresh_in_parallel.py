"""Refreshing without a race: any number of tabs at once are one family, and a thief ends that family only."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import httpx
from sqlalchemy import text

from lotpro_identity.db import AUTHENTICATOR
from lotpro_identity.sessions.domain import GRACE
from lotpro_kit import testing
from lotpro_kit.caller import system
from services.identity.tests.conftest import PASSWORD, PREFIX, Identity, Person, claims_of

TABS = 200


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """One tab: it comes again when every database connection is taken, as the answer tells it to."""
    while True:
        answer = await client.post(f"{PREFIX}/sessions:refresh", json={"refresh_token": token})
        if answer.status_code != 503:
            return answer


async def at_once(identity: Identity, tokens: list[str]) -> list[httpx.Response]:
    """Every token refreshed at the same time."""
    async with identity.client() as client:
        return list(await asyncio.gather(*(refresh(client, token) for token in tokens)))


async def families(identity: Identity, person: Person) -> dict[UUID, Counter[str]]:
    """Of each session: how many refresh tokens it has, used and unused ones, and whether it was revoked."""
    query = text(
        "SELECT s.id, s.revoked_at IS NOT NULL AS revoked, count(t.used_at) AS used, count(*) AS tokens"
        " FROM sessions s JOIN refresh_tokens t ON t.session_id = s.id WHERE s.account_id = :account_id GROUP BY s.id"
    )
    async with identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        rows = await session.execute(query, {"account_id": claims_of(person.access_token)["sub"]})
        return {
            row.id: Counter({"used": row.used, "unused": row.tokens - row.used, "revoked": int(row.revoked)})
            for row in rows
        }


async def reuses(identity: Identity, session_id: UUID) -> int:
    events = await testing.events(identity.runtime.database, containing=str(session_id))
    return sum(body.get("action") == "identity:session:refresh_reuse" for _, body in events)


async def test_two_hundred_tabs_refresh_at_once_and_none_is_taken_for_a_thief(identity: Identity) -> None:
    owner = await identity.owner()
    mine = UUID(claims_of(owner.access_token)["sid"])
    answers = await at_once(identity, [owner.refresh_token] * TABS)
    assert Counter(answer.status_code for answer in answers) == {200: TABS}
    assert len({answer.json()["refresh_token"] for answer in answers}) == TABS, "no token is given out twice"
    assert {claims_of(answer.json()["access_token"])["sid"] for answer in answers} == {str(mine)}
    assert await reuses(identity, mine) == 0
    assert await families(identity, owner) == {mine: Counter({"used": 1, "unused": TABS, "revoked": 0})}


async def test_tabs_that_share_the_newest_token_leave_one_that_works_and_reuse_ends_that_family_only(
    identity: Identity,
) -> None:
    owner = await identity.owner()
    mine = UUID(claims_of(owner.access_token)["sid"])
    body = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_codes[0]}
    elsewhere = (await identity.post("/sessions", body)).json()
    other = UUID(claims_of(elsewhere["access_token"])["sid"])

    answers = await at_once(identity, [owner.refresh_token] * TABS)
    # A browser keeps one cookie: the last answer wins, and every tab goes on with that one.
    newest = answers[-1].json()["refresh_token"]
    for _ in range(3):
        identity.clock.advance(GRACE + timedelta(seconds=1))
        again = await at_once(identity, [newest] * 20)
        assert {answer.status_code for answer in again} == {200}
        newest = again[-1].json()["refresh_token"]
    assert await reuses(identity, mine) == 0

    identity.clock.advance(GRACE)
    last = (await at_once(identity, [newest]))[0].json()["refresh_token"]
    identity.clock.advance(GRACE)
    assert (await at_once(identity, [newest]))[0].status_code == 200, "the grace's last moment"
    identity.clock.advance(timedelta(microseconds=1))
    thieves = await at_once(identity, [newest] * 20)
    assert {(answer.status_code, answer.json()["code"]) for answer in thieves} == {(401, "identity.session_over")}
    assert await reuses(identity, mine) == 1, "found once, however many thieves come at once"
    assert [told.topic for told in await identity.alerts(owner.email)].count("session_stolen") == 1

    assert (await at_once(identity, [last]))[0].status_code == 401, "the newest token ended with its family"
    assert (await at_once(identity, [elsewhere["refresh_token"]]))[0].status_code == 200
    found = await families(identity, owner)
    assert (found[mine]["revoked"], found[other]["revoked"]) == (1, 0)


async def test_a_thief_and_the_owner_at_the_same_moment_end_the_session_for_both(identity: Identity) -> None:
    owner = await identity.owner()
    fresh = (await at_once(identity, [owner.refresh_token]))[0].json()["refresh_token"]
    identity.clock.advance(GRACE + timedelta(seconds=1))
    await at_once(identity, [owner.refresh_token, fresh] * 20)
    assert (await at_once(identity, [fresh]))[0].status_code == 401
    [found] = (await families(identity, owner)).values()
    assert found["revoked"] == 1
