"""The log: written once, shown to those who may see it, forgotten on its day."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import lotpro_policy
from lotpro.audit.v1 import audit_pb2, audit_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_audit import app
from lotpro_audit.db import METADATA, ROOM
from lotpro_audit.events import domain
from lotpro_kit import bus, ids, migrations, testing
from lotpro_kit.caller import system
from lotpro_kit.jobs import Run
from services.audit.tests.conftest import EVENTS, Log


async def test_an_act_is_shown_with_who_when_and_where(log: Log) -> None:
    customer = uuid4()
    event_id = await log.take(log.act(concerned_kind="customer", concerned_id=str(customer)))
    async with log.client("org_owner") as owner:
        [shown] = await log.page(owner)
    assert shown["id"] == str(event_id)
    assert (shown["action"], shown["outcome"]) == ("inventory:vehicle:sell", "success")
    assert shown["actor"] == {"kind": "user", "id": str(log.actor_id)}
    assert (shown["ip"], shown["user_agent"]) == ("203.0.113.9", "Firefox/150")
    assert shown["concerned"] == {"kind": "customer", "id": str(customer)}


async def test_an_event_that_comes_twice_stands_once(log: Log) -> None:
    event_id = ids.new()
    for _ in range(3):
        await log.take(log.act(), event_id=event_id)
    async with log.client("compliance") as officer:
        assert len(await log.page(officer)) == 1


async def test_the_database_does_not_hold_addresses_in_the_clear(log: Log) -> None:
    await log.take(log.act())
    async with log.runtime.database.begin(system(log.org_id)) as session:
        dump = str((await session.execute(text("SELECT e::text, encode(rest, 'escape') FROM events e"))).all())
    assert "203.0.113.9" not in dump
    assert "Firefox" not in dump


async def test_looking_is_logged_too(log: Log) -> None:
    async with log.client("org_owner") as owner:
        await log.page(owner)
    events = await testing.events(log.runtime.database, containing=str(log.org_id))
    assert [body["action"] for _, body in events] == ["audit:event:list"]


async def test_other_organisations_and_stores_see_nothing(log: Log) -> None:
    await log.take(log.act())
    async with log.client("org_owner", org_id=uuid4()) as stranger:
        assert await log.page(stranger) == []
    async with log.client("store_admin", store_id=uuid4()) as neighbour:
        assert await log.page(neighbour) == []
    async with log.client("store_admin", store_id=log.store_id) as admin:
        assert len(await log.page(admin)) == 1
    async with log.client("sales", store_id=log.store_id) as seller:
        assert (await seller.get(EVENTS)).status_code == 403
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        assert (await nobody.get(EVENTS)).status_code == 401
        assert (await nobody.get(f"{EVENTS}/mine")).status_code == 401


async def test_everybody_sees_their_own_acts_and_no_others(log: Log) -> None:
    await log.take(log.act())
    await log.take(log.act(actor_id=str(uuid4())))
    token = log.signer.user_token(user_id=log.actor_id, org_id=log.org_id, roles={str(log.store_id): ["porter"]})
    async with testing.client(app.SERVICE, log.runtime, log.parts, token) as porter:
        items = (await porter.get(f"{EVENTS}/mine")).json()["items"]
    assert [item["actor"]["id"] for item in items] == [str(log.actor_id)]


async def test_the_organisations_log_shows_nothing_of_another_one_that_the_reader_also_works_for(log: Log) -> None:
    await log.take(log.act())
    elsewhere, before = str(uuid4()), "identity:account:sign_up"
    await log.take(log.act(org_id=elsewhere))
    await log.take(log.act(before, org_id="", store_id=""))
    roles = {"*": ["org_owner"]}
    token = log.signer.user_token(user_id=log.actor_id, org_id=log.org_id, roles=roles)
    async with testing.client(app.SERVICE, log.runtime, log.parts, token) as owner:
        assert len(await log.page(owner)) == 1
        mine = (await owner.get(f"{EVENTS}/mine")).json()["items"]
    assert len(mine) == 3
    assert mine[0]["action"] == before


async def test_a_person_of_no_organisation_yet_sees_their_own_acts(log: Log) -> None:
    await log.take(log.act("identity:account:sign_up", org_id="", store_id=""))
    async with testing.client(
        app.SERVICE, log.runtime, log.parts, log.signer.user_token(user_id=log.actor_id)
    ) as newcomer:
        [shown] = (await newcomer.get(f"{EVENTS}/mine")).json()["items"]
        assert shown["ip"] == "203.0.113.9"
        assert (await newcomer.get(EVENTS)).status_code == 403


async def test_a_store_administrator_sees_no_acts_on_the_whole_organisation(log: Log) -> None:
    await log.take(log.act("identity:store:open", store_id=""))
    async with log.client("store_admin", store_id=log.store_id) as admin:
        assert await log.page(admin) == []


async def test_pages_follow_each_other_without_gap_or_repetition(log: Log) -> None:
    now = log.runtime.clock()
    made = [await log.take(log.act(at=now - timedelta(seconds=number // 2))) for number in range(9)]
    seen, cursor = [], None
    async with log.client("org_owner") as owner:
        while True:
            query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            answer = (await owner.get(EVENTS, params=query)).json()
            seen += [item["id"] for item in answer["items"]]
            cursor = answer["next_cursor"]
            if cursor is None:
                break
        bad = await owner.get(EVENTS, params={"cursor": "abc"})
    assert sorted(seen) == sorted(map(str, made))
    assert (bad.status_code, bad.json()["code"]) == (422, "request.invalid_cursor")


async def test_filters_narrow_the_log(log: Log) -> None:
    await log.take(log.act("identity:session:create", factor="totp"))
    await log.take(log.act("identity:session:create", outcome=2))
    subject = str(uuid4())
    await log.take(log.act(subject_kind="vehicle", subject_id=subject))
    async with log.client("org_owner") as owner:
        assert len(await log.page(owner, action="identity:session:create")) == 2
        [failed] = await log.page(owner, action="identity:session:create", outcome="failure")
        assert failed["ocsf_class_name"] == "Authentication"
        assert len(await log.page(owner, subject_id=subject)) == 1
        assert await log.page(owner, since="2999-01-01T00:00:00Z") == []


@pytest.mark.parametrize("statement", ["UPDATE events SET action = 'x'", "DELETE FROM events", "TRUNCATE events"])
async def test_the_service_cannot_change_its_log(log: Log, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with log.runtime.database.begin(system(log.org_id)) as session:
            await session.execute(text(statement))


async def test_an_event_outside_of_the_kept_days_is_a_dead_letter(log: Log) -> None:
    for at in (log.runtime.clock() - timedelta(days=181), log.runtime.clock() + timedelta(days=2)):
        with pytest.raises(bus.Unreadable):
            await log.take(log.act(at=at))


@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), st.integers(0, 400))  # noqa: DTZ001
def test_a_day_goes_when_its_last_moment_is_180_days_old_and_not_before(now: datetime, age: int) -> None:
    day = (now - timedelta(days=age)).date()
    last_moment = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    assert (day in domain.expired_days([day], as_of=now)) == (now - last_moment >= timedelta(days=180))


async def test_expiring_drops_old_days_and_only_those(log: Log) -> None:
    jobs = {job.name: job for job in log.parts.jobs}
    now = log.runtime.clock()
    await log.take(log.act())
    async with log.runtime.database.begin(system(scope="retention")) as session:
        await session.execute(text("SELECT audit_make_day(:day)"), {"day": date(2020, 2, 29)})
    dry = await jobs["expire-events"].work(Run(as_of=now, dry_run=True))
    assert dry["days"] >= 1
    done = await jobs["expire-events"].work(Run(as_of=now))
    assert done["days"] == dry["days"]
    async with log.client("org_owner") as owner:
        assert len(await log.page(owner)) == 1
    assert (await jobs["expire-events"].work(Run(as_of=now)))["days"] == 0


async def test_append_event_writes_before_it_answers_and_once(log: Log) -> None:
    request = audit_pb2.AppendEventRequest(event_id=str(ids.new()), event=log.act("privacy:request:answer"))
    async with testing.serve_rpc(log.parts, log.runtime, log.signer) as channel_as:
        stub = audit_pb2_grpc.AuditServiceStub(channel_as("privacy"))
        for _ in range(2):
            assert (await stub.AppendEvent(request)).event_id == request.event_id
    async with log.client("org_owner") as owner:
        assert len(await log.page(owner)) == 1


async def test_privacy_is_told_what_concerns_a_customer_of_that_organisation_only(log: Log) -> None:
    customer = str(uuid4())
    await log.take(log.act(concerned_kind="customer", concerned_id=customer))
    async with testing.serve_rpc(log.parts, log.runtime, log.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))

        async def found(org_id: object) -> list[participant_pb2.ExportResponse]:
            subject = participant_pb2.Subject(
                kind=participant_pb2.SUBJECT_KIND_CUSTOMER, org_id=str(org_id), id=customer
            )
            return [item async for item in stub.Export(participant_pb2.ExportRequest(subject=subject))]

        [record] = await found(log.org_id)
        assert record.fields["action"] == "inventory:vehicle:sell"
        assert "ip" not in record.fields
        assert await found(uuid4()) == []
        described = await stub.Describe(participant_pb2.DescribeRequest())
    assert described.policy_sha256 == lotpro_policy.policy().sha256
    assert any(column.column == "leaf" for column in described.columns)


async def test_every_column_is_declared_and_the_database_is_what_the_models_say(
    log: Log, postgres: testing.Postgres
) -> None:
    manifest = lotpro_policy.load_manifest(ROOM / "data-manifest.yaml")
    tables = {name: [column.name for column in table.columns] for name, table in METADATA.tables.items()}
    assert lotpro_policy.undeclared(manifest, tables) == []
    url = postgres.url("audit_owner", testing.OWNER_PASSWORD, "audit")
    assert await migrations.drift(url, METADATA) == []
