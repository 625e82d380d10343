"""The engine that collects: side by side, through failures and deaths, each answer kept once."""

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from lotpro_kit import testing, wake
from lotpro_kit.caller import system
from lotpro_kit.clock import utc_now
from lotpro_privacy.requests import repository, service
from lotpro_privacy.requests.jobs import Engine
from services.privacy.tests.conftest import REQUESTS, Privacy


async def case_of(privacy: Privacy, request_id: str) -> dict[str, Any]:
    async with privacy.client("compliance") as officer:
        found: dict[str, Any] = (await officer.get(f"{REQUESTS}/{request_id}")).json()
        return found


async def opened(privacy: Privacy) -> str:
    async with privacy.client("compliance") as officer:
        return str((await privacy.open(officer))["id"])


async def announced(privacy: Privacy) -> int:
    """How often it was said that an answer is ready."""
    events = await testing.events(privacy.runtime.database, containing=str(privacy.org_id))
    return sum(name.endswith("RequestAnswered") for name, _ in events)


async def asked_at_once(privacy: Privacy, number: int) -> None:
    """Wait until so many services are being asked in the same moment."""

    async def so_many() -> bool:
        return privacy.others.at_once == number

    await testing.eventually(so_many)


async def test_services_are_asked_side_by_side_and_slow_ones_hold_up_no_new_case(privacy: Privacy) -> None:
    slow = await opened(privacy)
    first = await service.lease_next(privacy.runtime.database, privacy.ports)
    await service.collect(privacy.runtime.database, privacy.ports, first)
    privacy.others.slow_until.clear()
    engine = asyncio.create_task(Engine(privacy.runtime.database, privacy.ports).collect())
    await asked_at_once(privacy, 4)
    new = await opened(privacy)
    await asked_at_once(privacy, 5)
    privacy.others.slow_until.set()
    await engine
    assert [(await case_of(privacy, request_id))["state"] for request_id in (slow, new)] == ["ready", "ready"]


async def test_two_engines_at_once_keep_each_answer_once_and_announce_it_once(privacy: Privacy) -> None:
    cases = [await opened(privacy) for _ in range(6)]
    engines = [Engine(privacy.runtime.database, privacy.ports).collect() for _ in range(3)]
    await asyncio.gather(*engines)
    await privacy.collect()
    for request_id in cases:
        assert (await case_of(privacy, request_id))["state"] == "ready"
    async with privacy.runtime.database.begin(system(privacy.org_id)) as session:
        kept = (await session.execute(text("SELECT count(*) FROM records"))).scalar_one()
    assert kept == 5 * len(cases)
    assert await announced(privacy) == len(cases)


async def test_the_last_two_services_that_finish_in_the_same_moment_still_announce_the_answer(
    privacy: Privacy,
) -> None:
    request_id = await opened(privacy)
    first = await service.lease_next(privacy.runtime.database, privacy.ports)
    await service.collect(privacy.runtime.database, privacy.ports, first)
    rest = [await service.lease_next(privacy.runtime.database, privacy.ports) for _ in range(4)]
    await asyncio.gather(*(service.collect(privacy.runtime.database, privacy.ports, task) for task in rest))
    assert (await case_of(privacy, request_id))["state"] == "ready"
    assert await announced(privacy) == 1


async def test_a_case_that_cannot_be_read_stops_neither_the_engine_nor_other_cases(privacy: Privacy) -> None:
    broken, whole = await opened(privacy), await opened(privacy)
    async with privacy.runtime.database.begin(system(scope="engine")) as session:
        await session.execute(text("DELETE FROM data_keys WHERE subject_id = :id"), {"id": broken})
    await privacy.collect()
    assert (await case_of(privacy, whole))["state"] == "ready"
    stuck = await case_of(privacy, broken)
    assert stuck["state"] == "collecting"
    assert {task["error"] for task in stuck["services"] if task["attempts"]} == {"internal.error"}


