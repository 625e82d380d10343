"""Exports from end to end: opened by the API, made by workers, judged by the stand-alone verifier."""

import asyncio
import csv
import io
import json
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from lotpro_audit import app
from lotpro_audit.events import domain as events_domain
from lotpro_audit.events import service as events
from lotpro_audit.events.domain import Filter
from lotpro_audit.exports import domain, service
from lotpro_audit.exports.models import CHUNKS
from lotpro_audit.tree.notes import Checkpoint
from lotpro_audit.verification import verify
from lotpro_kit import testing
from lotpro_kit.caller import Origin, system
from lotpro_kit.crypto import Undecryptable, seal_origin
from lotpro_kit.db import Database, Session
from lotpro_kit.jobs import Run
from services.audit.tests.conftest import Log
from services.audit.tests.exports.conftest import EXPORTS, SMALL, Desk
from services.audit.tests.legal import place, release


def lines_of(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def leaves_of(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line["leaf"]) for line in lines_of(content)[1:-1]]


def job(desk: Desk, name: str) -> Any:
    [work] = [job.work for job in desk.log.parts.jobs if job.name == name]
    return work


async def test_a_complete_export_is_verified_by_the_command_alone(desk: Desk) -> None:
    await desk.fill(2 * SMALL + 2)
    opened = await desk.open()
    assert (opened["state"], opened["percent"], opened["total"]) == ("waiting", 0, None)
    await desk.work()
    found = await desk.look(opened["id"])
    answer = await desk.client.get(f"{EXPORTS}/{opened['id']}/content")
    # The twelve, and that the export was opened.
    assert (found["state"], found["percent"], found["events"], found["total"]) == ("done", 100, 13, 13)
    assert (found["size"], found["sha256"]) == (len(answer.content), sha256(answer.content).hexdigest())
    digest = f"sha-256=:{b64encode(sha256(answer.content).digest()).decode()}:"
    assert (answer.headers["repr-digest"], answer.headers["content-type"]) == (digest, "application/x-ndjson")
    assert answer.headers["cache-control"] == "private, no-store"
    ended, verdict = await desk.command(answer.content)
    assert (ended, verdict["verified"], verdict["events"]) == (0, True, 13), verdict
    assert (verdict["first_org_seq"], verdict["last_org_seq"], verdict["gaps"]) == (1, 13, [])
    assert verdict["size"] == found["checkpoint_size"]
    last = leaves_of(answer.content)[-1]
    assert (last["action"], last["subject"]) == ("audit:export:open", opened["id"])
    assert lines_of(answer.content)[1]["ip"] == "203.0.113.9"


async def test_an_export_has_nothing_of_other_organisations(desk: Desk) -> None:
    await desk.fill(SMALL)
    await desk.fill(SMALL, org_id=str(uuid4()))
    await desk.fill(1, org_id="", store_id="")
    content = await desk.exported()
    assert {found["org"] for found in leaves_of(content)} == {str(desk.log.org_id)}
    assert len(leaves_of(content)) == SMALL + 1
    assert desk.judge(content).verified


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (1, (b"sell", b"view")), (1, (b'"ok\\":true', b'"ok\\":false')), (1, (b"203.0.113.9", b"203.0.113.8")),
        (0, (b'"count":8', b'"count":7')), (0, (b"audit\\n", b"audit\\n1")), (2, None), (-1, None), (-2, None),
    ],
)
async def test_what_is_changed_or_left_out_is_found(
    desk: Desk, place: int, change: tuple[bytes, bytes] | None
) -> None:
    await desk.fill(7)
    content = (await desk.exported()).splitlines(keepends=True)
    assert desk.judge(b"".join(content)).verified
    if change is None:
        del content[place]
    else:
        assert change[0] in content[place]
        content[place] = content[place].replace(*change, 1)
    if place != -1:
        # Whoever changes it also knows how to close it.
        hashed = sha256(b"".join(content[:-1])).hexdigest()
        content[-1] = f'{{"end":true,"count":{len(content) - 2},"sha256":"{hashed}"}}\n'.encode()
    ended, verdict = await desk.command(b"".join(content))
    assert (ended, verdict["verified"]) == (1, False)


