"""The register of disclosures: written once, by those who may, logged before it is answered."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lotpro_audit import app
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.jobs import Run
from services.audit.tests.conftest import Log
from services.audit.tests.legal import as_owner, as_superuser, jobs, place

PATH = "/api/audit/v1/disclosures"


def body(log: Log, **other: Any) -> dict[str, Any]:
    return {
        "requester": "Lancaster County Sheriff's Office", "authority": "District Court of Lancaster County",
        "legal_basis": "Search warrant, Nebraska Revised Statutes 29-812", "reference": "CI 26-1187",
        "received_at": (log.clock() - timedelta(days=2)).isoformat(), "events": {}, "event_count": 12,
        "export_sha256": "ab" * 32, "given_at": (log.clock() - timedelta(days=1)).isoformat(), "person_told": True,
        **other,
    }


async def record(client: httpx.AsyncClient, log: Log, **other: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json=body(log, **other))
    assert answer.status_code == 201, answer.text
    line: dict[str, Any] = answer.json()
    return line


async def test_a_disclosure_says_who_asked_what_was_given_and_who_was_told_and_is_logged(log: Log) -> None:
    await log.take(log.act())
    handed_by = uuid4()
    async with log.client("compliance") as officer:
        hold, _ = await place(officer)
        events = {"hold_id": hold["id"], "store_id": str(log.store_id), "outcome": "failure"}
        line = await record(
            officer, log, events=events, given_by=str(handed_by), person_told=False,
            untold_reason="The warrant orders silence until 1 May.",
        )
        [logged] = await log.page(officer, action="audit:disclosure:record")
        assert (logged["subject"], logged["store_id"]) == (
            {"kind": "disclosure", "id": line["id"]}, str(log.store_id)
        )
        shown = (await officer.get(f"{PATH}/{line['id']}")).json()
    assert shown == line
    assert (line["hold_id"], line["filter"]) == (
        hold["id"], {"store_id": str(log.store_id), "outcome": "failure"}
    )
    assert (line["given_by"], line["recorded_by"]) == (str(handed_by), logged["actor"]["id"])
    assert (line["event_count"], line["export_sha256"], line["person_told"]) == (12, "ab" * 32, False)


async def test_without_another_name_it_was_given_by_whoever_records_it(log: Log) -> None:
    async with log.client("org_owner") as owner:
        line = await record(owner, log)
    assert line["given_by"] == line["recorded_by"]


async def test_the_same_idempotency_key_records_one_line(log: Log) -> None:
    headers = {"idempotency-key": str(uuid4())}
    async with log.client("compliance") as officer:
        first, second = [await officer.post(PATH, json=body(log), headers=headers) for _ in range(2)]
        assert first.json() == second.json()
        assert len((await officer.get(PATH)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"person_told": False}, 422, "audit.disclosure_not_told"),
        ({"untold_reason": "an order to keep silent"}, 422, "audit.disclosure_not_told"),
        ({"given_at": "2001-01-01T00:00:00Z"}, 422, "audit.disclosure_times_impossible"),
        ({"given_at": "2999-01-01T00:00:00Z"}, 422, "audit.disclosure_times_impossible"),
        ({"event_count": -1}, 422, "request.invalid"),
        ({"export_sha256": "AB" * 32}, 422, "request.invalid"),
        ({"requester": "two\nlines"}, 422, "request.invalid"),
        ({"reference": ""}, 422, "request.invalid"),
        ({"events": {"customer": "Robin"}}, 422, "request.invalid"),
        ({"events": {"hold_id": str(uuid4())}}, 404, "request.not_found"),
        ({"events": {"store_id": str(uuid4())}}, 404, "request.not_found"),
    ],
)
async def test_what_cannot_have_happened_is_refused_and_not_recorded(
    log: Log, wrong: dict[str, Any], status: int, code: str
) -> None:
    async with log.client("compliance") as officer:
        answer = await officer.post(PATH, json=body(log, **wrong))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert (await officer.get(PATH)).json()["items"] == []


async def _ask(client: httpx.AsyncClient, log: Log, line_id: str) -> list[int]:
    return [
        (await client.post(PATH, json=body(log))).status_code,
        (await client.get(PATH)).status_code,
        (await client.get(f"{PATH}/{line_id}")).status_code,
    ]


async def test_the_register_is_for_owners_and_compliance_and_the_privacy_officer_looks(log: Log) -> None:
    async with log.client("compliance") as officer:
        line = await record(officer, log)
        assert await _ask(officer, log, line["id"]) == [201, 200, 200]
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        assert await _ask(nobody, log, line["id"]) == [401] * 3
    for role in ("store_admin", "sales", "platform_support"):
        async with log.client(role) as wrong:
            assert await _ask(wrong, log, line["id"]) == [403] * 3, role
    async with log.client("platform_privacy") as privacy:
        assert await _ask(privacy, log, line["id"]) == [403, 200, 200]
    async with log.client("compliance", org_id=uuid4()) as stranger:
        assert await _ask(stranger, log, line["id"]) == [201, 200, 404]
        assert line["id"] not in (await stranger.get(PATH)).text


async def test_another_organisations_hold_cannot_be_disclosed(log: Log) -> None:
    async with log.client("compliance") as officer:
        hold, _ = await place(officer)
    async with log.client("compliance", org_id=uuid4()) as stranger:
        answer = await stranger.post(PATH, json=body(log, events={"hold_id": hold["id"]}))
    assert answer.status_code == 404


async def test_pages_of_the_register_follow_each_other_and_looking_is_logged(log: Log) -> None:
    async with log.client("compliance") as officer:
        made = [(await record(officer, log))["id"] for _ in range(3)]
        first = (await officer.get(PATH, params={"limit": 2})).json()
        second = (await officer.get(PATH, params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert [line["id"] for line in first["items"] + second["items"]] == made[::-1]
        assert second["next_cursor"] is None
        bad = await officer.get(PATH, params={"cursor": "abc"})
        assert (bad.status_code, bad.json()["code"]) == (422, "request.invalid_cursor")
    told = await testing.events(log.runtime.database, containing=str(log.org_id))
    assert [fields["action"] for _, fields in told] == ["audit:disclosure:view"] * 2


@pytest.mark.parametrize("scope", ["", "retention"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE disclosures SET event_count = 0", "UPDATE disclosures SET person_told = true, untold_reason = NULL",
     "DELETE FROM disclosures", "TRUNCATE disclosures"],
)
async def test_the_owner_of_the_database_cannot_change_a_disclosure(log: Log, statement: str, scope: str) -> None:
    async with log.client("compliance") as officer:
        line = await record(officer, log)
        with pytest.raises(DBAPIError, match="written once"):
            await as_owner(log, text(statement), scope=scope)
        assert (await officer.get(f"{PATH}/{line['id']}")).json() == line


@pytest.mark.parametrize("statement", ["UPDATE disclosures SET event_count = 0", "TRUNCATE disclosures"])
async def test_the_service_may_not_even_try(log: Log, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with log.runtime.database.begin(system(log.org_id)) as session:
            await session.execute(text(statement))


async def test_a_line_goes_24_months_after_it_was_recorded(log: Log) -> None:
    async with log.client("compliance") as officer:
        old, young = await record(officer, log), await record(officer, log)
        long_ago = "UPDATE disclosures SET recorded_at = now() - interval '25 months' WHERE id = "
        await as_superuser(log, f"{long_ago}'{old['id']}'")
        assert (await jobs(log)["forget-legal"](Run(as_of=log.clock(), dry_run=True)))["disclosures"] >= 1
        assert [line["id"] for line in (await officer.get(PATH)).json()["items"]] == [young["id"], old["id"]]
        assert (await jobs(log)["forget-legal"](Run(as_of=log.clock())))["disclosures"] >= 1
        assert [line["id"] for line in (await officer.get(PATH)).json()["items"]] == [young["id"]]
