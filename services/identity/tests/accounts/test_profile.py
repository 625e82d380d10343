"""What people tell about themselves: changed by merge, encrypted, exported, gone with the account."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_identity.accounts import domain
from lotpro_identity.db import AUTHENTICATOR
from lotpro_kit import testing
from lotpro_kit.caller import system
from services.identity.tests.conftest import PREFIX, Identity, Person, id_of, org_of
from services.identity.tests.lifecycle.conftest import Lives

ME = f"{PREFIX}/accounts/me"
WORK = {"job_title": "Sales manager", "department": "Used vehicles", "position": "Team lead"}


async def change(identity: Identity, person: Person, **changes: Any) -> httpx.Response:
    """Change the profile from its present version."""
    async with identity.client(person.access_token) as client:
        tag = (await client.get(ME)).headers["etag"]
        return await client.patch(
            ME, json=changes, headers={"if-match": tag, "content-type": "application/merge-patch+json"}
        )


async def test_a_profile_is_merged_and_null_clears(identity: Identity) -> None:
    owner = await identity.owner()
    changed = await change(identity, owner, **WORK, locale="ES-419", time_zone="America/Denver")
    assert changed.status_code == 200, changed.text
    expected = WORK | {"locale": "es-419", "time_zone": "America/Denver", "name": "Dana Whitfield"}
    assert changed.json() | expected == changed.json()
    cleared = await change(identity, owner, department=None, position="", time_zone=None, locale=None)
    assert cleared.status_code == 200, cleared.text
    read = (await identity.get("/accounts/me", token=owner.access_token)).json()
    assert read == cleared.json()
    assert (read["job_title"], read["department"], read["position"]) == ("Sales manager", None, None)
    assert (read["time_zone"], read["locale"], read["phone"]) == (None, "en-US", identity.phone)


async def test_a_change_is_told_by_ids_and_names_of_fields_only(identity: Identity) -> None:
    owner = await identity.owner()
    await change(identity, owner, **WORK)
    told = await testing.events(identity.runtime.database, containing=str(id_of(owner)))
    assert ("lotpro.identity.v1.AccountUpdated", {"user_id": str(id_of(owner)), "version": "2"}) in told
    [logged] = [body for _, body in told if body.get("action") == "identity:account:update"]
    assert sorted(logged["changed_fields"]) == sorted(WORK)
    assert not any(value in str(told) for value in WORK.values())


async def test_what_people_do_at_work_is_stored_encrypted(lives: Lives) -> None:
    owner = await lives.identity.owner()
    await change(lives.identity, owner, **WORK)
    row = await lives.account(id_of(owner))
    for name, value in WORK.items():
        assert value.encode() not in getattr(row, name)
    async with lives.identity.runtime.database.begin(system(scope=AUTHENTICATOR)) as session:
        key = await lives.identity.runtime.keyring.existing(session, id_of(owner))
    assert key.decrypt(row.position, context="accounts.position") == WORK["position"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"job_title": "Sales\x00manager"}, "identity.line_invalid"),
        ({"department": "Used\nvehicles"}, "identity.line_invalid"),
        ({"position": "lead\u202ereal"}, "identity.line_invalid"),
        ({"name": "Dana\u2028W"}, "request.invalid"),
        ({"name": "   "}, "request.invalid"),
        ({"name": None}, "request.invalid"),
        ({"job_title": "x" * 101}, "request.invalid"),
        ({"job_title": "\u0958" * 100}, "identity.line_invalid"),
        ({"locale": "english"}, "identity.locale_invalid"),
        ({"locale": "en_US"}, "identity.locale_invalid"),
        ({"time_zone": "Mars/Olympus"}, "identity.time_zone_unknown"),
        ({"time_zone": "../etc/passwd"}, "identity.time_zone_unknown"),
        ({"email": "a@b.example"}, "request.invalid"),
    ],
)
async def test_what_is_no_line_of_text_no_language_and_no_zone_is_refused(
    identity: Identity, changes: dict[str, Any], code: str
) -> None:
    owner = await identity.owner()
    answer = await change(identity, owner, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["pointer"] == f"/body/{next(iter(changes))}"
    events = await testing.events(identity.runtime.database, containing=str(id_of(owner)))
    assert not [name for name, _ in events if name.endswith("AccountUpdated")]


async def test_a_stale_or_missing_version_changes_nothing(identity: Identity) -> None:
    owner = await identity.owner()
    async with identity.client(owner.access_token) as client:
        tag = (await client.get(ME)).headers["etag"]
        assert (await client.patch(ME, json=WORK)).status_code == 428
        assert (await client.patch(ME, json=WORK, headers={"if-match": tag})).status_code == 200
        stale = await client.patch(ME, json={"job_title": "Else"}, headers={"if-match": tag})
        assert (stale.status_code, stale.json()["code"]) == (412, "request.stale")
        assert (await client.get(ME)).json()["job_title"] == WORK["job_title"]


async def test_the_privacy_export_contains_what_was_told(identity: Identity) -> None:
    owner = await identity.owner()
    await change(identity, owner, **WORK, time_zone="America/Denver")
    async with testing.serve_rpc(identity.parts, identity.runtime, identity.signer) as channel_as:
        stub = participant_pb2_grpc.PrivacyParticipantServiceStub(channel_as("privacy"))
        subject = participant_pb2.Subject(
            kind=participant_pb2.SUBJECT_KIND_USER, org_id=str(org_of(owner.access_token)), id=str(id_of(owner))
        )
        found = [item async for item in stub.Export(participant_pb2.ExportRequest(subject=subject))]
    [account] = [item for item in found if item.table == "accounts"]
    assert dict(account.fields) | WORK | {"time_zone": "America/Denver"} == dict(account.fields)


async def test_what_was_told_goes_with_the_account(lives: Lives) -> None:
    owner = await lives.identity.owner()
    await change(lives.identity, owner, **WORK, time_zone="America/Denver", locale="es-419")
    await lives.close(owner)
    await lives.job("delete-closed", lives.identity.clock() + timedelta(days=30))
    row = await lives.account(id_of(owner))
    assert (row.job_title, row.department, row.position) == (None, None, None)
    assert (row.time_zone, row.locale, row.status) == (None, "en-US", "deleted")


@given(st.text(max_size=120))
def test_a_line_that_is_accepted_shows_as_it_was_written(text: str) -> None:
    try:
        line = domain.normalised_line(text, field="name")
    except domain.LineInvalid:
        return
    assert 0 < len(line) <= domain.LINE_MAX
    assert line.isprintable() or "\u200c" in line or "\u200d" in line or any(char.isspace() for char in line)
    assert domain.normalised_line(line, field="name") == line


@pytest.mark.parametrize(
    ("given_tag", "stored"),
    [("en", "en"), ("EN-us", "en-US"), ("zh-hant-tw", "zh-Hant-TW"), ("es-419", "es-419"), ("sr-latn", "sr-Latn")],
)
def test_a_language_tag_gets_its_usual_case(given_tag: str, stored: str) -> None:
    assert domain.normalised_locale(given_tag) == stored
