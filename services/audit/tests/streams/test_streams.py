"""Streams: every event arrives, at least once and in order, whoever is stuck and whatever dies."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from lotpro_audit import app
from lotpro_audit.clients.receivers import PublicReceivers
from lotpro_audit.streams import service
from lotpro_audit.streams.domain import LEASE, MOST_STREAMS
from lotpro_audit.streams.jobs import Pump
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.web import Unreachable
from services.audit.tests.conftest import Log
from services.audit.tests.streams.conftest import STREAMS, Streaming, is_signed
from services.audit.tests.streams.receivers import Authority


async def test_what_is_logged_arrives_signed_in_batches_and_in_order(streaming: Streaming) -> None:
    await streaming.act(3)
    stream = await streaming.add()
    await streaming.act(230)
    assert (await streaming.see(stream))["lag"] == 230
    await streaming.pump()
    shown = await streaming.see(stream)
    assert (shown["lag"], shown["attempts"], shown["last_error"]) == (0, 0, None)
    numbers = streaming.webhook.numbers
    # What came before the stream is not sent.
    assert numbers == list(range(stream["position"] + 1, shown["position"] + 1))
    assert [len(request.events) for request in streaming.webhook.requests] == [100, 100, len(numbers) - 200]
    assert all(is_signed(request, stream["secret"]) for request in streaming.webhook.requests)
    first = streaming.webhook.requests[0]
    assert first.headers["content-type"] == "application/json"
    assert first.headers["lotpro-stream"] == stream["id"]
    assert first.headers["lotpro-batch"] == f"{numbers[0]}-{numbers[99]}"
    assert not is_signed(first, "another secret")


async def test_addresses_and_browsers_are_sent_only_when_the_stream_says_so(streaming: Streaming) -> None:
    await streaming.add()
    await streaming.add(address=f"{streaming.other.url}/log", personal=True)
    await streaming.act(1)
    await streaming.pump()
    quiet, personal = (hook.requests[-1] for hook in (streaming.webhook, streaming.other))
    assert b"203.0.113.9" not in quiet.body
    assert b"Firefox" not in quiet.body
    event = personal.events[-1]
    assert event["src_endpoint"] == {"ip": "203.0.113.9"}
    assert event["http_request"] == {"user_agent": "Firefox/150"}


async def test_another_organisations_events_are_not_sent(streaming: Streaming) -> None:
    await streaming.add()
    await streaming.act(2, org_id=str(uuid4()))
    await streaming.act(1)
    await streaming.pump()
    owners = {event["metadata"]["tenant_uid"] for request in streaming.webhook.requests for event in request.events}
    assert owners == {str(streaming.log.org_id)}


async def test_what_a_receiver_refuses_comes_again_later_and_nothing_overtakes_it(streaming: Streaming) -> None:
    stream = await streaming.add()
    await streaming.act(1)
    streaming.webhook.answers += [500, 429, 302]
    for attempts, error in ((1, "answered_500"), (2, "answered_429"), (3, "answered_302")):
        await streaming.pump()
        shown = await streaming.see(stream)
        assert (shown["attempts"], shown["last_error"], shown["position"]) == (attempts, error, stream["position"])
        assert shown["lag"] == attempts
        streaming.later()
        await streaming.act(1)
    await streaming.pump()
    assert (await streaming.see(stream))["lag"] == 0
    first = streaming.webhook.requests[0].numbers[0]
    assert [request.numbers[0] for request in streaming.webhook.requests] == [first] * 4
    assert streaming.webhook.requests[-1].numbers == [first, first + 1, first + 2, first + 3]


async def test_before_its_time_nothing_is_tried_again(streaming: Streaming) -> None:
    stream = await streaming.add()
    await streaming.act(1)
    streaming.webhook.answers.append(503)
    await streaming.pump()
    async with streaming.log.runtime.database.begin(system(streaming.log.org_id)) as session:
        later = streaming.log.clock() + timedelta(seconds=2)
        await session.execute(text("UPDATE streams SET next_attempt_at = :later"), {"later": later})
    await streaming.pump()
    assert len(streaming.webhook.requests) == 1
    assert (await streaming.see(stream))["next_attempt_at"] is not None
    streaming.later(timedelta(seconds=2))
    await streaming.pump()
    assert len(streaming.webhook.requests) == 2


async def test_a_worker_that_dies_after_sending_sends_the_same_events_again(streaming: Streaming) -> None:
    log, stream = streaming.log, await streaming.add()
    await streaming.act(2)
    ports = app.ports(log.runtime)

    async def lease() -> service.Batch | None:
        async with log.runtime.database.begin(system(log.org_id)) as session:
            return await service.lease_batch(session, ports, org_id=log.org_id, stream_id=UUID(stream["id"]))

    lost = await lease()
    assert lost is not None
    assert (await service.send_batch(streaming.outside, lost)).arrived
    # Its end is never written down; as long as its lease runs, nobody else sends.
    assert await lease() is None
    await streaming.pump()
    assert len(streaming.webhook.requests) == 1
    streaming.later(LEASE + timedelta(seconds=1))
    await streaming.pump()
    first, again = streaming.webhook.requests
    assert [event["metadata"]["uid"] for event in first.events] == [event["metadata"]["uid"] for event in again.events]
    # The dead one's word, were it to come after all, changes nothing.
    position = (await streaming.see(stream))["position"]
    await streaming.act(3)
    await streaming.pump()
    async with log.runtime.database.begin(system(log.org_id)) as session:
        await service.settle_batch(session, ports, lost, service.Fate())
    assert (await streaming.see(stream))["position"] == position + 3


async def test_workers_killed_and_racing_all_the_time_lose_nothing_and_overtake_nothing(streaming: Streaming) -> None:
    stream = await streaming.add()
    for _ in range(6):
        await streaming.act(120)
        pumps = [Pump(streaming.outside) for _ in range(3)]
        running = [asyncio.create_task(pump.run()) for pump in pumps]
        seen = len(streaming.webhook.requests)

        async def more(seen: int = seen) -> bool:
            return len(streaming.webhook.requests) > seen

        await testing.eventually(more)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        streaming.later(LEASE + timedelta(seconds=1))
    await streaming.pump()
    shown = await streaming.see(stream)
    assert shown["lag"] == 0
    reached = stream["position"]
    for request in streaming.webhook.requests:
        numbers = request.numbers
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert numbers[0] <= reached + 1, "something was overtaken"
        reached = max(reached, numbers[-1])
    assert reached == shown["position"]


async def test_a_stuck_receiver_holds_up_nobody(streaming: Streaming) -> None:
    stuck = await streaming.add(address=f"{streaming.other.url}/log")
    await streaming.add()
    streaming.other.speaks.clear()
    await streaming.act(1)
    pump = Pump(streaming.outside)
    running = asyncio.create_task(pump.run())
    try:
        for wanted in (1, 2):
            async def came(wanted: int = wanted) -> bool:
                return len(streaming.webhook.numbers) >= wanted

            await testing.eventually(came, within=8)
            await streaming.act(1)
        assert len(streaming.other.requests) == 1
        assert (await streaming.see(stuck))["lag"] > 1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_receiver_that_is_gone_pauses_its_stream_until_it_is_resumed(streaming: Streaming) -> None:
    stream = await streaming.add()
    await streaming.act(1)
    streaming.webhook.answers.append(410)
    await streaming.pump()
    shown = await streaming.see(stream)
    assert (shown["state"], shown["pause_reason"], shown["version"]) == ("paused", "gone", 2)
    acts = await testing.events(streaming.log.runtime.database, containing=stream["id"])
    assert [(body["action"], body["actor_kind"]) for _, body in acts] == [("audit:stream:pause", "system")]
    streaming.later()
    await streaming.act(1)
    await streaming.pump()
    assert len(streaming.webhook.requests) == 1
    resumed = await streaming.ask("POST", f"/{stream['id']}:resume", version=2)
    assert (resumed["state"], resumed["pause_reason"], resumed["attempts"]) == ("active", None, 0)
    await streaming.pump()
    assert (await streaming.see(stream))["lag"] == 0
    assert streaming.webhook.requests[1].numbers[0] == streaming.webhook.requests[0].numbers[0]


async def test_a_paused_stream_goes_on_where_it_stopped(streaming: Streaming) -> None:
    stream = await streaming.add()
    paused = await streaming.ask("POST", f"/{stream['id']}:pause", version=1)
    assert (paused["state"], paused["pause_reason"]) == ("paused", "asked")
    await streaming.act(2)
    await streaming.pump()
    assert streaming.webhook.requests == []
    await streaming.ask("POST", f"/{stream['id']}:resume", version=2)
    await streaming.pump()
    assert streaming.webhook.numbers[0] == stream["position"] + 1


async def test_a_secret_that_was_replaced_signs_for_a_day_beside_the_new_one(streaming: Streaming) -> None:
    stream = await streaming.add()
    rotated = await streaming.ask("POST", f"/{stream['id']}:rotate", version=1)
    assert rotated["secret"] != stream["secret"]
    await streaming.pump()
    streaming.later(timedelta(hours=25))
    await streaming.act(1)
    await streaming.pump()
    during, after = streaming.webhook.requests
    assert [is_signed(during, secret) for secret in (stream["secret"], rotated["secret"])] == [True, True]
    assert [is_signed(after, secret) for secret in (stream["secret"], rotated["secret"])] == [False, True]


async def test_secrets_are_told_once_and_stored_encrypted(streaming: Streaming) -> None:
    stream = await streaming.add()
    assert stream["secret"].startswith("lps_")
    shown = await streaming.see(stream)
    assert "secret" not in shown
    async with streaming.log.runtime.database.begin(system(streaming.log.org_id)) as session:
        [row] = (await session.execute(text("SELECT secret, s::text AS all FROM streams s"))).all()
    assert stream["secret"].encode() not in row.secret
    assert stream["secret"] not in row.all


async def test_syslog_gets_cef_over_tls_and_again_what_was_cut_off(streaming: Streaming) -> None:
    stream = await streaming.add(kind="syslog", address=streaming.syslog.address)
    assert stream["secret"] == ""
    await streaming.act(150)
    streaming.syslog.cuts = 2
    for _ in range(2):
        await streaming.pump()
        shown = await streaming.see(stream)
        assert (shown["last_error"], shown["position"]) == ("unreachable", stream["position"])
        streaming.later()
    # What came before the line was cut comes again.
    assert streaming.syslog.messages
    streaming.syslog.messages.clear()
    await streaming.pump()
    shown = await streaming.see(stream)
    assert (shown["lag"], shown["last_error"]) == (0, None)
    messages = streaming.syslog.messages
    numbers = [int(message.partition(" cn1=")[2].partition(" ")[0]) for message in messages]
    assert numbers == list(range(stream["position"] + 1, shown["position"] + 1))
    assert all(message.startswith("<110>1 ") and "CEF:0|lotPro|audit|1|" in message for message in messages)
    assert not any("203.0.113.9" in message for message in messages)


async def test_every_change_of_a_stream_stands_in_the_log_before_it_is_answered(streaming: Streaming) -> None:
    stream = await streaming.add()
    path = f"/{stream['id']}"
    await streaming.ask("PATCH", path, {"name": "Other", "personal": True}, version=1)
    await streaming.ask("POST", f"{path}:pause", version=2)
    await streaming.ask("POST", f"{path}:resume", version=3)
    await streaming.ask("POST", f"{path}:rotate", version=4)
    await streaming.ask("DELETE", path, version=5)
    async with streaming.log.client("org_owner") as owner:
        shown = await streaming.log.page(owner, subject_id=stream["id"])
    assert [event["action"].rpartition(":")[2] for event in shown] == [
        "delete", "rotate", "resume", "pause", "update", "add",
    ]
    assert shown[-2]["changed_fields"] == ["name", "personal"]
    assert {event["actor"]["kind"] for event in shown} == {"user"}


async def test_without_the_log_no_stream_is_made(unled: Log) -> None:
    async with unled.client("org_owner") as owner:
        body = {"kind": "webhook", "name": "x", "address": "https://siem.example.com/x"}
        answer = await owner.post(STREAMS, json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
        assert (await owner.get(STREAMS)).json()["items"] == []


async def test_a_change_needs_the_version_and_a_name_in_the_right_form(streaming: Streaming) -> None:
    stream = await streaming.add()
    path = f"{STREAMS}/{stream['id']}"
    calls: list[tuple[str, str, Any]] = [
        ("PATCH", path, {"name": "x"}), ("DELETE", path, None), ("POST", f"{path}:pause", None),
        ("POST", f"{path}:resume", None), ("POST", f"{path}:rotate", None),
    ]
    async with streaming.log.client("org_owner") as owner:
        for verb, url, body in calls:
            assert (await owner.request(verb, url, json=body)).status_code == 428
            assert (await owner.request(verb, url, json=body, headers={"if-match": '"v7"'})).status_code == 412
        for wrong in ({"name": ""}, {"name": None}, {"address": None}, {"personal": None}, {"kind": "syslog"}):
            answer = await owner.patch(path, json=wrong, headers={"if-match": '"v1"'})
            assert answer.status_code == 422, answer.text
        syslog = await streaming.add(kind="syslog", address=streaming.syslog.address)
        answer = await owner.post(f"{STREAMS}/{syslog['id']}:rotate", headers={"if-match": '"v1"'})
        assert (answer.status_code, answer.json()["code"]) == (409, "audit.stream_has_no_secret")
        assert (await owner.get(STREAMS, params={"cursor": "abc"})).status_code == 422
    # The other stream's making was logged since, and this one is as it was.
    assert await streaming.see(stream) == {n: value for n, value in stream.items() if n != "secret"} | {"lag": 1}


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("webhook", "http://siem.example.com/x"), ("webhook", "https://127.0.0.1/x"), ("webhook", "https://10.0.0.1/x"),
        ("webhook", "https://[::1]/x"), ("webhook", "https://169.254.169.254/x"), ("webhook", "https://localhost/x"),
        ("webhook", "https://user:pass@siem.example.com/x"), ("webhook", "https://siem.example.com/#x"),
        ("webhook", "siem.example.com:6514"), ("webhook", "https://2130706433/x"), ("webhook", "https://siem/x"),
        ("syslog", "https://siem.example.com/x"), ("syslog", "siem.example.com"), ("syslog", "127.0.0.1:6514"),
        ("syslog", "siem.example.com:0"), ("syslog", "siem.example.com:70000"), ("syslog", "a@siem.example.com:6514"),
        ("syslog", "[::1]:6514"), ("syslog", "siem example.com:6514"), ("syslog", "siem.example.com:6514/x"),
        ("syslog", "sïem.example.com:6514"), ("syslog", "localhost:6514"),
    ],
)
async def test_nothing_is_sent_to_what_is_not_public(log: Log, kind: str, address: str) -> None:
    async with log.client("org_owner") as owner:
        answer = await owner.post(STREAMS, json={"kind": kind, "name": "x", "address": address})
        assert (answer.status_code, answer.json()["code"]) == (422, "audit.stream_address_refused"), answer.text


@pytest.mark.parametrize("address", ["https://127.0.0.1:9", "https://0x7f.1:9", "https://localhost:9"])
async def test_a_name_that_leads_inside_is_not_gone_to(log: Log, address: str) -> None:
    receivers = PublicReceivers()
    with pytest.raises(Unreachable):
        await receivers.post(address, b"[]", {})
    with pytest.raises(Unreachable):
        await receivers.write(address.removeprefix("https://"), b"x")
    await receivers.close()


async def test_a_certificate_of_an_unknown_authority_is_refused(streaming: Streaming, trust: Authority) -> None:
    receivers = PublicReceivers(lambda: (streaming.webhook.url, streaming.syslog.address))
    with pytest.raises(Unreachable):
        await receivers.post(streaming.webhook.url, b"[]", {})
    with pytest.raises(Unreachable):
        await receivers.write(streaming.syslog.address, b"1 x")
    await receivers.close()
    assert streaming.webhook.requests == []
    assert streaming.syslog.messages == []


def test_production_has_no_sandbox() -> None:
    with pytest.raises(ValueError, match="sandbox_receivers must be empty"):
        testing.settings(
            app.SERVICE, environment="production", sealing_key="x", checkpoint_key="x",
            blob_url="https://lotpro.blob.core.windows.net", sandbox_receivers="https://localhost:1",
        )


async def test_an_organisation_has_so_many_streams_and_lists_them_in_pages(streaming: Streaming) -> None:
    made = [(await streaming.add())["id"] for _ in range(MOST_STREAMS)]
    async with streaming.log.client("org_owner") as owner:
        body = {"kind": "webhook", "name": "x", "address": streaming.webhook.url}
        answer = await owner.post(STREAMS, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "audit.too_many_streams")
        first = (await owner.get(STREAMS, params={"limit": 3})).json()
        rest = (await owner.get(STREAMS, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None


async def test_the_same_key_makes_one_stream_and_tells_the_same_secret(streaming: Streaming) -> None:
    log = streaming.log
    token = log.signer.user_token(user_id=uuid4(), org_id=log.org_id, roles={"*": ["org_owner"]})
    body = {"kind": "webhook", "name": "x", "address": streaming.webhook.url}
    async with testing.client(app.SERVICE, log.runtime, log.parts, token) as owner:
        answers = [await owner.post(STREAMS, json=body, headers={"idempotency-key": "one"}) for _ in range(2)]
        assert len((await owner.get(STREAMS)).json()["items"]) == 1
    assert answers[0].json() == answers[1].json()


async def test_where_the_log_goes_is_said_only_by_somebody_who_gave_a_second_factor_lately(
    streaming: Streaming,
) -> None:
    stream = await streaming.add()
    path, match = f"{STREAMS}/{stream['id']}", {"if-match": '"v1"'}
    body = {"kind": "webhook", "name": "x", "address": streaming.other.url}
    async with streaming.log.client("org_owner") as owner:
        streaming.later(timedelta(minutes=16))
        for answer in (
            await owner.post(STREAMS, json=body),
            await owner.patch(path, json={"address": f"{streaming.other.url}/mine"}, headers=match),
            await owner.patch(path, json={"personal": True}, headers=match),
            await owner.post(f"{path}:rotate", headers=match),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "auth.step_up_required")
        assert (await owner.get(path)).json()["version"] == 1
        # To send less needs no second factor.
        assert (await owner.post(f"{path}:pause", headers=match)).status_code == 200


async def test_strangers_and_wrong_roles_see_and_change_nothing(streaming: Streaming) -> None:
    log, stream = streaming.log, await streaming.add()
    path, match = f"{STREAMS}/{stream['id']}", {"if-match": '"v1"'}
    body = {"kind": "webhook", "name": "x", "address": streaming.webhook.url}
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", STREAMS, {"json": body}), ("PATCH", path, {"json": {"name": "y"}, "headers": match}),
        ("DELETE", path, {"headers": match}),
        *(("POST", f"{path}:{verb}", {"headers": match}) for verb in ("pause", "resume", "rotate")),
    ]
    views: list[tuple[str, str, dict[str, Any]]] = [("GET", STREAMS, {}), ("GET", path, {})]
    async with testing.client(app.SERVICE, log.runtime, log.parts) as nobody:
        assert {(await nobody.request(verb, url, **more)).status_code for verb, url, more in changes + views} == {401}
    for client in (log.client("sales"), log.client("platform_privacy"), log.client("store_admin", store_id=uuid4())):
        async with client:
            found = {(await client.request(verb, url, **more)).status_code for verb, url, more in changes + views}
            assert found == {403}
    async with log.client("compliance") as officer:
        assert {(await officer.request(verb, url, **more)).status_code for verb, url, more in changes} == {403}
        assert (await officer.get(path)).status_code == 200
    async with log.client("org_owner", org_id=uuid4()) as stranger:
        assert (await stranger.get(STREAMS)).json() == {"items": [], "next_cursor": None}
        gone = {(await stranger.request(verb, url, **more)).status_code for verb, url, more in [*changes[1:], views[1]]}
        assert gone == {404}
    async with log.client("org_owner") as owner:
        assert (await owner.get(f"{STREAMS}/x")).status_code == 404