@pytest.mark.parametrize("format", ["jsonl", "csv"])
async def test_a_filtered_export_has_what_the_list_shows_and_is_verified(desk: Desk, format: str) -> None:
    log, customer, session_id = desk.log, str(uuid4()), str(uuid4())
    elsewhere = seal_origin(Origin(ip="198.51.100.7"), log.runtime.settings.audit_sealing_public_key)
    await desk.fill(2)
    await desk.fill(1, outcome=2, session_id=session_id)
    await desk.fill(1, concerned_kind="customer", concerned_id=customer)
    await desk.fill(1, subject_kind="customer", subject_id=customer, store_id=str(uuid4()))
    await desk.fill(1, action="identity:session:create", actor_id=str(uuid4()), sealed_origin=elsewhere)
    log.clock.advance(timedelta(minutes=1))
    now = log.clock.now
    await desk.fill(1)
    asked: list[tuple[dict[str, Any], int]] = [
        ({"subject_id": customer}, 2), ({"actor_id": str(log.actor_id)}, 6), ({"outcome": "failure"}, 1),
        ({"session_id": session_id}, 1), ({"ip": "198.51.100.7"}, 1), ({"action": "identity:session:create"}, 1),
        ({"store_id": str(log.store_id), "outcome": "success"}, 5), ({"until": now.isoformat()}, 6),
        ({"since": now.isoformat(), "action": "inventory:vehicle:sell"}, 1), ({"actor_id": str(uuid4())}, 0),
    ]
    for wanted, count in asked:
        opened = await desk.open(format=format, filter=wanted)
        assert {name: value for name, value in opened["filter"].items() if value is not None}.keys() == wanted.keys()
        await desk.work()
        assert (await desk.look(opened["id"]))["events"] == count, wanted
        content = await desk.fetch(opened["id"])
        report = desk.judge(content)
        assert (report.verified, report.events) == (True, count), (wanted, report.failures)
        assert report.header is not None
        assert report.header.filter is not None
        assert report.header.first_org_seq == 1


async def test_a_filter_without_fields_asks_for_all(desk: Desk) -> None:
    await desk.fill(1)
    opened = await desk.open(filter={})
    assert opened["filter"] is None
    await desk.work()
    report = desk.judge(await desk.fetch(opened["id"]))
    assert report.header is not None
    assert (report.verified, report.header.filter, report.events) == (True, None, 2)


async def test_csv_calculates_nothing(desk: Desk) -> None:
    agent = '=HYPERLINK("https://evil.example","x"),@SUM(1)'
    key = desk.log.runtime.settings.audit_sealing_public_key
    sealed = seal_origin(Origin(ip="198.51.100.7", user_agent=agent), key)
    await desk.fill(2, sealed_origin=sealed, request_id="-2+3")
    content = await desk.exported(format="csv")
    ended, verdict = await desk.command(content)
    assert (ended, verdict["events"]) == (0, 3), verdict
    rows = list(csv.DictReader(io.StringIO("".join(
        line for line in content.decode().splitlines(keepends=True) if not line.startswith("# ")
    ))))
    assert rows[0]["user_agent"].startswith("'=HYPERLINK")
    assert rows[0]["request"] == "'-2+3"
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    changed = content.replace(b"'=HYPERLINK", b"=HYPERLINK", 1)
    assert (await desk.command(changed))[0] == 1


async def test_a_worker_that_is_killed_anywhere_is_followed_by_one_that_goes_on(desk: Desk) -> None:
    await desk.fill(4 * SMALL)
    export_id = (await desk.open())["id"]
    before: list[tuple[int, bytes]] = []
    deaths = 0
    # Before it begins, after it has, after a chunk, before the next, after three, at the end, and not at all.
    for looks in (0, 2, 4, 1, 3, 2, 100):
        died = await desk.work_until_killed(export_id, looks)
        deaths += died
        found = await desk.chunks(export_id)
        if died:
            # What was stored stays as it is, and is not made again.
            assert found[: len(before)] == before
            assert (await desk.look(export_id))["state"] == "running"
        before = found
        desk.log.clock.advance(domain.LEASE + timedelta(seconds=1))
    assert deaths == 6
    assert (await desk.look(export_id))["state"] == "done"
    assert [number for number, _ in before] == [0, 1, 2, 3, 4, 5, 6]
    ended, verdict = await desk.command(await desk.fetch(export_id))
    assert (ended, verdict["events"]) == (0, 4 * SMALL + 1), verdict


async def test_a_worker_that_is_cancelled_leaves_its_export_to_the_next(desk: Desk) -> None:
    await desk.fill(20 * SMALL)
    export_id = (await desk.open())["id"]
    working = asyncio.create_task(desk.work())

    async def begun() -> bool:
        return bool((await desk.look(export_id))["events"])

    await testing.eventually(begun, every=0.001)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    stopped = await desk.look(export_id)
    kept = await desk.chunks(export_id)
    assert stopped["state"] == "running"
    assert 0 < stopped["percent"] < 100
    # Nobody else takes it as long as the lease lasts.
    await desk.work()
    assert await desk.chunks(export_id) == kept
    desk.log.clock.advance(domain.LEASE)
    await desk.work()
    assert (await desk.chunks(export_id))[1 : len(kept) + 1] == kept
    assert desk.judge(await desk.fetch(export_id)).verified


