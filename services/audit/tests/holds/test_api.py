"""Legal holds: placed, seen and released by those who may, each logged before it is answered."""

import asyncio
from base64 import b64decode
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lotpro_audit import app
from lotpro_audit.events import days, domain, origins
from lotpro_audit.events import leaf as leaves
from lotpro_audit.holds import service
from lotpro_audit.tree import notes
from lotpro_audit.tree.domain import leaf_hash, root_of_inclusion
from lotpro_audit.verification.service import verify_log
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.jobs import Run
from services.audit.tests.conftest import Log
from services.audit.tests.legal import HOLDS as PATH
from services.audit.tests.legal import (
    as_owner,
    as_superuser,
    expire,
    held,
    jobs,
    noon,
    place,
    release,
    release_held,
    retention,
)

REASON = {"reason": "Preservation letter of 2 November", "authority": "District Court"}


def actions(log: Log, shown: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["action"], item["subject"]["id"]) for item in shown if item["action"].startswith("audit:hold")]


async def test_a_hold_is_in_the_log_before_it_is_answered_and_so_is_its_release(log: Log) -> None:
    async with log.client("compliance") as officer:
        hold, etag = await place(officer, person_id=str(log.actor_id))
        [(action, subject)] = actions(log, await log.page(officer))
        assert (action, subject) == ("audit:hold:place", hold["id"])
        assert (hold["state"], hold["version"], hold["released_at"]) == ("active", 1, None)
        released = await release(officer, hold["id"], etag)
        assert (released["state"], released["version"]) == ("released", 2)
        assert ("audit:hold:release", hold["id"]) in actions(log, await log.page(officer))
        about = await log.page(officer, subject_id=str(log.actor_id))
    assert {item["concerned"]["id"] for item in about} == {str(log.actor_id)}


async def test_a_hold_is_answered_only_when_somebody_writes_the_log(unled: Log) -> None:
    """What it says is left for the log in its own transaction, so that neither is ever there without the other."""
    log = unled
    async with log.client("compliance") as officer:
        placing = asyncio.create_task(officer.post(PATH, json=REASON))

        async def waiting() -> list[Any]:
            async with retention(log) as session:
                return (
                    await session.execute(
                        text(
                            "SELECT 1 FROM holds h JOIN intake i ON true LEFT JOIN claims USING (event_id)"
                            " WHERE h.org_id = :org"
                        ),
                        {"org": log.org_id},
                    )
                ).all()

        assert await testing.eventually(waiting)
        assert not placing.done()
        async with log.leading():
            answer = await placing
        assert answer.status_code == 201
        assert actions(log, await log.page(officer)) == [("audit:hold:place", answer.json()["id"])]


async def test_the_same_idempotency_key_places_one_hold(log: Log) -> None:
    headers = {"idempotency-key": str(uuid4())}
    async with log.client("compliance") as officer:
        first, second = [await officer.post(PATH, json=REASON, headers=headers) for _ in range(2)]
        assert first.json() == second.json()
        assert first.headers["etag"] == second.headers["etag"] == '"v1"'
        assert len((await officer.get(PATH)).json()["items"]) == 1


async def test_releasing_needs_the_version_that_was_read_and_happens_once(log: Log) -> None:
    async with log.client("org_owner") as owner:
        hold, etag = await place(owner)
        path = f"{PATH}/{hold['id']}:release"
        blind = await owner.post(path)
        stale = await owner.post(path, headers={"if-match": '"v7"'})
        assert (blind.status_code, stale.status_code) == (428, 412)
        await release(owner, hold["id"], etag)
        again = await owner.post(path, headers={"if-match": '"v2"'})
        assert (again.status_code, again.json()["code"]) == (409, "audit.hold_over")
        read = await owner.get(f"{PATH}/{hold['id']}")
        assert (read.headers["etag"], read.json()["state"]) == ('"v2"', "released")


