"""Page views: taken fast, kept once, and counted so that no person can be found in the counts."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from lotpro.identity.v1 import events_pb2
from lotpro_audit import app
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.events.leaf import LEAF_SQL
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.views import domain
from lotpro_kit import bus, ids, testing
from lotpro_kit.caller import system
from lotpro_kit.jobs import Run
from services.audit.tests.conftest import EVENTS, Log

VIEWS, USAGE = "/api/audit/v1/views", "/api/audit/v1/usage"
OBJECTION = f"{USAGE}/objection"


def feature() -> str:
    """A name that no other test uses: counts are of the whole platform."""
    return "/" + "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:16])


class Person:
    """Somebody who is signed in, in one session."""

    def __init__(self, log: Log, *, org_id: UUID | None = None, nowhere: bool = False) -> None:
        self.log, self.id = log, uuid4()
        where = {} if nowhere else {"org_id": org_id or log.org_id, "roles": {str(log.store_id): ["viewer"]}}
        self.token = log.signer.user_token(user_id=self.id, **where)

    def client(self) -> httpx.AsyncClient:
        return testing.client(app.SERVICE, self.log.runtime, self.log.parts, self.token)

    async def views(self, *items: dict[str, Any]) -> None:
        async with self.client() as client:
            answer = await client.post(VIEWS, json={"items": list(items)})
        assert (answer.status_code, answer.content) == (202, b""), answer.text

    async def objects(self, verb: str = "PUT") -> httpx.Response:
        async with self.client() as client:
            return await client.request(verb, OBJECTION)


def view(log: Log, name: str, *, hours_ago: float = 0, duration_ms: int = 0) -> dict[str, Any]:
    at = log.clock() - timedelta(hours=hours_ago)
    return {"feature": name, "viewed_at": at.isoformat(), "duration_ms": duration_ms}


async def logged(log: Log, person: Person, wanted: int) -> list[dict[str, Any]]:
    """What of a person stands in the log, once that is so much."""
    async with person.client() as client:

        async def all_there() -> list[dict[str, Any]]:
            items = (await client.get(f"{EVENTS}/mine", params={"limit": 200})).json()["items"]
            return items if len(items) >= wanted else []

        found: list[dict[str, Any]] = await testing.eventually(all_there)
        return found


async def test_a_report_is_in_the_log_soon_with_who_what_when_and_where(log: Log) -> None:
    person, name = Person(log), feature()
    await person.views(view(log, name, hours_ago=1, duration_ms=4200), view(log, f"{name}/print"))
    shown = await logged(log, person, 2)
    assert [item["feature"] for item in shown] == [f"{name}/print", name]
    assert {item["action"] for item in shown} == {"audit:page:view"}
    assert {item["ocsf_class_name"] for item in shown} == {"Web Resources Activity"}
    assert shown[1]["actor"] == {"kind": "user", "id": str(person.id)}
    assert shown[1]["ip"] == "127.0.0.1"
    async with log.runtime.database.begin(system(log.org_id)) as session:
        leaves = (await session.execute(text(f"SELECT convert_from({LEAF_SQL}, 'UTF8') AS leaf FROM events"))).scalars()
        assert [json.loads(leaf).get("duration") for leaf in leaves if name + '"' in leaf] == [4200]


async def test_the_same_views_reported_again_are_the_same_views(log: Log) -> None:
    person, name = Person(log), feature()
    one, other = view(log, name), view(log, name, hours_ago=2)
    await person.views(one, one, other)
    await asyncio.gather(*(person.views(one, other) for _ in range(3)))
    last = feature()
    await person.views(view(log, last))
    shown = await logged(log, person, 3)
    assert sorted(item["feature"] for item in shown) == sorted([name, name, last])


async def test_with_the_answer_a_report_is_kept_even_if_nobody_writes_the_log_just_then(unled: Log) -> None:
    person, name = Person(unled), feature()
    begun = time.monotonic()
    await person.views(*(view(unled, name, hours_ago=number / 10) for number in range(50)))
    assert time.monotonic() - begun < 2
    async with unled.leading():
        assert len(await logged(unled, person, 50)) == 50


async def test_what_waits_for_the_log_is_encrypted(unled: Log) -> None:
    person, name = Person(unled), feature()
    await person.views(view(unled, name))
    async with unled.runtime.database.begin(system()) as session:
        waiting = (await session.execute(text("SELECT encode(event, 'escape') FROM intake"))).scalars()
        assert not [row for row in waiting if name in row or str(person.id) in row]


async def test_somebody_without_an_organisation_reports_too(log: Log) -> None:
    person = Person(log, nowhere=True)
    await person.views(view(log, feature()))
    [shown] = await logged(log, person, 1)
    assert shown["store_id"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"feature": "inventory"}, {"feature": "/inventory/42"}, {"feature": "/Inventory"}, {"feature": "/a b"},
        {"feature": "/" + "a" * 64}, {"feature": "/a/b/c/d/e"}, {"feature": "/a@example"}, {"feature": "/"},
        {"feature": "/a\nb"}, {"viewed_at": "2026-11-01T15:32:00"}, {"viewed_at": "yesterday"}, {"duration_ms": -1},
        {"duration_ms": 86_400_001}, {"duration_ms": 1.5}, {"user_id": "x"},
    ],
)
async def test_what_is_no_view_is_refused_and_nothing_of_its_report_taken(log: Log, wrong: dict[str, Any]) -> None:
    person = Person(log)
    async with person.client() as client:
        items = [view(log, feature()), view(log, feature()) | wrong]
        answer = await client.post(VIEWS, json={"items": items})
        assert answer.status_code == 422, answer.text
    last = feature()
    await person.views(view(log, last))
    assert [item["feature"] for item in await logged(log, person, 1)] == [last]


async def test_a_report_is_of_1_to_50_views_of_the_last_day_in_json(log: Log) -> None:
    async with Person(log).client() as client:
        one = view(log, feature())
        for items in ([], [one] * 51):
            assert (await client.post(VIEWS, json={"items": items})).status_code == 422
        assert (await client.post(VIEWS, json={"items": [one], "more": 1})).status_code == 422
        # A form or plain text, which another site's page could send along with our cookies, is no report.
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            body = json.dumps({"items": [one]})
            assert (await client.post(VIEWS, content=body, headers={"content-type": kind})).status_code == 422
        for hours in (24.01, -0.1, 24 * 365):
            answer = await client.post(VIEWS, json={"items": [view(log, feature(), hours_ago=hours)]})
            assert (answer.status_code, answer.json()["code"]) == (422, "audit.view_out_of_range")
        assert (await client.post(VIEWS, json={"items": [view(log, feature(), hours_ago=23.99)]})).status_code == 202


async def test_strangers_report_and_object_to_nothing_and_only_some_see_the_counts(log: Log) -> None:
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        assert (await nobody.post(VIEWS, json={"items": [view(log, feature())]})).status_code == 401
        for verb in ("GET", "PUT", "DELETE"):
            assert (await nobody.request(verb, OBJECTION)).status_code == 401
        assert (await nobody.get(USAGE)).status_code == 401
    for role, status in (("org_owner", 200), ("platform_ops", 200), ("compliance", 403), ("sales", 403)):
        async with log.client(role) as client:
            assert (await client.get(USAGE)).status_code == status
    async with log.client("org_owner", store_id=log.store_id) as one_store:
        assert (await one_store.get(USAGE)).status_code == 403
    async with log.client("org_owner") as owner:
        for wrong in ({"feature": "x"}, {"since": "soon"}, {"limit": 0}, {"cursor": "abc"}):
            assert (await owner.get(USAGE, params=wrong)).status_code == 422


@pytest.mark.parametrize("hour", [0, 12, 23])
def test_a_day_is_settled_when_no_view_of_it_can_be_reported_any_more(hour: int) -> None:
    as_of = datetime(2026, 11, 25, hour, 30, tzinfo=UTC)
    days = [date(2026, 11, number) for number in range(20, 27)]
    settled = domain.settled_days(days, as_of=as_of)
    for day in days:
        last = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) - timedelta(microseconds=1)
        assert (day in settled) <= (as_of - last > domain.LATE)
    assert settled == [day for day in days if day < date(2026, 11, 24 if hour else 23)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), max_size=40))
def test_the_same_view_has_the_same_id_and_another_one_another(seen: list[tuple[int, int]]) -> None:
    now, user = datetime(2026, 11, 25, tzinfo=UTC), UUID(int=5)
    caller = replace(system(), user_id=user)
    made = {
        domain.event(caller, domain.View(f"/{'abcd'[name]}", now - timedelta(hours=hour), 0), user_id=user, now=now).id
        for name, hour in seen
    }
    assert len(made) == len(set(seen))


# Counting: of the whole platform, so each test counts a day that nobody else uses.

_DAYS = iter(range(30, 150))


class Past:
    """A day long ago on which people used features; it can be counted."""

    def __init__(self, log: Log) -> None:
        self.log, self.noon = log, log.clock().replace(hour=12, minute=0) - timedelta(days=next(_DAYS))

    @property
    def day(self) -> date:
        return self.noon.date()

    async def used(self, name: str, people: list[UUID], *, times: int = 1, org_id: UUID | None = None) -> None:
        """Each of these people used a feature so often."""
        events = [
            SecurityEvent(
                id=ids.new(), occurred_at=self.noon + timedelta(seconds=number), action=domain.ACTION, success=True,
                actor_kind="user", actor_id=str(person), org_id=str(org_id or self.log.org_id), feature=name,
                duration_ms=100,
            )
            for person in people
            for number in range(times)
        ]
        async with self.log.runtime.database.begin(system()) as session:
            await sequencer.leave_all(session, app.ports(self.log.runtime), events)

        async def all_there() -> bool:
            async with self.log.runtime.database.begin(system()) as session:
                found = await session.scalar(
                    text("SELECT count(*) FROM claims WHERE event_id = ANY(:ids)"),
                    {"ids": [event.id for event in events]},
                )
            return bool(found == len(events))

        await testing.eventually(all_there)

    async def count(self, *, as_of: datetime | None = None, dry_run: bool = False) -> dict[str, int]:
        [job] = [job for job in self.log.parts.jobs if job.name == "count-usage"]
        return dict(await job.work(Run(as_of=as_of or self.log.clock(), dry_run=dry_run)))

    async def counts(self) -> dict[str, tuple[int, int, int]]:
        """What was counted of the day: people, uses, milliseconds by feature."""
        query = {"since": str(self.day), "until": str(self.day + timedelta(days=1)), "limit": 200}
        async with self.log.client("platform_ops") as ops:
            items = (await ops.get(USAGE, params=query)).json()["items"]
        assert all(item["day"] == str(self.day) for item in items)
        return {item["feature"]: (item["people"], item["uses"], item["duration_ms"]) for item in items}


def people(number: int) -> list[UUID]:
    return [uuid4() for _ in range(number)]


async def test_nine_people_are_not_counted_and_ten_are_whoever_they_work_for(log: Log) -> None:
    past = Past(log)
    await past.used("/nine", people(9), times=5)
    await past.used("/ten", people(4), times=2)
    await past.used("/ten", people(6), org_id=uuid4())
    done = await past.count()
    assert done["days"] >= 1
    assert await past.counts() == {"/ten": (10, 14, 1400)}
    # Whoever asks, the counts are of the whole platform: there is nothing to take from one another.
    async with log.client("org_owner", org_id=uuid4()) as owner:
        shown = (await owner.get(USAGE, params={"since": str(past.day), "feature": "/ten"})).json()["items"]
    assert shown == [{"day": str(past.day), "feature": "/ten", "people": 10, "uses": 14, "duration_ms": 1400}]


async def test_one_of_ten_who_objects_takes_the_count_away_and_is_counted_again_after_that(log: Log) -> None:
    person = Person(log)
    first, second = Past(log), Past(log)
    await first.used("/objected", [person.id, *people(9)])
    assert (await person.objects("GET")).json() == {"objects": False, "since": None}
    objected = (await person.objects()).json()
    assert objected["objects"] is True
    assert (await person.objects()).json() == objected
    await first.count()
    assert await first.counts() == {}
    await second.used("/objected", [person.id, *people(9)])
    for _ in range(2):
        assert (await person.objects("DELETE")).status_code == 204
    await second.count()
    assert await second.counts() == {"/objected": (10, 10, 1000)}
    acts = await testing.events(log.runtime.database, containing=str(person.id))
    assert [body["action"] for _, body in acts] == ["audit:usage:object", "audit:usage:withdraw_objection"]


async def test_a_day_is_counted_once_so_that_no_two_counts_tell_who_objected_between(log: Log) -> None:
    person, past = Person(log), Past(log)
    await past.used("/once", [person.id, *people(11)])
    await past.count()
    before = await past.counts()
    await person.objects()
    await past.used("/once", people(3))
    await asyncio.gather(*(past.count() for _ in range(3)))
    assert await past.counts() == before == {"/once": (12, 12, 1200)}


async def test_a_dry_run_counts_and_keeps_nothing_and_a_day_that_is_not_settled_waits(log: Log) -> None:
    past = Past(log)
    await past.used("/dry", people(10))
    tried = await past.count(dry_run=True)
    assert tried["days"] >= 1
    assert tried["features"] >= 1
    assert await past.counts() == {}
    past.noon = log.clock() - timedelta(hours=20)
    await past.used("/early", people(10))
    # The future can only be tried.
    await past.count(as_of=log.clock() + timedelta(days=30))
    assert "/early" not in await past.counts()


async def test_an_objection_is_ones_own_and_goes_with_the_account(log: Log) -> None:
    person, other = Person(log), Person(log, nowhere=True)
    await person.objects()
    assert (await other.objects("GET")).json()["objects"] is False
    await other.objects("DELETE")
    assert (await person.objects("GET")).json()["objects"] is True
    async with log.runtime.database.begin(replace(system(log.org_id), user_id=other.id)) as session:
        assert (await session.execute(text("SELECT * FROM usage_objections"))).all() == []
    [consumer] = [one for one in log.parts.consumers if isinstance(one, bus.Consumer)]
    delivery = bus.Delivery(ids.new(), "", "lotpro/identity", log.clock(), 1)
    for event in (
        events_pb2.AccountDeleted(user_id=str(person.id)), events_pb2.AccountAnonymised(user_id=str(person.id))
    ):
        await consumer.handlers[type(event)](event, delivery)
    assert (await person.objects("GET")).json()["objects"] is False


async def test_counting_sees_page_views_of_all_and_nothing_else_of_the_log(log: Log) -> None:
    await log.take(log.act())
    past = Past(log)
    await past.used("/seen", people(1))
    async with log.runtime.database.begin(system(scope="usage")) as session:
        actions = (await session.execute(text("SELECT DISTINCT action FROM events"))).scalars().all()
    assert list(actions) == [domain.ACTION]


async def test_counts_come_in_pages(log: Log) -> None:
    past = Past(log)
    names = sorted(feature() for _ in range(5))
    everybody = people(10)
    for name in names:
        await past.used(name, everybody)
    await past.count()
    seen, cursor = [], None
    async with log.client("org_owner") as owner:
        while True:
            query: dict[str, Any] = {"limit": 2, "since": str(past.day), "until": str(past.day + timedelta(days=1))}
            page = (await owner.get(USAGE, params=query | ({"cursor": cursor} if cursor else {}))).json()
            seen += [item["feature"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert seen == names[::-1]