async def test_a_worker_that_comes_back_too_late_writes_nothing_more(desk: Desk) -> None:
    await desk.fill(SMALL)
    export_id = (await desk.open())["id"]
    database, ports = desk.log.runtime.database, app.ports(desk.log.runtime)
    late = await service.lease_next(database, ports)
    desk.log.clock.advance(domain.LEASE)
    await desk.work()
    content = await desk.fetch(export_id)
    with pytest.raises(service.LeaseLost):
        await service.make(database, ports, late)
    assert await desk.fetch(export_id) == content


async def test_an_export_that_never_gets_further_is_given_up(desk: Desk) -> None:
    await desk.fill(1)
    export_id = (await desk.open())["id"]
    for _ in range(domain.MOST_TRIES):
        assert await desk.work_until_killed(export_id, 2)
        desk.log.clock.advance(domain.LEASE)
    await desk.work()
    found = await desk.look(export_id)
    assert (found["state"], found["error"]) == ("failed", "audit.export_interrupted")
    answer = await desk.client.get(f"{EXPORTS}/{export_id}/content")
    assert (answer.status_code, answer.json()["code"]) == (409, "audit.export_not_ready")
    assert await desk.chunks(export_id) == []
    told = await testing.events(desk.log.runtime.database, containing=export_id)
    assert [(body["action"], body["outcome"]) for _, body in told] == [("audit:export:finish", "OUTCOME_FAILURE")]


async def late(desk: Desk) -> date:
    """3 events of a day that is kept, 3 that came late, of a day that is over now, and 3 more that are kept."""
    over = desk.log.old_day()
    then = desk.log.clock.now - (events_domain.oldest_day(desk.log.clock.now) - over)
    for at in (then, datetime.combine(over, time(12), UTC), then):
        for _ in range(3):
            await desk.log.take_at(then, desk.log.act(at=at))
    return over


async def test_a_day_that_went_before_is_a_gap_and_the_rest_is_complete(desk: Desk) -> None:
    over = (await late(desk)).isoformat()
    await job(desk, "expire-events")(Run(as_of=desk.log.clock.now))
    for format in ("jsonl", "csv"):
        ended, verdict = await desk.command(await desk.exported(format=format))
        assert (ended, verdict["verified"], verdict["first_org_seq"]) == (0, True, 1), verdict
        assert verdict["gaps"] == [{"first": 4, "last": 6, "day": over}]
        assert over in verdict["sentence"]
    filtered = desk.judge(await desk.exported(filter={"action": "inventory:vehicle:sell"}))
    assert (filtered.verified, filtered.events) == (True, 6)


@pytest.mark.parametrize(("chunks", "gone"), [(1, [4, 5, 6]), (4, [5, 6]), (6, [])])
async def test_a_day_that_goes_while_an_export_is_made_is_a_gap_as_far_as_it_was_not_there_yet(
    desk: Desk, chunks: int, gone: list[int]
) -> None:
    await late(desk)
    export_id = (await desk.open())["id"]
    # It looks at its clock four times before it is at the first chunk, then once for each.
    assert await desk.work_until_killed(export_id, 4 + chunks, at_once=1)
    assert len(await desk.chunks(export_id)) == chunks
    await job(desk, "expire-events")(Run(as_of=desk.log.clock.now))
    desk.log.clock.advance(domain.LEASE)
    await desk.work(at_once=1)
    content = await desk.fetch(export_id)
    ended, verdict = await desk.command(content)
    assert (ended, verdict["verified"]) == (0, True), verdict
    assert [at for gap in verdict["gaps"] for at in range(gap["first"], gap["last"] + 1)] == gone
    assert [found["org_seq"] for found in leaves_of(content)] == [at for at in range(1, 11) if at not in gone]


async def test_when_all_that_is_old_went_the_export_begins_later(desk: Desk) -> None:
    log = desk.log
    noon = datetime.combine(log.old_day(), time(12), UTC)
    for _ in range(3):
        await log.take_at(noon, log.act(at=noon))
    await desk.fill(2)
    await job(desk, "expire-events")(Run(as_of=log.clock.now))
    report = desk.judge(await desk.exported())
    assert report.header is not None
    assert (report.verified, report.header.first_org_seq, report.header.gaps) == (True, 4, ())
    filtered = desk.judge(await desk.exported(filter={"outcome": "failure"}))
    assert filtered.header is not None
    assert (filtered.verified, filtered.header.first_org_seq) == (True, 4)


