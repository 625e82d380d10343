"""What identity tells other services, how it keeps tenants apart in the database, and what it declares."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import grpc
import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

import lotpro_policy
from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_identity import app
from lotpro_identity.challenges.domain import CodeInvalid, Codes, challenge_of
from lotpro_identity.db import METADATA, ROOM
from lotpro_identity.factors import domain as factors
from lotpro_kit import ids, migrations, service, testing
from lotpro_kit.caller import Caller, system
from lotpro_kit.jobs import Run
from services.identity.tests.challenges.test_binding import with_sms
from services.identity.tests.conftest import Identity, id_of, org_of
from services.identity.tests.factors.test_managing import trusted

KEY = "A" * 43 + "="


async def test_other_services_get_contacts_members_and_the_organisation(identity: Identity) -> None:
    owner = await identity.owner()
    org_id = str(org_of(owner.access_token))
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        stub = identity_pb2_grpc.IdentityServiceStub(channel_as("notifications"))
        members = (await stub.GetMembers(identity_pb2.GetMembersRequest(org_id=org_id, roles=["org_owner"]))).members
        assert [[role.role for role in member.roles] for member in members] == [["org_owner"]]
        assert not (await stub.GetMembers(identity_pb2.GetMembersRequest(org_id=org_id, roles=["sales"]))).members
        asked = identity_pb2.GetContactsRequest(user_ids=[members[0].user_id, str(uuid4())])
        [contact] = (await stub.GetContacts(asked)).contacts
        assert (contact.email, contact.phone) == (owner.email, identity.phone)
        organisation = await stub.GetOrganisation(identity_pb2.GetOrganisationRequest(org_id=org_id))
        assert [store.time_zone for store in organisation.stores] == ["America/Chicago"]
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await stub.GetOrganisation(identity_pb2.GetOrganisationRequest(org_id=str(uuid4())))
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_used_or_expired_code_is_never_revealed_again(identity: Identity) -> None:
    owner = await identity.owner()
    email = f"{uuid4().hex[:12]}@prairie-motors.com"
    await identity.post("/accounts", identity.sign_up_body(email))
    revealed = await identity.mailed(email)
    identity.clock.advance(timedelta(minutes=10))
    with pytest.raises(AssertionError, match="nothing was mailed"):
        await identity.mailed(email)
    with pytest.raises(AssertionError, match="nothing was mailed"):
        await identity.mailed(owner.email)
    assert len(revealed.code) == 6


async def test_only_notifications_may_ask_for_a_code(identity: Identity) -> None:
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        stub = identity_pb2_grpc.IdentityServiceStub(channel_as("billing"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.RevealCode(identity_pb2.RevealCodeRequest(challenge_id=str(uuid4())))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_privacy_finds_a_member_by_id_or_address_inside_the_organisation_only(identity: Identity) -> None:
    owner, other = await identity.owner(), await identity.owner()
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))

        async def tables(org_id: object, email: str) -> set[str]:
            subject = participant_pb2.Subject(
                kind=participant_pb2.SUBJECT_KIND_CUSTOMER, org_id=str(org_id), id=str(uuid4()), email=email
            )
            return {item.table async for item in stub.Export(participant_pb2.ExportRequest(subject=subject))}

        mine = await tables(org_of(owner.access_token), owner.email)
        assert mine == {"accounts", "memberships", "sessions", "factors"}
        assert await tables(org_of(other.access_token), owner.email) == set()
        described = await stub.Describe(participant_pb2.DescribeRequest())
    assert any(column.column == "secret" for column in described.columns)


async def test_an_access_request_has_the_devices_and_factors_and_nothing_that_opens_the_account(
    identity: Identity,
) -> None:
    owner, phone = await with_sms(identity)
    device = await trusted(identity, owner)
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        subject = participant_pb2.Subject(
            kind=participant_pb2.SUBJECT_KIND_USER, org_id=str(org_of(owner.access_token)), id=str(id_of(owner))
        )
        records = [item async for item in stub.Export(participant_pb2.ExportRequest(subject=subject))]
    assert [record.fields["ip"] for record in records if record.table == "devices"] == [identity.ip]
    ways = {record.fields["kind"]: record.fields["phone"] for record in records if record.table == "factors"}
    assert ways == {"totp": "", "sms": phone}
    everything = "".join(str(record) for record in records)
    assert not any(secret in everything for secret in (owner.secret, device, *owner.recovery_codes))


@pytest.mark.parametrize(
    "table",
    ["accounts", "organisations", "stores", "memberships", "invitations", "challenges", "factors",
     "ceremonies", "devices", "recovery_codes", "sessions", "refresh_tokens", "lifecycle_announcements"],
)
async def test_without_a_caller_or_as_a_stranger_no_row_exists(identity: Identity, table: str) -> None:
    owner = await identity.owner()
    mine = Caller(kind="user", user_id=uuid4(), org_id=uuid4(), stores=None)
    for caller in (system(), mine):
        async with identity.runtime.database.begin(caller) as session:
            count = (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
        assert count == 0
    assert owner.access_token


async def test_every_operation_without_a_token_is_refused_unless_it_is_public(identity: Identity) -> None:
    document = service.openapi(app.SERVICE)
    async with identity.client() as client:
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if operation["security"]:
                    answer = await client.request(method, path.replace("{session_id}", str(uuid4())), json={})
                    assert answer.status_code == 401, (method, path)


async def test_ended_challenges_and_counted_tries_are_forgotten(identity: Identity) -> None:
    email = f"{uuid4().hex[:12]}@prairie-motors.com"
    await identity.post("/accounts", identity.sign_up_body(email))
    job = next(job for job in identity.parts.jobs if job.name == "expire-challenges")
    later = identity.clock() + timedelta(days=2)
    foreseen = await job.work(Run(as_of=later, dry_run=True))
    counts = await job.work(Run(as_of=later))
    assert foreseen == counts
    assert counts["challenges"] >= 1
    assert counts["attempts"] >= 1


@given(st.binary(min_size=16, max_size=16), st.uuids())
def test_a_code_is_six_digits_and_a_token_names_its_challenge(salt: bytes, challenge_id: UUID) -> None:
    codes = Codes(lambda: KEY)
    code = codes.code(challenge_id, salt)
    assert len(code) == 6
    assert code.isdigit()
    token = codes.token(challenge_id, salt)
    assert challenge_of(token) == challenge_id


@given(st.text(max_size=80))
def test_what_is_no_token_is_refused(token: str) -> None:
    try:
        challenge_of(token)
    except CodeInvalid:
        return
    assert len(token) == 64


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_no_time_step_is_ever_accepted_twice_or_from_the_future(moves: list[int]) -> None:
    """Against the slowest oracle there is: a set of the steps that were accepted."""
    seed, last, accepted = factors.new_seed(), 0, set()
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    present = int(now.timestamp()) // 30
    for move in moves:
        code = pyotp.TOTP(seed).at((present + move) * 30)
        step = factors.matching_step(seed, code, now=now, last_step=last)
        fresh = move in (0, -1) and all(done < present + move for done in accepted)
        assert (step == present + move) == fresh
        if step is not None:
            accepted.add(step)
            last = step


async def test_every_column_is_declared_and_the_database_is_what_the_models_say(
    identity: Identity, postgres: testing.Postgres
) -> None:
    manifest = lotpro_policy.load_manifest(ROOM / "data-manifest.yaml")
    tables = {name: [column.name for column in table.columns] for name, table in METADATA.tables.items()}
    assert lotpro_policy.undeclared(manifest, tables) == []
    url = postgres.url("identity_owner", testing.OWNER_PASSWORD, "identity")
    assert await migrations.drift(url, METADATA) == []


async def test_ids_in_requests_that_are_no_ids_are_invalid(identity: Identity) -> None:
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        stub = identity_pb2_grpc.IdentityServiceStub(channel_as("notifications"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.RevealCode(identity_pb2.RevealCodeRequest(challenge_id="x"))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.RevealCode(identity_pb2.RevealCodeRequest(challenge_id=str(ids.new())))
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