async def test_a_hold_that_ended_by_itself_cannot_be_released(log: Log) -> None:
    async with log.client("compliance") as officer:
        hold, etag = await place(officer, ends_at=(log.clock() + timedelta(days=1)).isoformat())
        log.clock.advance(timedelta(days=2))
        answer = await officer.post(f"{PATH}/{hold['id']}:release", headers={"if-match": etag})
        assert (answer.status_code, answer.json()["code"]) == (409, "audit.hold_over")
        assert (await officer.get(f"{PATH}/{hold['id']}")).json()["state"] == "ended"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"ends_at": "2001-01-01T00:00:00Z"}, "audit.hold_ends_in_the_past"),
        ({"since": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}, "audit.hold_time_empty"),
        ({"reason": "short"}, "request.invalid"),
        ({"reason": "two lines\nof reason"}, "request.invalid"),
        ({"since": "2026-01-01T00:00:00"}, "request.invalid"),
        ({"until": "9999-01-01T00:00:00Z"}, "request.invalid"),
        ({"person_id": "Robin"}, "request.invalid"),
        ({"customer": "Robin"}, "request.invalid"),
    ],
)
async def test_a_hold_that_makes_no_sense_is_refused_and_none_is_placed(
    log: Log, wrong: dict[str, str], code: str
) -> None:
    async with log.client("compliance") as officer:
        answer = await officer.post(PATH, json=REASON | wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert (await officer.get(PATH)).json()["items"] == []


async def test_only_a_store_that_the_log_knows_can_be_held(log: Log) -> None:
    await log.take(log.act())
    async with log.client("compliance") as officer, log.client("compliance", org_id=uuid4()) as stranger:
        await place(officer, store_id=str(log.store_id))
        assert (await officer.post(PATH, json=REASON | {"store_id": str(uuid4())})).status_code == 404
        assert (await stranger.post(PATH, json=REASON | {"store_id": str(log.store_id)})).status_code == 404


async def _ask(client: httpx.AsyncClient, hold_id: str) -> list[int]:
    return [
        (await client.post(PATH, json=REASON)).status_code,
        (await client.get(PATH)).status_code,
        (await client.get(f"{PATH}/{hold_id}")).status_code,
        (await client.get(f"{PATH}/{hold_id}/events")).status_code,
        (await client.post(f"{PATH}/{hold_id}:release", headers={"if-match": '"v1"'})).status_code,
    ]


async def test_holds_are_for_owners_and_compliance_and_the_privacy_officer_looks(log: Log) -> None:
    async with log.client("compliance") as officer:
        hold, _ = await place(officer)
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        assert await _ask(nobody, hold["id"]) == [401] * 5
    for role in ("store_admin", "manager", "sales", "platform_support", "platform_ops"):
        async with log.client(role) as wrong:
            assert await _ask(wrong, hold["id"]) == [403] * 5, role
    async with log.client("compliance", store_id=log.store_id) as of_a_store:
        assert await _ask(of_a_store, hold["id"]) == [403] * 5
    async with log.client("platform_privacy") as privacy:
        assert await _ask(privacy, hold["id"]) == [403, 200, 200, 200, 403]
    async with log.client("org_owner") as owner:
        assert await _ask(owner, hold["id"]) == [201, 200, 200, 200, 200]


async def test_another_organisations_holds_and_what_they_keep_do_not_exist(log: Log) -> None:
    await log.take(log.act())
    async with log.client("compliance") as officer:
        hold, _ = await place(officer)
    async with log.client("compliance", org_id=uuid4()) as stranger:
        assert (await stranger.get(PATH)).json()["items"] == []
        assert await _ask(stranger, hold["id"]) == [201, 200, 404, 404, 404]
        own = (await stranger.get(PATH)).json()["items"][0]
        kept = (await stranger.get(f"{PATH}/{own['id']}/events")).json()["items"]
        assert [item["event"]["action"] for item in kept] == ["audit:hold:place"]
    for nonsense in ("x", str(uuid4())):
        async with log.client("compliance") as officer:
            assert (await officer.get(f"{PATH}/{nonsense}")).status_code == 404


async def test_pages_of_holds_follow_each_other_and_are_bound_to_what_was_asked(log: Log) -> None:
    async with log.client("compliance") as officer:
        placed = [await place(officer) for _ in range(5)]
        await release(officer, *(placed[0][0]["id"], placed[0][1]))
        seen, cursor = [], None
        while True:
            query = {"limit": 2, "active": True, **({"cursor": cursor} if cursor else {})}
            page = (await officer.get(PATH, params=query)).json()
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = page["next_cursor"]
        assert seen == [hold["id"] for hold, _ in reversed(placed[1:])]
        assert [item["id"] for item in (await officer.get(PATH, params={"active": False})).json()["items"]] == [
            placed[0][0]["id"]
        ]
        other = await officer.get(PATH, params={"cursor": cursor})
        assert (other.status_code, other.json()["code"]) == (422, "request.invalid_cursor")


async def test_looking_at_holds_and_at_what_they_keep_is_logged(log: Log) -> None:
    async with log.client("compliance") as officer:
        hold, _ = await place(officer)
        await officer.get(PATH)
        await officer.get(f"{PATH}/{hold['id']}")
        await officer.get(f"{PATH}/{hold['id']}/events")
    told = await testing.events(log.runtime.database, containing=str(log.org_id))
    assert [(body["action"], body.get("subjectId", body.get("subject_id", ""))) for _, body in told] == [
        ("audit:hold:view", ""), ("audit:hold:view", hold["id"]), ("audit:hold:read", hold["id"])
    ]


def check_proof(log: Log, item: dict[str, Any]) -> None:
    """What a stranger can check with nothing but the public key."""
    signed = notes.open(item["checkpoint"], app.ports(log.runtime).checkpoint_key().verifier)
    content, path = item["leaf"].encode(), [b64decode(hashed) for hashed in item["proof"]]
    found = root_of_inclusion(item["event"]["seq"], item["tree_size"], leaf_hash(content), path)
    assert (signed.size, signed.root) == (item["tree_size"], found)
    made = leaves.read(content)
    assert made.id == item["event"]["id"]
    if item["origin_key"]:
        assert origins.open_origin(made, b64decode(item["origin_key"])).ip == item["event"]["ip"]


async def test_what_a_hold_keeps_is_read_from_the_log_and_after_its_day_and_proven_in_both(log: Log) -> None:
    over = log.old_day()
    mine = [await log.take_at(noon(over), log.act(at=noon(over) + timedelta(seconds=number))) for number in range(3)]
    await log.take_at(noon(over), log.act(at=noon(over), actor_id=str(uuid4())))
    fresh = await log.take(log.act())
    async with log.client("compliance") as officer:
        hold, _ = await place(officer, person_id=str(log.actor_id))
        before = await held(officer, hold["id"], limit=2)
        assert all(item["expired_day"] is None for item in before)
        await expire(log)
        after = await held(officer, hold["id"], limit=2)
    assert [item["event"]["id"] for item in after if item["event"]["action"] == "inventory:vehicle:sell"] == [
        *map(str, mine), str(fresh)
    ]
    assert [item["event"]["id"] for item in before] == [item["event"]["id"] for item in after]
    assert [item["expired_day"] for item in after[:4]] == [over.isoformat()] * 3 + [None]
    assert after[0]["event"]["ip"] == "203.0.113.9"
    for item in [*before, *after]:
        check_proof(log, item)


async def test_a_hold_placed_too_late_says_so_and_brings_nothing_back(log: Log) -> None:
    kept = domain.oldest_day(log.clock())
    over = kept - timedelta(days=1)
    await log.take_at(noon(over), log.act(at=noon(over)))
    await log.take(log.act(at=noon(kept)))
    await expire(log)
    async with log.client("compliance") as officer:
        late, _ = await place(officer, since=noon(over).isoformat())
        in_time, _ = await place(officer, since=noon(kept).isoformat())
        found = await held(officer, late["id"])
    assert date.fromisoformat(late["first_day"]) >= kept
    assert late["days_gone"] == 1
    assert in_time["days_gone"] == 0
    assert [item["event"]["occurred_at"] for item in found if item["event"]["action"] == "inventory:vehicle:sell"] == [
        noon(kept).isoformat().replace("+00:00", "Z")
    ]


async def test_after_its_release_what_a_hold_kept_goes_and_then_the_keys(log: Log) -> None:
    over = log.old_day()
    await log.take_at(noon(over), log.act(at=noon(over)))
    await make_keys_old(log, log.actor_id)
    async with log.client("compliance") as officer:
        hold, etag = await place(officer, person_id=str(log.actor_id))
        await expire(log)
        assert (await release_held(log, dry_run=True))["events"] == 0
        await release_held(log)
        assert [item["expired_day"] for item in await held(officer, hold["id"])][:1] == [over.isoformat()]
        assert await key_is_there(log, log.actor_id)
        await release(officer, hold["id"], etag)
        assert (await release_held(log, dry_run=True))["events"] >= 1
        assert [item["expired_day"] for item in await held(officer, hold["id"])][:1] == [over.isoformat()]
        await release_held(log)
        left = await held(officer, hold["id"])
        assert {item["event"]["action"] for item in left} == {"audit:hold:place", "audit:hold:release"}
    await expire(log)
    assert not await key_is_there(log, log.actor_id)


async def test_the_log_says_what_of_a_day_is_held_and_what_was_erased_of_it_since(log_alone: Log) -> None:
    """So that whoever deletes a held event is found out, and the job that erases it after the release is not."""
    log, over = log_alone, log_alone.old_day()
    database, ports = log.runtime.database, app.ports(log.runtime)
    [mine, _, also_mine] = [
        await log.take_at(noon(over), log.act(at=noon(over), actor_id=str(actor)))
        for actor in (log.actor_id, uuid4(), log.actor_id)
    ]
    async with log.client("compliance") as officer:
        hold, etag = await place(officer, person_id=str(log.actor_id))
        await expire(log)
        assert (await verify_log(database, ports, as_of=log.clock())).damages.told == []
        await as_superuser(log, f"CREATE TABLE taken AS SELECT * FROM held_events WHERE org_id = '{log.org_id}'")
        await as_superuser(log, "DELETE FROM held_events WHERE seq = (SELECT min(seq) FROM taken)")
        [damage] = (await verify_log(database, ports, as_of=log.clock())).damages.told
        assert damage.what == "it was held when its day went, and is missing"
        await as_superuser(log, "INSERT INTO held_events SELECT * FROM taken ON CONFLICT DO NOTHING")
        assert [item["event"]["id"] for item in await held(officer, hold["id"])][:2] == [str(mine), str(also_mine)]
        await release(officer, hold["id"], etag)
        await release_held(log)
    assert (await verify_log(database, ports, as_of=log.clock())).damages.told == []
    async with retention(log) as session:
        [erasure] = (await session.execute(text("SELECT leaf FROM erasures"))).scalars()
    said = leaves.read(erasure)
    assert (said.action, (said.expiry or {})["count"]) == ("audit:hold:erase", 2)
    # Nobody takes it back either.
    await as_superuser(log, "DELETE FROM erasures")
    assert (await verify_log(database, ports, as_of=log.clock())).damages.count == 2


async def test_what_the_log_says_of_days_and_of_what_was_held_is_written_once(log: Log) -> None:
    over = log.old_day()
    await log.take_at(noon(over), log.act(at=noon(over)))
    async with log.client("compliance") as officer:
        hold, etag = await place(officer)
        await expire(log)
        await release(officer, hold["id"], etag)
    await release_held(log)
    for table in ("expiries", "erasures"):
        for statement in (
            f"UPDATE {table} SET runs = ''", f"UPDATE {table} SET leaf = ''", f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            with pytest.raises(DBAPIError, match="written once"):
                await as_owner(log, text(statement), scope="retention")


async def test_what_was_copied_of_a_day_that_has_not_gone_yet_is_not_erased(log: Log) -> None:
    over = log.old_day()
    mine = await log.take_at(noon(over), log.act(at=noon(over)))
    async with log.client("compliance") as officer:
        hold, etag = await place(officer)
        assert await days.prepare(log.runtime.database, over, now=log.clock()) is not None
        await release(officer, hold["id"], etag)
        await release_held(log)
        async with retention(log) as session:
            kept = await session.execute(
                text("SELECT count(*) FROM held_events WHERE org_id = :org"), {"org": log.org_id}
            )
        assert kept.scalar_one() == 1
        await expire(log)
        await release_held(log)
        assert str(mine) not in {item["event"]["id"] for item in await held(officer, hold["id"])}


async def test_what_another_hold_still_reaches_stays(log: Log) -> None:
    over = log.old_day()
    await log.take_at(noon(over), log.act(at=noon(over)))
    async with log.client("compliance") as officer:
        first, etag = await place(officer, person_id=str(log.actor_id))
        await expire(log)
        # It comes after the day went, and still finds what the first one keeps.
        second, second_etag = await place(officer, store_id=str(log.store_id))
        await release(officer, first["id"], etag)
        await release_held(log)
        assert (await held(officer, second["id"]))[0]["expired_day"] == over.isoformat()
        await release(officer, second["id"], second_etag)
        await release_held(log)
        assert {item["expired_day"] for item in await held(officer, second["id"])} == {None}


async def test_a_moment_that_has_not_come_yet_releases_nothing(log: Log) -> None:
    over = log.old_day()
    await log.take_at(noon(over), log.act(at=noon(over)))
    async with log.client("compliance") as officer:
        hold, _ = await place(officer, ends_at=(log.clock() + timedelta(days=3)).isoformat())
        await expire(log)
        later = log.clock() + timedelta(days=4)
        assert (await jobs(log)["release-held"](Run(as_of=later, dry_run=True)))["events"] >= 1
        await jobs(log)["release-held"](Run(as_of=later))
        assert (await held(officer, hold["id"]))[0]["expired_day"] == over.isoformat()


async def test_a_person_is_held_who_is_named_by_a_hold_or_by_what_one_reaches(log: Log) -> None:
    named, acting, concerned, free = uuid4(), uuid4(), uuid4(), uuid4()
    await log.take(log.act(actor_id=str(acting)))
    await log.take(log.act(concerned_kind="customer", concerned_id=str(concerned)))
    await log.take(log.act(actor_id=str(free), store_id=str(uuid4())))

    async def are_held(org_id: UUID | None) -> list[bool]:
        async with log.runtime.database.begin(system(org_id, scope="" if org_id else "retention")) as session:
            return [
                await service.is_person_held(session, person_id=person, org_id=org_id, now=log.clock())
                for person in (named, acting, concerned, free)
            ]

    async with log.client("compliance") as officer:
        assert await are_held(log.org_id) == [False] * 4
        first, first_etag = await place(officer, person_id=str(named))
        await place(officer, store_id=str(log.store_id), ends_at=(log.clock() + timedelta(days=9)).isoformat())
        assert await are_held(log.org_id) == await are_held(None) == [True, True, True, False]
        assert await are_held(uuid4()) == [False] * 4
        await release(officer, first["id"], first_etag)
        log.clock.advance(timedelta(days=9))
        assert await are_held(log.org_id) == [False] * 4


async def test_nothing_destroys_the_key_of_a_person_under_hold(log: Log) -> None:
    """Not the job, not the erasure of a person, not the database's owner."""
    named, acting = uuid4(), uuid4()
    async with retention(log) as session:
        await log.runtime.keyring.for_subject(session, named)
    over = log.old_day()
    await log.take_at(noon(over), log.act(at=noon(over), actor_id=str(acting)))
    await make_keys_old(log, named, acting)
    async with log.client("compliance") as officer:
        first, first_etag = await place(officer, person_id=str(named))
        second, second_etag = await place(officer, until=noon(domain.oldest_day(log.clock())).isoformat())
        for _ in range(2):
            for person in (named, acting):
                with pytest.raises(DBAPIError, match="a legal hold needs the key"):
                    async with log.runtime.database.begin(system(log.org_id)) as session:
                        await log.runtime.keyring.destroy(session, person)
                with pytest.raises(DBAPIError, match="a legal hold needs the key"):
                    await as_owner(log, text("DELETE FROM data_keys WHERE subject_id = :id").bindparams(id=person))
            await expire(log)
        assert await key_is_there(log, named)
        assert await key_is_there(log, acting)
        await release(officer, first["id"], first_etag)
        await release(officer, second["id"], second_etag)
    await release_held(log)
    await expire(log)
    assert not await key_is_there(log, named)
    assert not await key_is_there(log, acting)


async def test_the_database_keeps_what_a_hold_reaches_from_everybody(log: Log) -> None:
    over = log.old_day()
    await log.take_at(noon(over), log.act(at=noon(over)))
    async with log.client("compliance") as officer:
        await place(officer)
    await expire(log)
    for statement, scope, refusal in (
        ("DELETE FROM held_events WHERE org_id = :org", "retention", "a legal hold reaches the event"),
        ("UPDATE held_events SET expired_day = expired_day WHERE org_id = :org", "retention", "written once"),
        ("UPDATE holds SET reason = 'another one' WHERE org_id = :org", "", "a hold is only released"),
        ("UPDATE holds SET ends_at = now() WHERE org_id = :org", "retention", "a hold is only released"),
        ("DELETE FROM holds WHERE org_id = :org", "", "still to be kept"),
        ("DELETE FROM holds WHERE org_id = :org", "retention", "still to be kept"),
    ):
        with pytest.raises(DBAPIError, match=refusal):
            await as_owner(log, text(statement).bindparams(org=log.org_id), scope=scope)
    # Without the scope of retention there is nothing to delete, even for the owner.
    await as_owner(log, text("DELETE FROM held_events WHERE org_id = :org").bindparams(org=log.org_id))
    async with retention(log) as session:
        found = await session.execute(
            text("SELECT count(*) FROM held_events WHERE org_id = :org"), {"org": log.org_id}
        )
        assert found.scalar_one() == 1
    for statement in ("TRUNCATE held_events", "TRUNCATE holds"):
        with pytest.raises(DBAPIError, match="written once"):
            await as_owner(log, text(statement))
    for statement in ("UPDATE holds SET reason = 'x'", "UPDATE held_events SET seq = 0"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with log.runtime.database.begin(system(log.org_id)) as session:
                await session.execute(text(statement))


async def test_records_of_holds_go_24_months_after_they_are_over(log: Log) -> None:
    async with log.client("compliance") as officer:
        active, _ = await place(officer)
        over, etag = await place(officer)
        await release(officer, over["id"], etag)
        ids = {hold["id"] for hold in (await officer.get(PATH)).json()["items"]}
        assert ids == {active["id"], over["id"]}
        long_ago = "UPDATE holds SET released_at = now() - interval '25 months' WHERE id = "
        await as_superuser(log, f"{long_ago}'{over['id']}'")
        assert (await jobs(log)["forget-legal"](Run(as_of=log.clock(), dry_run=True)))["holds"] >= 1
        assert (await jobs(log)["forget-legal"](Run(as_of=log.clock())))["holds"] >= 1
        assert [hold["id"] for hold in (await officer.get(PATH)).json()["items"]] == [active["id"]]


async def make_keys_old(log: Log, *people: UUID) -> None:
    quoted = ", ".join(f"'{person}'" for person in people)
    await as_superuser(
        log, f"UPDATE data_keys SET created_at = now() - interval '200 days' WHERE subject_id IN ({quoted})"
    )


async def key_is_there(log: Log, person: UUID) -> bool:
    async with retention(log) as session:
        return person in await log.runtime.keyring.existing_many(session, {person})
