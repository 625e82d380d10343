"""A year of days with holds that come and go, against a slow oracle; and expiries that are cut off at every step."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from lotpro_audit import app
from lotpro_audit.events import days, leaf
from lotpro_audit.events import domain as dates
from lotpro_audit.events import jobs as event_jobs
from lotpro_audit.events.leaf import LEAF_SQL
from lotpro_audit.holds import jobs as hold_jobs
from lotpro_audit.verification.service import verify_log
from lotpro_kit import ids
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database, Session
from lotpro_kit.jobs import Run
from services.audit.tests.conftest import Log
from services.audit.tests.holds.test_api import check_proof
from services.audit.tests.legal import expire, held, noon, place, release, release_held, retention

DAYS = 365
#: Steps of the year; at each one the clock moves, something happens, and the jobs of the night run.
STEPS = 73


@dataclass
class Act:
    """An event as the oracle knows it."""

    id: str
    org: int
    store: UUID
    people: frozenset[UUID]
    at: datetime


@dataclass
class Placed:
    """A hold as the oracle knows it."""

    id: str
    etag: str
    org: int
    store: UUID | None
    person: UUID | None
    since: datetime | None
    until: datetime | None
    ends_at: datetime | None
    released: bool = False

    def keeps(self, act: Act, now: datetime) -> bool:
        """Read plainly: not over, and in every respect that was named the event is within it."""
        over = self.released or (self.ends_at is not None and self.ends_at <= now)
        return not over and self.covers(act)

    def covers(self, act: Act) -> bool:
        return (
            self.org == act.org
            and self.store in (None, act.store)
            and (self.person is None or self.person in act.people)
            and (self.since is None or act.at >= self.since)
            and (self.until is None or act.at < self.until)
        )


@dataclass
class Oracle:
    """What must be in the log, what must be kept beyond its day, and nothing else."""

    logged: list[Act] = field(default_factory=list)
    kept: list[Act] = field(default_factory=list)
    gone: list[Act] = field(default_factory=list)
    holds: list[Placed] = field(default_factory=list)

    def reached(self, act: Act, now: datetime) -> bool:
        return any(hold.keeps(act, now) for hold in self.holds)

    def night(self, now: datetime) -> None:
        """A day goes when its last moment is 180 days old; what a hold reaches stays; what none reaches goes."""
        for act in list(self.logged):
            day_over = datetime(act.at.year, act.at.month, act.at.day, tzinfo=UTC) + timedelta(days=1)
            if now.date() - timedelta(days=180) >= day_over.date():
                self.logged.remove(act)
                (self.kept if self.reached(act, now) else self.gone).append(act)
        for act in list(self.kept):
            if not self.reached(act, now):
                self.kept.remove(act)
                self.gone.append(act)


class Year:
    """The service and the oracle, side by side."""

    def __init__(self, log: Log, seed: int) -> None:
        self.log, self.random, self.oracle = log, random.Random(seed), Oracle()
        self.orgs = [log.org_id, uuid4()]
        self.stores = [uuid4() for _ in range(3)]
        self.people = [uuid4() for _ in range(4)]
        self.first = log.clock() - timedelta(days=DAYS)

    async def act(self) -> None:
        """Some events of the days since the last step."""
        events, acts = [], []
        for _ in range(self.random.randrange(1, 5)):
            org, store = self.random.randrange(2), self.random.choice(self.stores)
            actor, concerned = self.random.choice(self.people), self.random.choice(self.people)
            at = self.log.clock() - timedelta(seconds=self.random.randrange(4 * 86_400))
            event_id = ids.new()
            events.append(
                (
                    event_id,
                    self.log.act(
                        at=at, org_id=str(self.orgs[org]), store_id=str(store), actor_id=str(actor),
                        concerned_kind="customer", concerned_id=str(concerned),
                    ),
                )
            )
            acts.append(Act(str(event_id), org, store, frozenset({actor, concerned}), at))
        refused, _ = await self.log.take_all(*(event for _, event in events), event_ids=[key for key, _ in events])
        assert refused == [None] * len(events)
        self.oracle.logged += acts

    def _somewhen(self) -> datetime | None:
        if self.random.random() < 0.6:
            return None
        return self.log.clock() - timedelta(days=self.random.randrange(1, 250))

    async def place(self, officers: list[httpx.AsyncClient]) -> None:
        now, org = self.log.clock(), self.random.randrange(2)
        known = [act.store for act in [*self.oracle.logged, *self.oracle.kept] if act.org == org]
        store = self.random.choice(known) if known and self.random.random() < 0.4 else None
        person = self.random.choice(self.people) if self.random.random() < 0.5 else None
        since, until = self._somewhen(), self._somewhen()
        if since is not None and until is not None and since >= until:
            until = None
        ends_at = now + timedelta(days=self.random.randrange(5, 200)) if self.random.random() < 0.4 else None
        scope = {"store_id": store, "person_id": person, "since": since, "until": until, "ends_at": ends_at}
        spelled = {
            name: value.isoformat() if isinstance(value, datetime) else value and str(value)
            for name, value in scope.items()
        }
        hold, etag = await place(officers[org], **spelled)
        self.oracle.holds.append(Placed(hold["id"], etag, org, store, person, since, until, ends_at))

    async def release(self, officers: list[httpx.AsyncClient]) -> None:
        now = self.log.clock()
        active = [h for h in self.oracle.holds if not h.released and (h.ends_at is None or h.ends_at > now)]
        if active:
            chosen = self.random.choice(active)
            await release(officers[chosen.org], chosen.id, chosen.etag)
            chosen.released = True

    async def check(self, officers: list[httpx.AsyncClient]) -> None:
        """The tables hold what the oracle says, and every hold shows what it reaches of it, proven."""
        ours = {act.id for act in [*self.oracle.logged, *self.oracle.kept, *self.oracle.gone]}
        async with retention(self.log) as session:
            stored = {
                table: ours
                & set(
                    (
                        await session.execute(
                            text(f"SELECT convert_from({content}, 'UTF8')::json ->> 'id' FROM {table}")
                        )
                    ).scalars()
                )
                for table, content in (("events", LEAF_SQL), ("held_events", "leaf"))
            }
        assert stored["events"] == {act.id for act in self.oracle.logged}
        assert stored["held_events"] == {act.id for act in self.oracle.kept}
        there = sorted([*self.oracle.logged, *self.oracle.kept], key=lambda act: act.at)
        for hold in self.random.sample(self.oracle.holds, min(3, len(self.oracle.holds))):
            items = [item for item in await held(officers[hold.org], hold.id) if item["event"]["id"] in ours]
            assert [item["event"]["id"] for item in items] == [act.id for act in there if hold.covers(act)]
            for item in self.random.sample(items, min(3, len(items))):
                check_proof(self.log, item)


@pytest.mark.parametrize("seed", [1])
async def test_through_a_year_what_holds_reach_stays_and_everything_else_goes(log_alone: Log, seed: int) -> None:
    log = log_alone
    year = Year(log, seed)
    async with log.client("compliance") as first, log.client("compliance", org_id=year.orgs[1]) as second:
        officers = [first, second]
        today = log.clock()
        for step in range(1, STEPS + 1):
            log.clock.now = year.first + timedelta(days=DAYS * step / STEPS)
            await year.act()
            if year.random.random() < 0.25:
                await year.place(officers)
            if year.random.random() < 0.15:
                await year.release(officers)
            await expire(log)
            await release_held(log)
            year.oracle.night(log.clock())
            if step % 12 == 0 or step == STEPS:
                await year.check(officers)
        assert log.clock() == today
        assert year.oracle.kept, "the year kept nothing: it proves little"
        assert len(year.oracle.gone) > 20
        # Somebody released every hold: all that outlived its day goes.
        for hold in year.oracle.holds:
            if not hold.released and (hold.ends_at is None or hold.ends_at > today):
                await release(officers[hold.org], hold.id, hold.etag)
            hold.released = True
        await release_held(log)
        year.oracle.night(today)
        assert year.oracle.kept == []
        await year.check(officers)


class Died(Exception):
    """The process was killed here."""


class Mortal(Database):
    """A database whose process dies at its n-th transaction: before that commits, or right after."""

    def __init__(self, log: Log, *, at: int, committed: bool) -> None:
        alive = log.runtime.database
        super().__init__(alive.url, password=alive.connect_arguments["password"], pool_size=2)
        self._left, self._committed = at, committed

    @asynccontextmanager
    async def begin(self, caller: Caller) -> AsyncIterator[Session]:
        self._left -= 1
        async with super().begin(caller) as session:
            yield session
            if self._left == 0 and not self._committed:
                raise Died
        if self._left == 0 and self._committed:
            raise Died


async def _die(log: Log, make: Any, *, at: int, committed: bool) -> bool:
    """Run a job that dies at a transaction; False when it had none that late."""
    mortal = Mortal(log, at=at, committed=committed)
    try:
        await make(mortal, app.ports(log.runtime)).work(Run(as_of=log.clock()))
    except Died:
        return True
    finally:
        await mortal.close()
    return False


@pytest.mark.parametrize("committed", [False, True], ids=["before_commit", "after_commit"])
async def test_an_expiry_that_dies_at_any_step_is_gone_on_with_and_keeps_what_is_held(
    log_alone: Log, committed: bool
) -> None:
    log = log_alone
    over = dates.oldest_day(log.clock()) - timedelta(days=1)
    async with log.client("compliance") as officer:
        hold, etag = await place(officer, person_id=str(log.actor_id))
        expected, at = [], 0
        while True:
            at += 1
            day = over - timedelta(days=at)
            await log.take_at(noon(day), log.act(at=noon(day), actor_id=str(uuid4())))
            expected.append(str(await log.take_at(noon(day), log.act(at=noon(day)))))
            died = await _die(log, event_jobs.expire_events, at=at, committed=committed)
            await expire(log)
            items = [item for item in await held(officer, hold["id"]) if item["expired_day"]]
            assert sorted(item["event"]["id"] for item in items) == sorted(expected)
            for item in items:
                check_proof(log, item)
            if not died:
                break
        assert at > 5, "too few steps: the job did not do what it is for"
        async with retention(log) as session:
            said = (
                await session.execute(text("SELECT day, count(*) FROM expiries GROUP BY day ORDER BY day"))
            ).all()
            told = (
                await session.execute(text("SELECT count(*) FROM events WHERE action = 'audit:day:expire'"))
            ).scalar_one()
        assert [tuple(row) for row in said] == [(over - timedelta(days=n), 1) for n in range(at, 0, -1)]
        assert told == at
        await release(officer, hold["id"], etag)
        for step in (1, 2):
            await _die(log, hold_jobs.release_held, at=step, committed=committed)
        await release_held(log)
        assert [item for item in await held(officer, hold["id"]) if item["expired_day"]] == []


async def test_a_hold_that_is_placed_while_its_day_is_going_still_keeps_it(log_alone: Log) -> None:
    log = log_alone
    over = dates.oldest_day(log.clock()) - timedelta(days=1)
    mine = await log.take_at(noon(over), log.act(at=noon(over)))
    ports = app.ports(log.runtime)
    going = await days.prepare(log.runtime.database, over, now=log.clock())
    assert going is not None
    async with log.client("compliance") as officer:
        hold, _ = await place(officer)
        async with retention(log) as session:
            await days.drop(session, over, ports, going=going, now=log.clock())
        kept = await held(officer, hold["id"])
    assert hold["days_gone"] == 0
    assert (kept[0]["event"]["id"], kept[0]["expired_day"]) == (str(mine), over.isoformat())
    check_proof(log, kept[0])
    # What the log is about to say of the day is waited for, and has what came late in it.
    assert (await verify_log(log.runtime.database, ports, as_of=log.clock())).damages.told == []
    await expire(log)
    async with retention(log) as session:
        said = (await session.execute(text("SELECT leaf FROM expiries"))).scalar_one()
    assert (leaf.read(said).expiry or {})["held"] == 1
    assert (await verify_log(log.runtime.database, ports, as_of=log.clock())).damages.told == []