async def test_what_only_a_hold_keeps_is_exported_marked_and_proven_as_long_as_it_lasts(desk: Desk) -> None:
    log, over, customer = desk.log, desk.log.old_day(), str(uuid4())
    noon = datetime.combine(over, time(12), UTC)
    then = log.clock.now - (events_domain.oldest_day(log.clock.now) - over)
    # Numbers 1 to 9 are of the day that goes, but for 4, which came between them and stays.
    for number in range(1, 10):
        about = {"concerned_kind": "customer", "concerned_id": customer} if number in (2, 3, 5, 6, 7, 9) else {}
        await log.take_at(then, log.act(at=then if number == 4 else noon, **about))
    await log.take(log.act())
    hold, etag = await place(desk.client, person_id=customer)
    await job(desk, "expire-events")(Run(as_of=log.clock.now))
    for format in ("jsonl", "csv"):
        content = await desk.exported(format=format)
        ended, verdict = await desk.command(content)
        assert (ended, verdict["verified"], verdict["held"], verdict["first_org_seq"]) == (0, True, 6, 2), verdict
        assert verdict["gaps"] == [{"first": 8, "last": 8, "day": over.isoformat()}]
        assert verdict["sentence"].endswith("6 of them are kept only by a legal hold.")
    lines = lines_of(await desk.exported())
    assert lines[0]["held"] == [{"first": 2, "last": 3}, {"first": 5, "last": 7}, {"first": 9, "last": 9}]
    assert [json.loads(line["leaf"])["org_seq"] for line in lines[1:-1] if line["held"]] == [2, 3, 5, 6, 7, 9]
    assert lines[1]["ip"] == "203.0.113.9"
    await release(desk.client, hold["id"], etag)
    await job(desk, "release-held")(Run(as_of=log.clock.now))
    ended, verdict = await desk.command(await desk.exported())
    assert (ended, verdict["held"], verdict["first_org_seq"]) == (0, 0, 4), verdict
    assert verdict["gaps"] == [{"first": 5, "last": 9, "day": over.isoformat()}]


async def test_a_filter_finds_what_only_a_hold_keeps(desk: Desk) -> None:
    log = desk.log
    noon = datetime.combine(log.old_day(), time(12), UTC)
    session_id, customer, store_id, person = (str(uuid4()) for _ in range(4))
    elsewhere = seal_origin(Origin(ip="198.51.100.7"), log.runtime.settings.audit_sealing_public_key)
    for more in (
        {}, {"session_id": session_id}, {"outcome": 2}, {"concerned_kind": "customer", "concerned_id": customer},
        {"store_id": store_id}, {"actor_id": person}, {"sealed_origin": elsewhere},
        {"action": "inventory:vehicle:view"},
    ):
        await log.take_at(noon, log.act(at=noon, **more))
    await place(desk.client)
    await job(desk, "expire-events")(Run(as_of=log.clock.now))
    later = (noon + timedelta(days=1)).isoformat()
    asked: list[tuple[dict[str, Any], int]] = [
        ({"session_id": session_id}, 1), ({"outcome": "failure"}, 1), ({"subject_id": customer}, 1),
        ({"store_id": store_id}, 1), ({"actor_id": person}, 1), ({"ip": "198.51.100.7"}, 1),
        ({"action": "inventory:vehicle:view"}, 1), ({"action": "inventory:vehicle:sell", "outcome": "success"}, 6),
        ({"until": later}, 8), ({"since": later, "action": "inventory:vehicle:sell"}, 0),
    ]
    for wanted, count in asked:
        report = desk.judge(await desk.exported(filter=wanted))
        assert (report.verified, report.events, report.held) == (True, count, count), (wanted, report.failures)


@pytest.mark.parametrize("chunks", [1, 4, 6])
async def test_held_events_of_a_day_that_goes_while_an_export_is_made_are_not_lost(desk: Desk, chunks: int) -> None:
    await late(desk)
    await place(desk.client)
    export_id = (await desk.open())["id"]
    assert await desk.work_until_killed(export_id, 4 + chunks, at_once=1)
    await job(desk, "expire-events")(Run(as_of=desk.log.clock.now))
    desk.log.clock.advance(domain.LEASE)
    await desk.work(at_once=1)
    content = await desk.fetch(export_id)
    ended, verdict = await desk.command(content)
    assert (ended, verdict["verified"], verdict["gaps"]) == (0, True, []), verdict
    # What was read before its day went is not held alone; the rest is.
    assert [found["org_seq"] for found in leaves_of(content)] == list(range(1, 12))
    assert verdict["held"] == 6 - max(3, chunks)


