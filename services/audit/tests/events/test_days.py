"""The log's daily tables: made when needed, written once, dropped on their day by nobody earlier."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import MetaData, select, text, update
from sqlalchemy.exc import DBAPIError

from lotpro_audit.events import domain, leaf
from lotpro_audit.events.domain import EventUnreadable
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.crypto import table as data_keys_table
from lotpro_kit.db import Database, Session
from lotpro_kit.jobs import Run
from services.audit.tests.conftest import EVENTS, Log

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2034, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds are what Hypothesis wants


@asynccontextmanager
async def retention(log: Log) -> AsyncIterator[Session]:
    async with log.runtime.database.begin(system(scope="retention")) as session:
        yield session


async def days(log: Log) -> list[date]:
    async with retention(log) as session:
        return list((await session.execute(text("SELECT audit_days()"))).scalars())


async def make(log: Log, day: date) -> None:
    async with retention(log) as session:
        await session.execute(text("SELECT audit_make_day(:day)"), {"day": day})


async def drop(log: Log, day: date) -> None:
    async with retention(log) as session:
        await session.execute(text("SELECT audit_drop_day(:day)"), {"day": day})


def jobs(log: Log) -> dict[str, Any]:
    return {job.name: job.work for job in log.parts.jobs}


@given(MOMENTS, st.integers(0, 400))
def test_an_event_is_refused_exactly_when_its_day_is_over(now: datetime, age: int) -> None:
    event = domain.SecurityEvent(uuid4(), now - timedelta(days=age), "a:b:c", True, "user", "")
    day = event.occurred_at.date()
    if domain.expired_days([day], as_of=now):
        with pytest.raises(domain.EventOutOfRange):
            domain.day_of(event, now=now)
    else:
        assert domain.day_of(event, now=now) == day


@given(MOMENTS, st.floats(0, 24), st.integers(1, 60))
def test_an_id_is_forgotten_only_when_its_event_would_be_refused(came: datetime, ahead: float, later: int) -> None:
    occurred = came + timedelta(hours=ahead)
    event = domain.SecurityEvent(uuid4(), occurred, "a:b:c", True, "user", "")
    again = came + timedelta(days=domain.claim_days(), seconds=later)
    with pytest.raises(domain.EventOutOfRange):
        domain.day_of(event, now=again)


@given(MOMENTS)
def test_days_ahead_are_today_and_the_next_seven_without_a_gap(now: datetime) -> None:
    ahead = domain.days_ahead(now)
    assert ahead == [now.date() + timedelta(days=number) for number in range(8)]


@pytest.mark.parametrize("action", ["", "sell", "inventory:vehicle", "Inventory:vehicle:sell", "a:b:c\n", "a:b:c:d"])
def test_an_event_that_does_not_say_what_was_done_is_refused(action: str) -> None:
    with pytest.raises(EventUnreadable):
        domain.check(domain.SecurityEvent(uuid4(), datetime.now(UTC), action, True, "user", ""))


@pytest.mark.parametrize("name", ["actor_id", "org_id", "store_id", "subject_id", "concerned_id", "session_id"])
async def test_nobodys_id_has_one_spelling_and_another_one_holds_up_nobody(log: Log, name: str) -> None:
    spelled = log.act(**{name: str(UUID(int=0))})
    mine, nobodys = log.act(), log.act(actor_id="", org_id="", store_id="", actor_kind="system")
    answers, _ = await log.take_all(mine, spelled, nobodys)
    assert [answer and str(answer) for answer in answers] == [None, "audit.event_unreadable", None]


async def test_days_are_made_ahead_once(log: Log) -> None:
    now = log.runtime.clock()
    assert set((await jobs(log)["create-partitions"](Run(as_of=now))).keys()) == {"days"}
    assert set(domain.days_ahead(now)) <= set(await days(log))
    assert await jobs(log)["create-partitions"](Run(as_of=now)) == {"days": 0}
    assert await jobs(log)["create-partitions"](Run(as_of=now, dry_run=True)) == {"days": 0}


async def test_an_event_of_a_day_without_a_table_makes_it(log: Log) -> None:
    at = log.runtime.clock() - timedelta(days=97)
    await log.take(log.act(at=at))
    assert at.date() in await days(log)


async def test_the_last_kept_day_stays_and_the_day_before_it_goes(log: Log) -> None:
    now = log.runtime.clock()
    kept, over = domain.oldest_day(now), log.old_day()
    noon = datetime.combine(over, time(12), UTC)
    await log.take_at(noon, log.act(at=noon))
    event_id = await log.take(log.act(at=datetime.combine(kept, datetime.min.time(), UTC)))
    done = await jobs(log)["expire-events"](Run(as_of=now))
    assert done["days"] >= 1
    left = await days(log)
    assert kept in left
    assert over not in left
    async with log.client("org_owner") as owner:
        assert [item["id"] for item in await log.page(owner)] == [str(event_id)]
    told = await testing.events(log.runtime.database, containing=over.isoformat())
    assert ("lotpro.audit.v1.DayExpired", {"day": over.isoformat(), "count": "1"}) in told
    async with retention(log) as session:
        [expiry] = (await session.execute(text("SELECT leaf FROM expiries WHERE day = :day"), {"day": over})).scalars()
    said = leaf.read(expiry).expiry or {}
    assert (said["day"], said["count"], said["clause"]) == (over.isoformat(), 1, "retention.security-logs")


async def test_a_moment_that_has_not_come_yet_drops_nothing(log: Log) -> None:
    now = log.runtime.clock()
    event_id = await log.take(log.act())
    later = now + timedelta(days=200)
    assert (await jobs(log)["expire-events"](Run(as_of=later, dry_run=True)))["days"] >= 1
    await jobs(log)["expire-events"](Run(as_of=later))
    async with log.client("org_owner") as owner:
        assert [item["id"] for item in await log.page(owner)] == [str(event_id)]


async def test_the_database_itself_refuses_to_drop_a_day_that_is_still_to_be_kept(log: Log) -> None:
    kept = domain.oldest_day(datetime.now(UTC))
    for day in (kept, datetime.now(UTC).date()):
        await make(log, day)
        with pytest.raises(DBAPIError, match="still to be kept"):
            await drop(log, day)
    await make(log, kept - timedelta(days=1))
    for _ in range(2):
        await drop(log, kept - timedelta(days=1))
    assert kept - timedelta(days=1) not in await days(log)


async def test_only_retention_drops_days(log: Log) -> None:
    with pytest.raises(DBAPIError, match="only retention"):
        async with log.runtime.database.begin(system(log.org_id)) as session:
            await session.execute(text("SELECT audit_drop_day(:day)"), {"day": date(2020, 1, 1)})


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE events_x PARTITION OF events FOR VALUES FROM ('1999-01-01') TO ('1999-01-02')",
        "DROP TABLE events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP FUNCTION audit_refuse()",
    ],
)
async def test_the_service_cannot_change_tables(log: Log, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"must be owner|permission denied"):
        async with retention(log) as session:
            await session.execute(text(statement))


@pytest.mark.parametrize("statement", ["UPDATE {} SET action = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["events", "of the day"])
async def test_the_owner_cannot_change_the_log_either(
    log: Log, postgres: testing.Postgres, statement: str, table: str
) -> None:
    await log.take(log.act())
    name = table if table == "events" else f"events_{log.runtime.clock():%Y%m%d}"
    owner = Database(postgres.url("audit_owner", None, "audit"), password=testing.OWNER_PASSWORD, pool_size=1)
    with pytest.raises(DBAPIError, match="written once"):
        async with owner.begin(system(log.org_id)) as session:
            await session.execute(text(statement.format(name)))
    await owner.close()


async def test_rows_come_into_the_log_by_its_days_only(log: Log) -> None:
    """Who writes copies into a day's table, which it can neither read nor change; the log itself takes nothing."""
    await log.take(log.act())
    today = f"events_{log.runtime.clock():%Y%m%d}"
    for statement in (
        "INSERT INTO events SELECT * FROM events", f"SELECT * FROM {today}", f"UPDATE {today} SET seq = 0",
        f"DELETE FROM {today}", f"TRUNCATE {today}",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with log.runtime.database.begin(system(log.org_id)) as session:
                await session.execute(text(statement))


async def test_keys_go_when_the_log_holds_nothing_of_their_person_any_more(log: Log) -> None:
    keys = data_keys_table(MetaData())
    gone, kept, young = uuid4(), uuid4(), uuid4()
    async with retention(log) as session:
        for person in (gone, kept, young):
            await log.runtime.keyring.for_subject(session, person)
    await log.take(log.act(actor_id=str(kept)))
    old = log.runtime.clock() - timedelta(days=181)
    await _as_owner(log, update(keys).where(keys.c.subject_id.in_([gone, kept])).values(created_at=old))
    dry = await jobs(log)["expire-events"](Run(as_of=log.runtime.clock(), dry_run=True))
    assert dry["keys"] >= 1
    await jobs(log)["expire-events"](Run(as_of=log.runtime.clock()))
    async with retention(log) as session:
        found = await session.execute(
            select(keys.c.subject_id).where(keys.c.subject_id.in_([gone, kept, young]))
        )
        assert set(found.scalars()) == {kept, young}


async def _as_owner(log: Log, statement: Any) -> None:
    owner = Database(log.postgres.url("audit_owner", None, "audit"), password=testing.OWNER_PASSWORD, pool_size=1)
    async with owner.begin(system()) as session:
        await session.execute(statement)
    await owner.close()


@pytest.mark.parametrize(
    "query",
    [
        {"since": "2026-01-01T00:00:00"}, {"since": "0001-01-01T00:00:00+14:00"}, {"until": "yesterday"},
        {"action": "a\x00b"}, {"limit": "0"}, {"outcome": "perhaps"}, {"store_id": "x"},
    ],
)
async def test_a_question_that_cannot_be_asked_is_refused_with_a_code(log: Log, query: dict[str, str]) -> None:
    async with log.client("org_owner") as owner:
        answer = await owner.get(EVENTS, params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
