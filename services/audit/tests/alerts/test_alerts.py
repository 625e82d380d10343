"""Alerts over HTTP, and the log held against them: raised once, told once, whatever is cut off."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from lotpro.security.v1 import events_pb2
from lotpro_audit import app
from lotpro_audit.alerts import service
from lotpro_audit.alerts.domain import MOST_ALERTS
from lotpro_audit.alerts.jobs import Watcher
from lotpro_kit import crypto, testing
from lotpro_kit.caller import Origin, system
from lotpro_kit.jobs import Run
from services.audit.tests.conftest import Log

ALERTS = "/api/audit/v1/alerts"
FAILURE = events_pb2.OUTCOME_FAILURE
BODY: dict[str, Any] = {
    "name": "Failed sign-ins", "action": "identity:session", "outcome": "failure", "count": 3, "minutes": 10,
    "quiet_minutes": 30, "recipients": ["org_owner", "compliance"],
}


async def add(log: Log, **chosen: Any) -> dict[str, Any]:
    async with log.client("org_owner") as owner:
        answer = await owner.post(ALERTS, json=BODY | chosen)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def look(log: Log) -> None:
    await Watcher(log.runtime.database, app.ports(log.runtime)).look()


async def raised(log: Log, alert: dict[str, Any]) -> list[dict[str, Any]]:
    async with log.client("compliance") as officer:
        answer = await officer.get(f"{ALERTS}/{alert['id']}/raised")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def told(log: Log, alert: dict[str, Any]) -> list[dict[str, Any]]:
    found = await testing.events(log.runtime.database, containing=alert["id"])
    return [body for name, body in found if name.endswith("AlertRaised")]


async def fail(log: Log, times: int, *, minutes_ago: float = 0, **more: Any) -> list[UUID]:
    at = log.clock() - timedelta(minutes=minutes_ago)
    acts = [log.act("identity:session:create", outcome=FAILURE, at=at, **more) for _ in range(times)]
    _, ids = await log.take_all(*acts)
    return ids


async def test_an_alert_is_raised_by_the_event_that_is_one_too_many_and_told_to_its_recipients(log: Log) -> None:
    alert = await add(log)
    await log.take(log.act("identity:session:create"))
    first = await fail(log, 2)
    await look(log)
    assert await raised(log, alert) == []
    [third] = await fail(log, 1)
    await look(log)
    [one] = await raised(log, alert)
    assert (one["event_id"], one["count"]) == (str(third), 3)
    assert third not in first
    [event] = await told(log, alert)
    assert event == {
        "org_id": str(log.org_id), "alert_id": alert["id"], "raised_id": one["id"], "count": 3, "minutes": 10,
        "recipient_roles": ["org_owner", "compliance"],
    }
    acts = await testing.events(log.runtime.database, containing=alert["id"])
    assert [body["action"] for _, body in acts if "action" in body] == ["audit:alert:add", "audit:alert:raise"]


async def test_it_is_raised_again_only_when_its_quiet_time_is_over(log: Log) -> None:
    alert = await add(log)
    for minutes_ago in (100, 95, 90, 80, 71, 70, 69):
        await fail(log, 3, minutes_ago=minutes_ago)
        await look(log)
    found = await raised(log, alert)
    assert len(found) == len(await told(log, alert)) == 2
    async with log.client("org_owner") as owner:
        shown = (await owner.get(f"{ALERTS}/{alert['id']}")).json()
    assert shown["raised_at"] == found[0]["raised_at"]


@pytest.mark.parametrize(("per", "who"), [("actor", "actor_id"), ("address", "sealed_origin")])
async def test_it_counts_each_actor_or_address_for_itself(log: Log, per: str, who: str) -> None:
    def one() -> dict[str, Any]:
        if who == "actor_id":
            return {"actor_id": str(uuid4())}
        origin = Origin(ip=f"203.0.113.{uuid4().int % 250}", user_agent="x")
        return {who: crypto.seal_origin(origin, log.runtime.settings.audit_sealing_public_key)}

    alert = await add(log, per=per)
    other, same = one(), one()
    await fail(log, 2, **other)
    await fail(log, 2, **same)
    await look(log)
    assert await raised(log, alert) == []
    await fail(log, 1, **same)
    await look(log)
    assert len(await raised(log, alert)) == 1


async def test_what_is_cut_off_before_the_commit_is_done_again_and_told_once(log: Log) -> None:
    alert = await add(log)
    await fail(log, 3)
    ports = app.ports(log.runtime)

    class Killed(Exception):
        """The process died."""

    async def dies() -> None:
        async with log.runtime.database.begin(system(log.org_id)) as session:
            await service.evaluate(session, ports, org_id=log.org_id)
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            await dies()
    assert await told(log, alert) == []
    await asyncio.gather(*(look(log) for _ in range(4)))
    await look(log)
    assert len(await raised(log, alert)) == len(await told(log, alert)) == 1


async def test_what_was_before_an_alert_or_its_change_does_not_count(log: Log) -> None:
    await fail(log, 2)
    alert = await add(log)
    await fail(log, 2)
    await look(log)
    assert await raised(log, alert) == []
    async with log.client("org_owner") as owner:
        changed = await owner.patch(
            f"{ALERTS}/{alert['id']}", json={"name": "Other"}, headers={"if-match": '"v1"'}
        )
        assert (changed.status_code, changed.json()["version"]) == (200, 2), changed.text
    await fail(log, 2)
    await look(log)
    assert await raised(log, alert) == []
    await fail(log, 1)
    await look(log)
    assert len(await raised(log, alert)) == 1


async def test_an_organisation_without_alerts_is_not_looked_at(log: Log) -> None:
    alert = await add(log)
    async with log.client("org_owner") as owner:
        gone = await owner.delete(f"{ALERTS}/{alert['id']}", headers={"if-match": '"v1"'})
        assert gone.status_code == 204
    await fail(log, 3)
    async with log.runtime.database.begin(system(scope="alerts")) as session:
        assert log.org_id not in await service.behind(session)
        assert log.org_id not in [
            row.org_id for row in await session.execute(text("SELECT org_id FROM alert_positions"))
        ]


async def test_a_worker_looks_as_soon_as_something_was_logged(log: Log) -> None:
    alert = await add(log)
    watcher = asyncio.create_task(Watcher(log.runtime.database, app.ports(log.runtime)).run())
    try:
        await fail(log, 3)

        async def is_raised() -> bool:
            return bool(await raised(log, alert))

        # Far less than the sweep: the notification woke it.
        await testing.eventually(is_raised, within=8)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def test_changing_an_alert_needs_its_version_and_only_what_is_given_changes(log: Log) -> None:
    alert = await add(log)
    path = f"{ALERTS}/{alert['id']}"
    async with log.client("org_owner") as owner:
        assert (await owner.patch(path, json={"count": 4})).status_code == 428
        assert (await owner.patch(path, json={"count": 4}, headers={"if-match": '"v9"'})).status_code == 412
        assert (await owner.delete(path)).status_code == 428
        assert (await owner.delete(path, headers={"if-match": '"v9"'})).status_code == 412
        changed = await owner.patch(
            path, json={"count": 4, "outcome": None, "store": str(log.store_id)}, headers={"if-match": '"v1"'}
        )
        assert changed.headers["etag"] == '"v2"'
        shown = (await owner.get(path)).json()
    assert shown == changed.json()
    kept = {name: value for name, value in alert.items() if name not in ("updated_at",)}
    assert shown == kept | {
        "count": 4, "outcome": None, "store": str(log.store_id), "version": 2, "updated_at": shown["updated_at"],
    }
    acts = await testing.events(log.runtime.database, containing=alert["id"], last=1)
    assert acts[0][1]["changed_fields"] == ["count", "store_id", "success"]


async def test_the_same_key_makes_one_alert(log: Log) -> None:
    token = log.signer.user_token(user_id=uuid4(), org_id=log.org_id, roles={"*": ["org_owner"]})
    async with testing.client(app.SERVICE, log.runtime, log.parts, token) as owner:
        answers = [
            await owner.post(ALERTS, json=BODY, headers={"idempotency-key": "one-alert"}) for _ in range(2)
        ]
        listed = (await owner.get(ALERTS)).json()["items"]
    assert answers[0].json() == answers[1].json()
    assert [item["id"] for item in listed] == [answers[0].json()["id"]]


async def test_an_organisation_has_so_many_alerts_and_lists_them_in_pages(log: Log) -> None:
    made = [(await add(log, name=f"Alert {number}"))["id"] for number in range(MOST_ALERTS)]
    seen: list[str] = []
    async with log.client("org_owner") as owner:
        one_more = await owner.post(ALERTS, json=BODY)
        assert (one_more.status_code, one_more.json()["code"]) == (409, "audit.too_many_alerts")
        cursor = None
        while True:
            query: dict[str, Any] = {"limit": 20} | ({"cursor": cursor} if cursor else {})
            page = (await owner.get(ALERTS, params=query)).json()
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "x" * 81}, {"name": "a\nb"}, {"action": "Identity"}, {"action": "a:b:c:d"},
        {"action": "identity:*"}, {"outcome": "maybe"}, {"actor": "me"}, {"factor": "TOTP!"}, {"count": 0},
        {"count": 501}, {"minutes": 0}, {"minutes": 1441}, {"quiet_minutes": 0}, {"quiet_minutes": 10081},
        {"per": "store"}, {"recipients": []}, {"recipients": ["platform_ops"]}, {"recipients": ["nobody"]},
        {"recipients": ["org_owner", "org_owner"]}, {"more": 1},
    ],
)
async def test_what_is_no_alert_is_refused(log: Log, wrong: dict[str, Any]) -> None:
    alert = await add(log)
    async with log.client("org_owner") as owner:
        assert (await owner.post(ALERTS, json=BODY | wrong)).status_code == 422
        patched = await owner.patch(f"{ALERTS}/{alert['id']}", json=wrong, headers={"if-match": '"v1"'})
        assert patched.status_code == 422, patched.text


@pytest.mark.parametrize("field", ["name", "count", "minutes", "per", "quiet_minutes", "recipients"])
async def test_what_an_alert_must_have_cannot_be_taken_away(log: Log, field: str) -> None:
    alert = await add(log)
    async with log.client("org_owner") as owner:
        path = f"{ALERTS}/{alert['id']}"
        assert (await owner.patch(path, json={field: None}, headers={"if-match": '"v1"'})).status_code == 422


async def test_strangers_and_wrong_roles_see_and_change_nothing(log: Log) -> None:
    alert = await add(log)
    path, match = f"{ALERTS}/{alert['id']}", {"if-match": '"v1"'}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", ALERTS, {"json": BODY}), ("GET", ALERTS, {}), ("GET", path, {}),
        ("PATCH", path, {"json": {"count": 9}, "headers": match}), ("DELETE", path, {"headers": match}),
        ("GET", f"{path}/raised", {}),
    ]
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        assert {(await nobody.request(verb, url, **more)).status_code for verb, url, more in calls} == {401}
    for client in (log.client("sales"), log.client("store_admin", store_id=log.store_id)):
        async with client:
            assert {(await client.request(verb, url, **more)).status_code for verb, url, more in calls} == {403}
    async with log.client("org_owner", org_id=uuid4()) as stranger:
        assert (await stranger.get(ALERTS)).json() == {"items": [], "next_cursor": None}
        assert {(await stranger.request(verb, url, **more)).status_code for verb, url, more in calls[2:]} == {404}
    async with log.client("platform_privacy") as officer:
        assert (await officer.get(path)).status_code == 200
        assert (await officer.delete(path, headers=match)).status_code == 403
    async with log.client("org_owner") as owner:
        assert (await owner.get(path)).json() == alert
        for wrong in ("x", str(uuid4())):
            assert (await owner.get(f"{ALERTS}/{wrong}")).status_code == 404
        for listing in (ALERTS, f"{path}/raised"):
            assert (await owner.get(listing, params={"cursor": "abc"})).status_code == 422


async def test_raised_alerts_go_with_the_days_they_are_about_and_counts_earlier(log: Log) -> None:
    alert = await add(log)
    await fail(log, 3)
    await look(log)
    [job] = [job for job in log.parts.jobs if job.name == "forget-alerts"]

    async def windows() -> int:
        async with log.runtime.database.begin(system(log.org_id)) as session:
            found = await session.execute(text("SELECT count(*) FROM alert_windows"))
            return int(found.scalar_one())

    for days, dry_run, left in ((2, False, (1, 1)), (5, True, (1, 1)), (5, False, (0, 1)), (179, False, (0, 1)),
                                (181, False, (0, 0))):
        await job.work(Run(as_of=log.clock() + timedelta(days=days), dry_run=dry_run))
        assert (await windows(), len(await raised(log, alert))) == left, days