async def test_nobody_else_sees_what_a_hold_keeps_of_an_organisation(desk: Desk) -> None:
    log = desk.log
    noon = datetime.combine(log.old_day(), time(12), UTC)
    await log.take_at(noon, log.act(at=noon))
    await place(desk.client)
    await job(desk, "expire-events")(Run(as_of=log.clock.now))
    async with log.client("compliance", org_id=uuid4()) as stranger:
        other = replace(desk, client=stranger)
        await other.fill(1, org_id=str(uuid4()))
        report = other.judge(await other.exported())
    assert (report.verified, report.held) == (True, 0)


async def test_a_page_whose_day_went_meanwhile_has_no_rows(desk: Desk) -> None:
    await late(desk)
    async with desk.log.runtime.database.begin(system(desk.log.org_id)) as session:
        asked = {"wanted": Filter(), "last_org_seq": 9}
        pages = await events.pages(session, desk.log.org_id, **asked, after=-1, size=3)
    assert [page.events for page in pages] == [3, 3, 3]
    await job(desk, "expire-events")(Run(as_of=desk.log.clock.now))
    async with desk.log.runtime.database.begin(system(desk.log.org_id)) as session:
        rows = [len(await events.rows_of_page(session, desk.log.org_id, page, **asked)) for page in pages]
    assert rows == [3, 0, 3]


@asynccontextmanager
async def as_superuser(desk: Desk) -> AsyncIterator[Session]:
    """Somebody whom no trigger stops."""
    url = desk.log.postgres.url("lotpro_admin", desk.log.postgres.password, "audit")
    database = Database(url, password=desk.log.postgres.password, pool_size=1)
    try:
        async with database.begin(system()) as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            yield session
    finally:
        await database.close()


@pytest.mark.parametrize("taken", [1, 3, 5])
async def test_an_export_of_a_log_from_which_events_were_taken_fails(desk: Desk, taken: int) -> None:
    await desk.fill(5)
    mine = {"org": desk.log.org_id, "number": taken}
    async with as_superuser(desk) as session:
        [row] = await session.execute(
            text("DELETE FROM events WHERE org_id = :org AND org_seq = :number RETURNING *"), mine
        )
    try:
        export_id = (await desk.open())["id"]
        await desk.work()
        found = await desk.look(export_id)
        filtered = await desk.open(filter={"outcome": "success"})
        await desk.work()
    finally:
        async with as_superuser(desk) as session:
            names = ", ".join(row._fields)
            values = ", ".join(f":{name}" for name in row._fields)
            await session.execute(text(f"INSERT INTO events ({names}) VALUES ({values})"), dict(row._mapping))
    assert (found["state"], found["error"]) == ("failed", "audit.log_incomplete")
    assert (await desk.look(filtered["id"]))["state"] == "done"


async def test_a_key_that_is_destroyed_leaves_its_events_in_the_export(desk: Desk) -> None:
    await desk.fill(3)
    async with desk.log.runtime.database.begin(system(desk.log.org_id)) as session:
        await desk.log.runtime.keyring.destroy(session, desk.log.actor_id)
    content = await desk.exported()
    ended, verdict = await desk.command(content)
    assert (ended, verdict["events"], verdict["sealed_origins"]) == (0, 4, 3), verdict
    assert b"203.0.113.9" not in content
    assert lines_of(content)[1]["origin_key"] is None


async def test_a_later_export_continues_the_log_of_an_earlier_one(desk: Desk) -> None:
    await desk.fill(3)
    first = desk.judge(await desk.exported())
    await desk.fill(300)
    second = desk.judge(await desk.exported())
    assert isinstance(first.checkpoint, Checkpoint)
    assert isinstance(second.checkpoint, Checkpoint)
    query = {"old": first.checkpoint.size, "new": second.checkpoint.size}
    proof = (await desk.client.get("/api/audit/v1/checkpoints:consistency", params=query)).json()
    assert verify.continues(first.checkpoint, second.checkpoint, proof)


async def test_a_repeated_opening_opens_once(desk: Desk) -> None:
    key = str(uuid4())
    first = await desk.open(key=key)
    assert await desk.open(key=key) == first
    other = await desk.client.post(EXPORTS, json={"format": "csv"}, headers={"idempotency-key": key})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")
    assert len((await desk.client.get(EXPORTS)).json()["items"]) == 1
    await desk.work()
    assert [found["action"] for found in leaves_of(await desk.fetch(first["id"]))] == ["audit:export:open"]


