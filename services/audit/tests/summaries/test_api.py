"""What looks like an attack, counted by the day."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from lotpro.security.v1 import events_pb2
from lotpro_audit import app
from lotpro_audit.summaries import repository
from lotpro_kit import crypto, testing
from lotpro_kit.caller import Origin, system
from lotpro_kit.db import Database, fetch
from services.audit.tests.conftest import Log
from services.audit.tests.legal import noon

PATH = "/api/audit/v1/events:summarise"
NOTHING = dict.fromkeys(
    ("failed_sign_ins", "mfa_failures", "lockouts", "refresh_reuses", "suspicious_findings", "new_devices", "actors",
     "addresses"), 0,
)


def attack(log: Log, action: str, *, at: datetime, ip: str = "203.0.113.9", ok: bool = False, **more: Any) -> Any:
    sealed = crypto.seal_origin(Origin(ip=ip), log.runtime.settings.audit_sealing_public_key)
    outcome = events_pb2.OUTCOME_SUCCESS if ok else events_pb2.OUTCOME_FAILURE
    return log.act(action, at=at, outcome=outcome, sealed_origin=sealed, **{"store_id": "", **more})


async def summarise(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_summary_counts_each_kind_on_its_day_and_names_who_stands_out(log: Log) -> None:
    today = noon(log.clock().date() - timedelta(days=1))
    yesterday, other = today - timedelta(days=1), uuid4()
    sign_in = "identity:session:create"
    await log.take_all(
        *(attack(log, sign_in, at=today, factor="password", ip=f"203.0.113.{number}") for number in range(3)),
        attack(log, sign_in, at=today, factor="totp", actor_id=str(other)),
        attack(log, sign_in, at=today, factor="passkey", actor_id=""),
        attack(log, sign_in, at=today, factor="totp", ok=True),
        attack(log, "identity:account:lock", at=today, ok=True),
        attack(log, "identity:session:refresh_reuse", at=yesterday),
        attack(log, "identity:session:suspicious", at=yesterday, ok=True, factor='"factor":"password"'),
        attack(log, "identity:device:trust", at=yesterday, ok=True),
        attack(log, "identity:device:revoke", at=yesterday, ok=True),
        attack(log, "inventory:vehicle:sell", at=yesterday),
    )
    days = {"first": yesterday.date().isoformat(), "last": log.clock().date().isoformat()}
    async with log.client("compliance") as officer:
        found = await summarise(officer, **days)
    assert (found["first"], found["last"]) == (days["first"], days["last"])
    assert found["days"] == [
        {**NOTHING, "day": days["first"], "refresh_reuses": 1, "suspicious_findings": 1, "new_devices": 1,
         "actors": 1, "addresses": 1},
        {**NOTHING, "day": today.date().isoformat(), "failed_sign_ins": 5, "mfa_failures": 2, "lockouts": 1,
         "actors": 2, "addresses": 4},
        {**NOTHING, "day": days["last"]},
    ]
    assert found["top_actors"] == [
        {"actor_id": str(log.actor_id), "count": 7}, {"actor_id": str(other), "count": 1}
    ]
    assert "203.0.113" not in str(found)


async def test_the_ten_with_the_most_acts_are_named(log: Log) -> None:
    people = [uuid4() for _ in range(12)]
    at = log.clock() - timedelta(minutes=1)
    acts = [
        attack(log, "identity:session:create", at=at, actor_id=str(person))
        for number, person in enumerate(people) for _ in range(number + 1)
    ]
    await log.take_all(*acts)
    async with log.client("org_owner") as owner:
        found = await summarise(owner)
    assert [(UUID(entry["actor_id"]), entry["count"]) for entry in found["top_actors"]] == [
        (people[number], number + 1) for number in range(11, 1, -1)
    ]
    assert len(found["days"]) == 30


async def test_a_store_administrator_sees_their_store_and_others_nothing(log: Log) -> None:
    other = uuid4()
    at = log.clock() - timedelta(minutes=1)
    await log.take_all(
        attack(log, "identity:session:create", at=at),
        attack(log, "identity:device:trust", at=at, ok=True, store_id=str(log.store_id)),
        attack(log, "identity:device:trust", at=at, ok=True, store_id=str(other)),
    )

    async def sums(client: httpx.AsyncClient) -> tuple[int, int]:
        found = Counter[str]()
        for day in (await summarise(client))["days"]:
            found.update({name: count for name, count in day.items() if name != "day"})
        return found["failed_sign_ins"], found["new_devices"]

    for role in ("org_owner", "compliance", "platform_privacy"):
        async with log.client(role) as whole:
            assert await sums(whole) == (1, 2)
    async with log.client("store_admin", store_id=log.store_id) as admin:
        assert await sums(admin) == (0, 1)
    async with log.client("org_owner", org_id=uuid4()) as stranger:
        assert await sums(stranger) == (0, 0)
    async with log.client("sales") as seller:
        assert (await seller.get(PATH)).status_code == 403
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        assert (await nobody.get(PATH)).status_code == 401


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"first": "2026-01-01", "last": "2026-04-01"}, "audit.period_impossible"),
        ({"first": "2026-01-02", "last": "2026-01-01"}, "audit.period_impossible"),
        ({"last": "9999-12-31"}, "audit.period_impossible"),
        ({"last": "0001-01-01"}, "audit.period_impossible"),
        ({"first": "yesterday"}, "request.invalid"),
    ],
)
async def test_a_period_that_is_none_is_refused(log: Log, query: dict[str, str], code: str) -> None:
    async with log.client("compliance") as officer:
        answer = await officer.get(PATH, params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_ninety_days_may_be_asked_for_and_asking_is_logged(log: Log) -> None:
    async with log.client("compliance") as officer:
        found = await summarise(officer, first="2026-01-01", last="2026-03-31")
    assert len(found["days"]) == 90
    told = await testing.events(log.runtime.database, containing=str(log.org_id))
    assert [body["action"] for _, body in told] == ["audit:event:summarise"]


QUERIES = {
    "days": (repository.DAYS_QUERY, "ix_events_suspicious"),
    "top actors": (repository.ACTORS_QUERY, "ix_events_suspicious"),
    "failed factors": (repository.MFA_QUERY, "ix_events_mfa_failed"),
}


@pytest.mark.parametrize("asked", QUERIES)
async def test_a_summary_reads_nothing_but_its_own_small_index(log: Log, asked: str) -> None:
    """Were the query and the index's condition ever to differ, PostgreSQL would silently read everything."""
    await log.take(log.act())
    (query, index), now = QUERIES[asked], log.clock()
    top = [10] if "$5" in query else []
    # As the owner, without the other indexes, all undone: of a log of a few rows any index will do.
    owner = Database(log.postgres.url("audit_owner", None, "audit"), password=testing.OWNER_PASSWORD, pool_size=1)
    async with owner.begin(system(scope="retention")) as session:
        others = await fetch(
            session,
            "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = 'events'::regclass"
            " AND indexrelid <> $1::regclass",
            index,
        )
        for other in others:
            await session.execute(text(f"DROP INDEX {other['name']}"))
        for way in ("seqscan", "bitmapscan", "indexscan"):
            await session.execute(text(f"SET LOCAL enable_{way} = off"))
        plan = await fetch(
            session, f"EXPLAIN {query}", log.org_id, now - timedelta(hours=1), now + timedelta(hours=1), None, *top
        )
        children = await fetch(
            session,
            "SELECT i.inhrelid::regclass::text AS name FROM pg_inherits i WHERE i.inhparent = $1::regclass",
            index,
        )
        await session.rollback()
    await owner.close()
    scans = [row[0] for row in plan if " on events" in row[0]]
    own = [line for line in scans if any(f"Index Only Scan using {row['name']} " in line for row in children)]
    assert scans
    assert own == scans
