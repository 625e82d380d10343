"""A request for access: its clock, the collection through failures, the answer and who may have it."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

import lotpro_policy
from lotpro_kit import migrations, testing
from lotpro_kit.caller import system
from lotpro_kit.jobs import Run
from lotpro_privacy import app
from lotpro_privacy.db import METADATA, ROOM
from lotpro_privacy.requests import domain
from services.privacy.tests.conftest import REQUESTS, Privacy


async def test_an_answer_holds_what_every_service_told_and_what_the_law_wants_told(privacy: Privacy) -> None:
    async with privacy.client("compliance") as officer:
        opened = await privacy.open(officer)
        assert opened["state"] == "collecting"
        await privacy.collect()
        case = (await officer.get(f"{REQUESTS}/{opened['id']}")).json()
        assert case["state"] == "ready"
        assert all(service["done"] for service in case["services"])
        answer = (await officer.get(f"{REQUESTS}/{opened['id']}/answer")).json()
        assert (await officer.get(f"{REQUESTS}/{opened['id']}")).json()["state"] == "answered"
    assert set(answer["services"]) == set(domain.PARTICIPANTS)
    assert answer["services"]["inventory"]["customers"][0]["name"] == "Casey Lindqvist"
    for service in domain.PARTICIPANTS:
        [column] = answer["described"][service]
        assert (column["purpose"], column["lawful_basis"]) == ("provide_services", "contract")
    assert answer["policy_sha256"] == lotpro_policy.policy().sha256
    assert {"purposes", "retention", "processors", "rights"} <= set(answer)
    assert [event.action for event in privacy.others.logged] == ["privacy:request:answer"]
    events = await testing.events(privacy.runtime.database, containing=str(privacy.org_id))
    names = [name.rsplit(".", 1)[-1] for name, _ in events]
    assert names == ["RequestOpened", "SecurityEvent", "RequestAnswered"]
    assert "Casey" not in str(events)


async def test_the_service_that_knows_the_person_is_asked_first_and_its_address_helps_the_others(
    privacy: Privacy,
) -> None:
    async with privacy.client("org_owner") as owner:
        await privacy.open(owner)
    await privacy.collect()
    first, *rest = [subject for subject in privacy.others.asked if subject.org_id == str(privacy.org_id)]
    assert first.email == ""
    assert {subject.email for subject in rest} == {"casey@example.com"}


async def test_a_service_that_is_away_makes_the_case_incomplete_and_is_asked_again(privacy: Privacy) -> None:
    privacy.others.failures = 10_000
    async with privacy.client("compliance") as officer:
        opened = await privacy.open(officer)
        for _ in range(3):
            await privacy.collect()
            privacy.clock.advance(timedelta(hours=1))
        case = (await officer.get(f"{REQUESTS}/{opened['id']}")).json()
        assert case["state"] == "incomplete"
        refused = await officer.get(f"{REQUESTS}/{opened['id']}/answer")
        assert (refused.status_code, refused.json()["code"]) == (409, "privacy.answer_incomplete")
        privacy.others.failures = 0
        await privacy.collect()
        assert (await officer.get(f"{REQUESTS}/{opened['id']}")).json()["state"] == "ready"


async def test_a_process_that_died_with_a_task_in_hand_leaves_it_to_the_next_one(privacy: Privacy) -> None:
    from lotpro_privacy.requests import repository, service

    async with privacy.client("compliance") as officer:
        opened = await privacy.open(officer)
        async with privacy.runtime.database.begin(system(scope="engine")) as session:
            assert await repository.lease(session, now=privacy.clock(), lease=service.LEASE)
        await privacy.collect()
        assert (await officer.get(f"{REQUESTS}/{opened['id']}")).json()["state"] == "collecting"
        privacy.clock.advance(service.LEASE)
        await privacy.collect()
        assert (await officer.get(f"{REQUESTS}/{opened['id']}")).json()["state"] == "ready"


async def test_nothing_is_handed_out_unlogged(privacy: Privacy) -> None:
    async with privacy.client("compliance") as officer:
        opened = await privacy.open(officer)
        await privacy.collect()
        privacy.others.log_is_away = True
        refused = await officer.get(f"{REQUESTS}/{opened['id']}/answer")
        assert refused.status_code == 503
        assert "Casey" not in refused.text
        assert (await officer.get(f"{REQUESTS}/{opened['id']}")).json()["state"] == "ready"


async def test_what_was_collected_stands_encrypted(privacy: Privacy) -> None:
    async with privacy.client("compliance") as officer:
        await privacy.open(officer, email="casey@example.com")
    await privacy.collect()
    async with privacy.runtime.database.begin(system(privacy.org_id)) as session:
        found = await session.execute(text("SELECT r.*, q.* FROM records r JOIN requests q ON q.id = r.request_id"))
        dump = str(found.all())
    assert "Casey" not in dump
    assert "casey" not in dump


async def test_only_owners_and_compliance_of_the_same_organisation_see_a_case(privacy: Privacy) -> None:
    async with privacy.client("compliance") as officer:
        opened = await privacy.open(officer)
    paths = [REQUESTS, f"{REQUESTS}/{opened['id']}", f"{REQUESTS}/{opened['id']}/answer"]
    async with privacy.client("manager") as manager, privacy.client("compliance", org_id=uuid4()) as stranger:
        assert [(await manager.get(path)).status_code for path in paths] == [403, 403, 403]
        assert [(await stranger.get(path)).status_code for path in paths[1:]] == [404, 404]
        assert (await stranger.get(REQUESTS)).json()["items"] == []
        assert (await manager.post(REQUESTS, json={})).status_code == 403
    async with testing.client(app.SERVICE, privacy.runtime, privacy.parts) as nobody:
        assert [(await nobody.get(path)).status_code for path in paths] == [401, 401, 401]


async def test_requests_are_listed_page_by_page(privacy: Privacy) -> None:
    async with privacy.client("org_owner") as owner:
        made = [(await privacy.open(owner))["id"] for _ in range(3)]
        first = (await owner.get(REQUESTS, params={"limit": 2})).json()
        second = (await owner.get(REQUESTS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


@given(st.dates(date(2024, 1, 1), date(2032, 12, 31)))
def test_an_answer_is_due_within_30_days_and_within_a_calendar_month(received: date) -> None:
    due = domain.due_on(datetime(received.year, received.month, received.day, 12, tzinfo=UTC))
    assert received < due <= received + timedelta(days=30)
    assert (due.year, due.month) <= (received.year + received.month // 12, received.month % 12 + 1)


@pytest.mark.parametrize(
    ("received", "due"), [("2026-01-31", "2026-02-28"), ("2028-01-31", "2028-02-29"), ("2026-03-15", "2026-04-14")]
)
def test_boundary_dates(received: str, due: str) -> None:
    assert domain.due_on(datetime.fromisoformat(received + "T10:00:00+00:00")).isoformat() == due


async def test_cases_are_forgotten_24_months_after_their_answer_and_not_before(privacy: Privacy) -> None:
    async with privacy.client("compliance") as officer:
        opened, waiting = await privacy.open(officer), await privacy.open(officer)
        await privacy.collect()
        received = privacy.clock()
        privacy.clock.advance(timedelta(days=20))
        assert (await officer.get(f"{REQUESTS}/{opened['id']}/answer")).status_code == 200
        purge = next(job for job in privacy.parts.jobs if job.name == "purge-answers")
        await purge.work(Run(as_of=received + timedelta(days=735)))
        assert (await officer.get(f"{REQUESTS}/{opened['id']}")).status_code == 200
        over = privacy.clock() + timedelta(days=733)
        assert (await purge.work(Run(as_of=over, dry_run=True)))["requests"] >= 1
        assert (await officer.get(f"{REQUESTS}/{opened['id']}")).status_code == 200
        await purge.work(Run(as_of=over))
        assert (await officer.get(f"{REQUESTS}/{opened['id']}")).status_code == 404
        assert (await officer.get(f"{REQUESTS}/{waiting['id']}")).status_code == 200
    async with privacy.runtime.database.begin(system(privacy.org_id)) as session:
        assert set((await session.execute(text("SELECT DISTINCT request_id::text FROM records"))).scalars()) == {
            waiting["id"]
        }


async def test_every_column_is_declared_and_the_database_is_what_the_models_say(
    privacy: Privacy, postgres: testing.Postgres
) -> None:
    manifest = lotpro_policy.load_manifest(ROOM / "data-manifest.yaml")
    tables = {name: [column.name for column in table.columns] for name, table in METADATA.tables.items()}
    assert lotpro_policy.undeclared(manifest, tables) == []
    url = postgres.url("privacy_owner", testing.OWNER_PASSWORD, "privacy")
    assert await migrations.drift(url, METADATA) == []