async def test_opening_and_downloading_stand_in_the_log_before_anything_is_handed_out(desk: Desk) -> None:
    export_id = (await desk.open())["id"]
    await desk.work()
    assert [item["action"] for item in await desk.log.page(desk.client)] == ["audit:export:open"]
    await desk.fetch(export_id)
    [downloaded, _] = await desk.log.page(desk.client)
    assert (downloaded["action"], downloaded["subject"]) == (
        "audit:export:download", {"kind": "export", "id": export_id}
    )
    etag = (await desk.look(export_id))["etag"]
    await desk.client.delete(f"{EXPORTS}/{export_id}", headers={"if-match": etag})
    told = await testing.events(desk.log.runtime.database, containing=export_id)
    assert [body["action"] for _, body in told] == ["audit:export:finish", "audit:export:delete"]


async def test_nothing_is_answered_read_or_handed_out_before_somebody_has_written_it_into_the_log(
    unled: Log, tmp_path: Path
) -> None:
    async with unled.client("compliance") as client:
        desk = Desk(unled, client, tmp_path)
        opening = asyncio.create_task(desk.open())

        async def waiting() -> Any:
            return (await client.get(EXPORTS)).json()["items"]

        [export] = await testing.eventually(waiting)
        working = asyncio.create_task(desk.work())
        assert await _still(opening, working)
        assert (await desk.look(export["id"]))["total"] is None
        async with unled.leading():
            assert (await opening)["id"] == export["id"]
            await working
        assert (await desk.look(export["id"]))["state"] == "done"
        fetching = asyncio.create_task(desk.fetch(export["id"]))
        assert await _still(fetching)
        async with unled.leading():
            assert desk.judge(await fetching).verified


async def _still(*tasks: "asyncio.Task[Any]") -> bool:
    """Whether none of the tasks gets anywhere for a while."""
    done, _ = await asyncio.wait(tasks, timeout=0.3, return_when=asyncio.FIRST_COMPLETED)
    return not done


async def test_exports_are_of_their_organisation_and_of_those_who_may_export(desk: Desk) -> None:
    export_id = (await desk.open())["id"]
    await desk.work()
    log = desk.log
    etag = {"if-match": (await desk.look(export_id))["etag"]}

    async def tried(client: Any) -> list[int]:
        async with client:
            return [
                (await client.post(EXPORTS, json={})).status_code,
                (await client.get(EXPORTS)).status_code,
                (await client.get(f"{EXPORTS}/{export_id}")).status_code,
                (await client.get(f"{EXPORTS}/{export_id}/content")).status_code,
                (await client.delete(f"{EXPORTS}/{export_id}", headers=etag)).status_code,
            ]

    assert await tried(testing.client(app.SERVICE, log.runtime, log.parts)) == [401] * 5
    for role in ("manager", "store_admin", "sales", "viewer", "platform_privacy"):
        assert await tried(log.client(role)) == [403] * 5, role
    assert await tried(log.client("compliance", store_id=log.store_id)) == [403] * 5
    assert await tried(log.client("compliance", org_id=uuid4())) == [202, 200, 404, 404, 404]
    async with log.client("org_owner", org_id=uuid4()) as stranger:
        assert (await stranger.get(EXPORTS)).json()["items"] == []
    async with log.client("org_owner") as owner:
        assert (await owner.get(f"{EXPORTS}/{export_id}/content")).status_code == 200


@pytest.mark.parametrize(
    "session", [{"auth_time": 1}, {"aal": "aal1"}, {"amr": ["pwd", "sms"]}], ids=["old", "one factor", "weak factor"]
)
async def test_the_log_leaves_only_with_somebody_who_gave_a_strong_factor_lately(
    desk: Desk, session: dict[str, Any]
) -> None:
    export_id = (await desk.open())["id"]
    await desk.work()
    path = f"{EXPORTS}/{export_id}"
    async with desk.log.client("compliance", **session) as left_open:
        for refused in (
            await left_open.post(EXPORTS, json={}), await left_open.get(f"{path}/content"),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, "auth.step_up_required")
        assert [found["id"] for found in (await left_open.get(EXPORTS)).json()["items"]] == [export_id]


@pytest.mark.parametrize("path", ["", "/content"])
async def test_what_is_no_export_is_not_found(desk: Desk, path: str) -> None:
    for unknown in (str(uuid4()), "x"):
        answer = await desk.client.get(f"{EXPORTS}/{unknown}{path}")
        assert answer.status_code == 404
    answer = await desk.client.delete(f"{EXPORTS}/{uuid4()}", headers={"if-match": '"v1"'})
    assert (answer.status_code, answer.json()["code"]) == (404, "audit.export_unknown")


