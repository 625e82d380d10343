"""Accounts that nobody uses: warned about twice, anonymised on the day and not before."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

import lotpro_policy
from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import former
from lotpro_identity.accounts.service import PHONE
from lotpro_identity.db import AUTHENTICATOR, METADATA, ROOM
from lotpro_identity.lifecycle import service
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.crypto import Undecryptable
from services.identity.tests.conftest import id_of, org_of
from services.identity.tests.lifecycle.conftest import Lives
from services.identity.tests.lifecycle.test_domain import oracle

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


async def test_a_year_of_nightly_jobs_is_as_the_oracle_says(lives: Lives) -> None:
    start = lives.identity.clock()
    plans: list[set[int]] = [set(), {1}, {149}, {151}, {174, 179}, {100, 279}, {*range(0, 365, 20)}]
    people = {}
    for plan in plans:
        owner = await lives.identity.owner()
        people[id_of(owner)] = plan
    for day in range(365):
        now = start + day * DAY
        for person, plan in people.items():
            if day in plan:
                await lives.sql("UPDATE accounts SET last_active_at = :now WHERE id = :id", now=now, id=person)
        await lives.job("warn-inactive", now)
        await lives.job("anonymise-inactive", now)
        for person, plan in people.items():
            told, ended = oracle(plan, day + 1)
            if day in told or day == ended or day % 90 == 0:
                events = await lives.events(person)
                warned = [body["days_left"] for name, body in events if name == "AccountInactivityWarned"]
                assert warned == list(told.values()), (plan, day)
                gone = (await lives.account(person)).status == "anonymised"
                assert gone == (ended is not None and ended <= day), (plan, day)
    for person, plan in people.items():
        told, ended = oracle(plan, 365)
        names = await lives.names(person)
        assert names.count("AccountInactivityWarned") == len(told)
        assert names.count("AccountAnonymised") == (ended is not None)


async def test_the_last_second_belongs_to_the_person(lives: Lives) -> None:
    person = id_of(await lives.identity.owner())
    end = lives.identity.clock() + 180 * DAY
    await lives.job("anonymise-inactive", end - SECOND)
    assert (await lives.account(person)).status == "active"
    await lives.job("anonymise-inactive", end)
    assert (await lives.account(person)).status == "anonymised"


async def test_activity_within_the_hour_is_not_written_and_still_counts(lives: Lives) -> None:
    clock = lives.identity.clock
    owner = await lives.identity.owner()
    person, start = id_of(owner), clock()
    clock.advance(timedelta(minutes=59))
    body = {"refresh_token": owner.refresh_token}
    owner.refresh_token = (await lives.identity.post("/sessions:refresh", body)).json()["refresh_token"]
    assert (await lives.account(person)).last_active_at == start
    await lives.job("anonymise-inactive", start + 180 * DAY)
    assert (await lives.account(person)).status == "active"
    clock.advance(timedelta(minutes=1))
    await lives.identity.post("/sessions:refresh", {"refresh_token": owner.refresh_token})
    assert (await lives.account(person)).last_active_at == clock()
    await lives.job("anonymise-inactive", clock() + 180 * DAY)
    assert (await lives.account(person)).status == "anonymised"


async def test_a_refresh_waits_for_nobody_who_holds_the_account(lives: Lives) -> None:
    """Else a refresh and a closing, each holding what the other wants next, would wait for each other."""
    owner = await lives.identity.owner()
    lives.identity.clock.advance(timedelta(hours=2))
    async with lives.identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        assert await accounts.lock(session, {id_of(owner)})
        body = {"refresh_token": owner.refresh_token}
        async with asyncio.timeout(5):
            answer = await lives.identity.post("/sessions:refresh", body)
        assert answer.status_code == 200


async def test_a_dry_run_counts_and_changes_nothing_and_a_second_run_finds_nothing(lives: Lives) -> None:
    person = id_of(await lives.identity.owner())
    start = lives.identity.clock()
    for name, verb, day in (("warn-inactive", "warned", 150), ("anonymise-inactive", "anonymised", 180)):
        before, told = await lives.stored(), await lives.names(person)
        foreseen = await lives.job(name, start + day * DAY, dry_run=True)
        assert foreseen[verb] >= 1
        assert (await lives.stored(), await lives.names(person)) == (before, told)
        assert await lives.job(name, start + day * DAY) == foreseen
        assert (await lives.job(name, start + day * DAY))[verb] == 0
    assert (await lives.names(person)).count("AccountAnonymised") == 1


async def test_two_runs_at_once_anonymise_each_account_once(lives: Lives) -> None:
    people = [id_of(await lives.identity.owner()) for _ in range(3)]
    end = lives.identity.clock() + 180 * DAY
    runs = await asyncio.gather(*(lives.job("anonymise-inactive", end) for _ in range(3)))
    assert all(run["failed"] == 0 for run in runs)
    for person in people:
        assert (await lives.names(person)).count("AccountAnonymised") == 1


async def test_a_run_that_dies_before_the_end_leaves_the_account_whole(lives: Lives) -> None:
    person = id_of(await lives.identity.owner())
    end, before = lives.identity.clock() + 180 * DAY, await lives.account(person)
    database = lives.identity.runtime.database

    async def run_and_die() -> None:
        async with database.begin(system(scope=AUTHENTICATOR)) as session:
            assert await service.anonymise_inactive(session, ports_of(lives), account_id=person, as_of=end)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await run_and_die()
    assert await lives.account(person) == before
    assert "AccountAnonymised" not in await lives.names(person)
    await lives.job("anonymise-inactive", end)
    assert (await lives.account(person)).status == "anonymised"


def ports_of(lives: Lives) -> service.Ports:
    """What identity's use cases work with."""
    runtime = lives.identity.runtime
    return service.Ports(
        signer=None, codes=None, passwords=None, relying_party=None, staff=None, places=None,  # type: ignore[arg-type] # not used at the end
        blobs=None, images=None, breaches=None,  # type: ignore[arg-type] # nor these
        keyring=runtime.keyring, blind_index=runtime.blind_index, security_log=runtime.security_log,
        clock=runtime.clock,
    )