async def test_a_service_of_another_policy_version_is_asked_again_until_it_is_ours(privacy: Privacy) -> None:
    ours, privacy.others.policy_sha256 = privacy.others.policy_sha256, "0" * 64
    request_id = await opened(privacy)
    await privacy.collect()
    [asked] = [task for task in (await case_of(privacy, request_id))["services"] if task["attempts"]]
    assert (asked["done"], asked["error"]) == (False, "privacy.policy_differs")
    privacy.others.policy_sha256 = ours
    privacy.clock.advance(timedelta(seconds=2))
    await privacy.collect()
    assert (await case_of(privacy, request_id))["state"] == "ready"


async def test_who_lost_the_lease_can_neither_postpone_nor_renew_what_another_one_does(privacy: Privacy) -> None:
    request_id = await opened(privacy)
    dead = await service.lease_next(privacy.runtime.database, privacy.ports)
    privacy.clock.advance(service.LEASE)
    alive = await service.lease_next(privacy.runtime.database, privacy.ports)
    assert alive.service == dead.service
    far = privacy.clock() + timedelta(days=9)
    async with privacy.runtime.database.begin(system(scope="engine")) as session:
        await repository.postpone_task(session, dead, until=far, error="late")
        await repository.keep_lease(session, dead, until=far)
    await service.collect(privacy.runtime.database, privacy.ports, alive)
    [done] = [task for task in (await case_of(privacy, request_id))["services"] if task["done"]]
    assert done["error"] == ""
    await privacy.collect()
    assert (await case_of(privacy, request_id))["state"] == "ready"


async def test_what_two_holders_of_a_task_were_told_is_kept_once(privacy: Privacy) -> None:
    await opened(privacy)
    slow = await service.lease_next(privacy.runtime.database, privacy.ports)
    privacy.clock.advance(service.LEASE)
    fast = await service.lease_next(privacy.runtime.database, privacy.ports)
    await asyncio.gather(
        *(service.collect(privacy.runtime.database, privacy.ports, task) for task in (slow, fast))
    )
    async with privacy.runtime.database.begin(system(privacy.org_id)) as session:
        assert (await session.execute(text("SELECT count(*) FROM records"))).scalar_one() == 1


async def test_the_running_engine_wakes_for_a_new_case_and_again_when_a_retry_is_due(privacy: Privacy) -> None:
    ports = dataclasses.replace(privacy.ports, clock=utc_now)
    running = asyncio.create_task(Engine(privacy.runtime.database, ports).run())
    try:
        privacy.others.failures = 4
        request_id = await opened(privacy)

        async def ready() -> bool:
            return bool((await case_of(privacy, request_id))["state"] == "ready")

        await testing.eventually(ready, within=wake.SWEEP_SECONDS - 5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_case_that_was_removed_meanwhile_is_left_alone(privacy: Privacy) -> None:
    request_id = await opened(privacy)
    task = await service.lease_next(privacy.runtime.database, privacy.ports)
    async with privacy.runtime.database.begin(system(scope="retention")) as session:
        await session.execute(text("DELETE FROM requests WHERE id = :id"), {"id": request_id})
    await service.collect(privacy.runtime.database, privacy.ports, task)


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "customer"}, {"kind": "dealer", "id": str(uuid4())}, {"kind": "user", "id": "x"},
        {"kind": "user", "id": str(uuid4()), "email": "no address"},
        {"kind": "user", "id": str(uuid4()), "phone": "1"},
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_and_opens_nothing(
    privacy: Privacy, subject: dict[str, str]
) -> None:
    async with privacy.client("compliance") as officer:
        refused = await officer.post(REQUESTS, json={"kind": "access", "subject": subject})
        assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid")
        assert (await officer.get(REQUESTS)).json()["items"] == []


async def test_the_same_idempotency_key_opens_one_case(privacy: Privacy) -> None:
    body = {"kind": "access", "subject": {"kind": "customer", "id": str(uuid4()), "email": "Casey@Example.com"}}
    headers = {"idempotency-key": str(uuid4())}
    async with privacy.client("compliance") as officer:
        answers = [(await officer.post(REQUESTS, json=body, headers=headers)).json()["id"] for _ in range(2)]
        assert len((await officer.get(REQUESTS)).json()["items"]) == 1
    assert answers[0] == answers[1]
    await privacy.collect()
    assert {subject.email for subject in privacy.others.asked} == {"casey@example.com"}