@pytest.mark.parametrize(
    "body",
    [
        {"format": "pdf"}, {"filter": {"actor": "x"}}, {"filter": {"actor_id": "x"}}, {"filter": {"ip": "x"}},
        {"filter": {"since": "2026-01-01T00:00:00"}}, {"filter": {"since": "0001-01-01T00:00:00+14:00"}},
        {"filter": {"action": "a\x00b"}}, {"filter": {"outcome": "perhaps"}}, {"filter": []}, {"more": 1}, [],
    ],
)
async def test_what_cannot_be_exported_is_refused_and_opens_nothing(desk: Desk, body: Any) -> None:
    answer = await desk.client.post(EXPORTS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert (await desk.client.get(EXPORTS)).json()["items"] == []


async def test_an_organisation_keeps_a_bounded_number_of_exports(desk: Desk) -> None:
    for _ in range(domain.MOST_KEPT):
        opened = await desk.open()
    answer = await desk.client.post(EXPORTS, json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "audit.too_many_exports")
    await desk.client.delete(f"{EXPORTS}/{opened['id']}", headers={"if-match": '"v1"'})
    last = await desk.open()
    await desk.work()
    assert (await desk.look(last["id"]))["state"] == "done"


async def test_pages_of_exports_follow_each_other(desk: Desk) -> None:
    made = [(await desk.open())["id"] for _ in range(5)]
    seen, cursor = [], None
    while cursor is not None or not seen:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = (await desk.client.get(EXPORTS, params=query)).json()
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
    assert seen == made[::-1]
    bad = await desk.client.get(EXPORTS, params={"cursor": "abc"})
    assert (bad.status_code, bad.json()["code"]) == (422, "request.invalid_cursor")


async def test_an_export_is_deleted_by_who_saw_it_as_it_is(desk: Desk) -> None:
    path = f"{EXPORTS}/{(await desk.open())['id']}"
    await desk.work()
    assert (await desk.client.delete(path)).status_code == 428
    assert (await desk.client.delete(path, headers={"if-match": '"v1"'})).status_code == 412
    etag = (await desk.client.get(path)).headers["etag"]
    assert etag == '"v3"'
    assert (await desk.client.delete(path, headers={"if-match": etag})).status_code == 204
    for gone in (path, f"{path}/content"):
        assert (await desk.client.get(gone)).status_code == 404


async def test_chunks_of_a_deleted_export_cannot_be_read_by_anybody_any_more(desk: Desk) -> None:
    export_id = (await desk.open())["id"]
    await desk.work()
    stolen = await desk.chunks(export_id)
    keyring = desk.log.runtime.keyring
    async with desk.log.runtime.database.begin(system(desk.log.org_id)) as session:
        key = await keyring.existing(session, UUID(export_id))
    assert b"audit:export:open" not in b"".join(content for _, content in stolen)
    with pytest.raises(Undecryptable):
        # A chunk in another's place is none.
        service._unsealed(key, 0, stolen[1][1])
    etag = (await desk.look(export_id))["etag"]
    await desk.client.delete(f"{EXPORTS}/{export_id}", headers={"if-match": etag})
    assert await desk.chunks(export_id) == []
    async with desk.log.runtime.database.begin(system(desk.log.org_id)) as session:
        with pytest.raises(Undecryptable):
            await keyring.existing(session, UUID(export_id))
        other = await keyring.for_subject(session, UUID(export_id))
    with pytest.raises(Undecryptable):
        service._unsealed(other, *stolen[0])


async def test_an_export_expires_after_a_day_and_not_before(desk: Desk) -> None:
    export_id = (await desk.open())["id"]
    await desk.work()
    expire, opened = job(desk, "expire-exports"), desk.log.clock.now
    desk.log.clock.advance(timedelta(days=1) - timedelta(seconds=1))
    await expire(Run(as_of=desk.log.clock.now))
    assert (await desk.look(export_id))["state"] == "done"
    desk.log.clock.now = opened + timedelta(days=1)
    # It is over at once, also before the job has come.
    assert (await desk.client.get(f"{EXPORTS}/{export_id}")).status_code == 404
    async with desk.log.client("compliance") as later:
        assert (await later.get(f"{EXPORTS}/{export_id}/content")).status_code == 404
    assert (await desk.client.get(EXPORTS)).json()["items"] == []
    assert (await expire(Run(as_of=desk.log.clock.now, dry_run=True)))["exports"] >= 1
    assert len(await desk.chunks(export_id)) == 3
    assert (await expire(Run(as_of=desk.log.clock.now)))["exports"] >= 1
    assert await desk.chunks(export_id) == []
    async with desk.log.runtime.database.begin(system(desk.log.org_id)) as session:
        with pytest.raises(Undecryptable):
            await desk.log.runtime.keyring.existing(session, UUID(export_id))
    assert await expire(Run(as_of=desk.log.clock.now)) == {"exports": 0}
    told = await testing.events(desk.log.runtime.database, containing=export_id)
    assert [body["action"] for _, body in told] == ["audit:export:finish", "audit:export:expire"]


async def test_an_export_that_is_deleted_while_it_is_made_is_made_no_further(desk: Desk) -> None:
    await desk.fill(3 * SMALL)
    export_id = (await desk.open())["id"]
    assert await desk.work_until_killed(export_id, 5)
    assert await desk.chunks(export_id)
    etag = (await desk.look(export_id))["etag"]
    assert (await desk.client.delete(f"{EXPORTS}/{export_id}", headers={"if-match": etag})).status_code == 204
    desk.log.clock.advance(domain.LEASE)
    await desk.work()
    assert await desk.chunks(export_id) == []


async def test_an_export_that_is_deleted_while_it_is_fetched_ends_without_its_end(desk: Desk) -> None:
    await desk.fill(SMALL)
    export_id = (await desk.open())["id"]
    await desk.work()
    caller = system(desk.log.org_id)
    database, ports = desk.log.runtime.database, app.ports(desk.log.runtime)
    async with database.begin(caller) as session:
        export = await service.get_export(session, caller, ports, export_id=UUID(export_id))
    content = service.content_of(database, caller, ports, export)
    assert await anext(content)
    etag = (await desk.look(export_id))["etag"]
    await desk.client.delete(f"{EXPORTS}/{export_id}", headers={"if-match": etag})
    with pytest.raises(Undecryptable):
        await anext(content)


async def test_one_export_at_a_time_in_an_organisation_and_few_in_all(desk: Desk) -> None:
    database, ports = desk.log.runtime.database, app.ports(desk.log.runtime)
    # Nothing is waiting but what this test opens.
    await desk.work()
    first = await desk.open()
    second = await desk.open()
    found = await asyncio.gather(*(service.lease_next(database, ports) for _ in range(4)))
    assert [str(leased.id) for leased in found if leased is not None] == [first["id"]]
    others = [uuid4() for _ in range(service.RUNNING)]
    for org_id in others:
        async with desk.log.client("compliance", org_id=org_id) as client:
            assert (await client.post(EXPORTS, json={})).status_code == 202
    found = await asyncio.gather(*(service.lease_next(database, ports) for _ in range(4)))
    assert len([leased for leased in found if leased is not None]) == service.RUNNING - 1
    with pytest.raises(IntegrityError, match="ix_exports_running"):
        async with database.begin(system(desk.log.org_id)) as session:
            await session.execute(text("UPDATE exports SET state = 'running' WHERE id = :id"), {"id": second["id"]})
    desk.log.clock.advance(domain.LEASE)
    await desk.work()
    assert {(await desk.look(export["id"]))["state"] for export in (first, second)} == {"done"}


async def test_an_export_needs_less_memory_than_its_file_has(desk: Desk) -> None:
    await desk.fill(SMALL)
    await desk.exported()
    for _ in range(6):
        await desk.fill(500)
    export_id = (await desk.open())["id"]
    tracemalloc.start()
    try:
        await desk.work(at_once=100)
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = (await desk.look(export_id))["size"]
    assert size > 3_000_000
    assert peak < 2_500_000
    assert left < 500_000


async def test_row_level_security_keeps_exports_apart(desk: Desk) -> None:
    export_id = (await desk.open())["id"]
    await desk.work()
    elsewhere = system(uuid4())
    async with desk.log.runtime.database.begin(elsewhere) as session:
        for table in ("exports", "export_chunks", "expired_runs"):
            assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0
    for caller in (elsewhere, system(), system(scope="exports")):
        async with desk.log.runtime.database.begin(caller) as session:
            found = await session.execute(CHUNKS.select().where(CHUNKS.c.export_id == export_id))
            assert found.all() == []


@pytest.mark.parametrize("statement", ["UPDATE expired_runs SET last = 9", "DELETE FROM expired_runs"])
async def test_what_went_with_its_day_cannot_be_said_otherwise(desk: Desk, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with desk.log.runtime.database.begin(system(scope="retention")) as session:
            await session.execute(text(statement))


async def test_no_tenant_can_say_that_its_events_expired(desk: Desk) -> None:
    with pytest.raises(Exception, match="nothing here"):
        async with desk.log.runtime.database.begin(system(desk.log.org_id)) as session:
            await session.execute(
                text("INSERT INTO expired_runs VALUES (:org, 1, 2, '2026-01-01')"), {"org": desk.log.org_id}
            )