async def test_of_an_anonymised_person_nothing_is_left(lives: Lives) -> None:
    owner = await lives.identity.owner()
    person, org_id = id_of(owner), org_of(owner.access_token)
    before = await lives.account(person)
    await lives.job("anonymise-inactive", lives.identity.clock() + 180 * DAY)
    await lives.refused_at_once(owner)
    assert owner.email not in await lives.stored()
    after = await lives.account(person)
    assert (after.name, after.email, after.phone) == ("Former member", f"former-{person}@invalid", None)
    for table in service.ERASED:
        assert await lives.sql(f"SELECT 1 FROM {table} WHERE account_id = :id", id=person) == []
    wrong = await lives.sign_in(owner)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "identity.credentials_invalid")
    async with lives.identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        with pytest.raises(Undecryptable):
            await lives.identity.runtime.keyring.existing(session, person)
        fresh = await lives.identity.runtime.keyring.for_subject(session, person)
        with pytest.raises(Undecryptable):
            fresh.decrypt(before.phone, context=PHONE)
        await session.rollback()
    [org] = await lives.sql("SELECT orphaned_at FROM organisations WHERE id = :id", id=org_id)
    assert org.orphaned_at == lives.identity.clock()
    told = await testing.events(lives.identity.runtime.database, containing=str(org_id))
    assert [name for name, _ in told].count("lotpro.identity.v1.OrganisationOrphaned") == 1


async def test_other_services_are_answered_nothing_about_somebody_who_is_gone(lives: Lives) -> None:
    owner = await lives.identity.owner()
    seller = await lives.identity.member(owner, "sales")
    person, org_id = id_of(seller), str(org_of(owner.access_token))
    await lives.sql("UPDATE accounts SET last_active_at = last_active_at - interval '1 day' WHERE id = :id", id=person)
    await lives.sql(
        "UPDATE sessions SET last_used_at = last_used_at - interval '1 day' WHERE account_id = :id", id=person
    )
    await lives.job("anonymise-inactive", lives.identity.clock() + 179 * DAY)
    async with testing.serve_rpc(lives.identity.parts, lives.identity.runtime, lives.identity.signer) as channel_as:
        stub = identity_pb2_grpc.IdentityServiceStub(channel_as("notifications"))
        asked = identity_pb2.GetContactsRequest(user_ids=[str(person), str(id_of(owner))])
        assert [contact.user_id for contact in (await stub.GetContacts(asked)).contacts] == [str(id_of(owner))]
        members = (await stub.GetMembers(identity_pb2.GetMembersRequest(org_id=org_id))).members
        assert [member.user_id for member in members] == [str(id_of(owner))]
        privacy = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        subject = participant_pb2.Subject(
            kind=participant_pb2.SUBJECT_KIND_USER, org_id=org_id, id=str(person), email=seller.email
        )
        assert [item async for item in privacy.Export(participant_pb2.ExportRequest(subject=subject))] == []
    listed = (await lives.identity.get("/members", token=owner.access_token)).json()["items"]
    assert [item["user_id"] for item in listed] == [str(id_of(owner))]


async def test_a_freed_address_signs_up_again_and_knows_nothing_of_before(lives: Lives) -> None:
    first = await lives.identity.owner()
    await lives.job("anonymise-inactive", lives.identity.clock() + 180 * DAY)
    again = await lives.identity.owner(first.email)
    assert id_of(again) != id_of(first)
    assert org_of(again.access_token) != org_of(first.access_token)
    sessions = (await lives.identity.get("/sessions", token=again.access_token)).json()["items"]
    assert len(sessions) == 1
    assert (await lives.account(id_of(first))).status == "anonymised"


async def test_an_address_that_was_never_confirmed_is_anonymised_without_a_letter(lives: Lives) -> None:
    email = "somebody-elses@prairie-motors.com"
    await lives.identity.post("/accounts", lives.identity.sign_up_body(email))
    [row] = await lives.sql("SELECT id FROM accounts WHERE email = :email", email=email)
    start = lives.identity.clock()
    await lives.job("warn-inactive", start + 150 * DAY)
    await lives.job("anonymise-inactive", start + 180 * DAY)
    assert "AccountInactivityWarned" not in await lives.names(UUID(str(row.id)))
    assert email not in await lives.stored()


def test_no_table_and_no_column_about_a_person_is_forgotten() -> None:
    """Whoever adds one must say here, and in `_erase`, what becomes of it."""
    of_one_account = {
        name for name, table in METADATA.tables.items()
        for key in table.foreign_keys
        if key.column.table.name == "accounts"
    }
    assert of_one_account == service.ERASED
    manifest = lotpro_policy.load_manifest(ROOM / "data-manifest.yaml")
    personal = {column for table, column, _ in manifest.columns() if table == "accounts"}
    replaced = set(former(UUID(int=0)))
    assert personal - replaced == {"id", "last_active_at"}
