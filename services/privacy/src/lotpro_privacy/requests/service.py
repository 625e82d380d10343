"""Use cases of requests: open, look, collect, answer."""

import asyncio
import dataclasses
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

import lotpro_policy
from lotpro.privacy.v1 import events_pb2
from lotpro_kit import errors, ids, outbox, telemetry
from lotpro_kit.caller import Caller, system
from lotpro_kit.db import Database, Session
from lotpro_privacy.clients.participants import Found, Person
from lotpro_privacy.db import ENGINE
from lotpro_privacy.ports import Ports
from lotpro_privacy.requests import domain, repository
from lotpro_privacy.requests.domain import AnswerIncomplete, Kind, PolicyDiffers, State, SubjectKind

CHANNEL = "privacy_tasks"
EMAIL, CONTENT = "requests.email", "records.content"
#: Who works on a task renews its lease three times in this time; a task whose lease ended was left by the dead.
LEASE = timedelta(seconds=12)

log = telemetry.logger(__name__)


async def open_request(
    session: Session,
    caller: Caller,
    ports: Ports,
    *,
    kind: Kind,
    subject_kind: SubjectKind,
    subject_id: UUID,
    email: str,
) -> UUID:
    """Open a case; the clock starts now, and every service is asked soon."""
    org_id, user_id = _organisation(caller), caller.user_id
    now, request_id = ports.clock(), ids.new()
    key = await ports.keyring.for_subject(session, request_id)
    await repository.add_request(
        session,
        {
            "org_id": org_id, "id": request_id, "kind": kind, "subject_kind": subject_kind, "subject_id": subject_id,
            "email": key.encrypt(email, context=EMAIL) if email else None, "opened_by": user_id, "received_at": now,
            "due_on": domain.due_on(now),
        },
    )
    first = domain.FIRST[subject_kind]
    await repository.add_tasks(
        session,
        [
            {
                "org_id": org_id, "request_id": request_id, "service": service, "stage": 1 if service == first else 2,
                "next_run_at": now,
            }
            for service in domain.PARTICIPANTS
        ],
    )
    await outbox.put(
        session,
        events_pb2.RequestOpened(
            org_id=str(org_id), request_id=str(request_id), opened_by=str(user_id), kind=kind
        ),
    )
    await ports.security_log.record(
        session, caller, "privacy:request:open", at=now, subject=("privacy_request", request_id),
        concerned=(subject_kind.value, subject_id),
    )
    await wake(session)
    return request_id


async def wake(session: Session) -> None:
    """Tell the engine that there is work, when the transaction commits."""
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


async def get_request(session: Session, caller: Caller, *, request_id: UUID) -> tuple[Any, list[Any], State]:
    """A case, its tasks and its state; raises NotFound."""
    org_id = _organisation(caller)
    found = await repository.request(session, org_id, request_id)
    if found is None:
        raise errors.NotFound
    tasks = list(await repository.tasks(session, org_id, [request_id]))
    return found, tasks, state_of(found, tasks)


async def list_requests(
    session: Session, caller: Caller, *, before: UUID | None, limit: int
) -> list[tuple[Any, list[Any], State]]:
    """Cases newest first, `limit` and one more, each with its tasks and state."""
    org_id = _organisation(caller)
    rows = await repository.requests(session, org_id, before=before, limit=limit + 1)
    by_request: dict[UUID, list[Any]] = defaultdict(list)
    for task in await repository.tasks(session, org_id, [row.id for row in rows]):
        by_request[task.request_id].append(task)
    return [(row, by_request[row.id], state_of(row, by_request[row.id])) for row in rows]


def state_of(request: Any, tasks: list[Any]) -> State:
    """The state of a case."""
    return domain.state_of(
        answered=request.answered_at is not None,
        open_attempts=[task.attempts for task in tasks if task.done_at is None],
    )


async def lease_next(database: Database, ports: Ports) -> Any:
    """A task that is due, taken for LEASE, or None. If its taker dies, it is due again when the lease ends."""
    async with database.begin(system(scope=ENGINE)) as session:
        return await repository.lease(session, now=ports.clock(), lease=LEASE)


async def next_due(database: Database) -> datetime | None:
    """When there is something to do next."""
    async with database.begin(system(scope=ENGINE)) as session:
        return await repository.next_due(session)


async def collect(database: Database, ports: Ports, task: Any) -> None:
    """Ask the task's service and store what it told; whatever goes wrong, it is asked again after a pause.

    May be killed at any point and done again.
    """
    try:
        async with _lease_kept(database, ports, task):
            await _ask(database, ports, task)
    except errors.Error as error:
        code = error.code
    except Exception as error:
        log.error("not collected", service=task.service, error=type(error).__name__, at=telemetry.place_of(error))
        code = errors.Error.code
    else:
        return
    log.warning("service did not answer", service=task.service, attempts=task.attempts, error=code)
    async with database.begin(system(scope=ENGINE)) as session:
        until = ports.clock() + domain.pause(task.attempts)
        await repository.postpone_task(session, task, until=until, error=code)


@asynccontextmanager
async def _lease_kept(database: Database, ports: Ports, task: Any) -> AsyncIterator[None]:
    """While inside, nobody else takes the task."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            async with database.begin(system(scope=ENGINE)) as session:
                await repository.keep_lease(session, task, until=ports.clock() + LEASE)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _ask(database: Database, ports: Ports, task: Any) -> None:
    async with database.begin(system(scope=ENGINE)) as session:
        case = await repository.request(session, task.org_id, task.request_id)
        if case is None:
            return
        key = await ports.keyring.existing(session, task.request_id)
    email = key.decrypt(case.email, context=EMAIL) if case.email else ""
    person = Person(task.org_id, SubjectKind(case.subject_kind), case.subject_id, email)
    found = await ports.participants[task.service].collect(person)
    if found.policy_sha256 != lotpro_policy.policy().sha256:
        raise PolicyDiffers
    async with database.begin(system(scope=ENGINE)) as session:
        await _keep(session, ports, task, found)


async def _keep(session: Session, ports: Ports, task: Any, found: Found) -> None:
    """Store what a service told, once; when it was the last one, say that the answer is ready."""
    case = await repository.locked_request(session, task.org_id, task.request_id)
    if case is None or not await repository.finish_task(
        session, task, now=ports.clock(), counts=dict(found.counts),
        described=[dataclasses.asdict(column) for column in found.described],
    ):
        return
    key = await ports.keyring.existing(session, task.request_id)
    await repository.add_records(
        session,
        [
            {
                "org_id": task.org_id, "request_id": task.request_id, "service": task.service, "number": number,
                "source_table": record.table, "third_party": record.third_party,
                "content": key.encrypt(
                    json.dumps({"id": record.id, "fields": dict(record.fields)}), context=CONTENT
                ),
            }
            for number, record in enumerate(found.records)
        ],
    )
    if found.email and not case.email:
        await repository.set_email(
            session, task.org_id, task.request_id, key.encrypt(found.email, context=EMAIL)
        )
    tasks = list(await repository.tasks(session, task.org_id, [task.request_id]))
    if state_of(case, tasks) is State.READY:
        await outbox.put(
            session,
            events_pb2.RequestAnswered(
                org_id=str(task.org_id), request_id=str(task.request_id), opened_by=str(case.opened_by), kind=case.kind
            ),
        )


async def answer_of(session: Session, caller: Caller, ports: Ports, *, request_id: UUID) -> dict[str, Any]:
    """The answer to hand out; raises NotFound, and AnswerIncomplete while a service is missing.

    Handing it out is written into the security log first; without that, nothing is handed out.
    """
    case, tasks, state = await get_request(session, caller, request_id=request_id)
    if state not in (State.READY, State.ANSWERED):
        raise AnswerIncomplete
    now = ports.clock()
    event = ports.security_log.event(
        caller, "privacy:request:answer", at=now, subject=("privacy_request", request_id),
        concerned=(case.subject_kind, case.subject_id),
    )
    await ports.audit.append(ids.new(), event)
    await repository.set_answered(session, case.org_id, request_id, now=now)
    key = await ports.keyring.existing(session, request_id)
    services: dict[str, dict[str, list[dict[str, Any]]]] = {task.service: {} for task in tasks}
    for row in await repository.records(session, case.org_id, request_id):
        content = json.loads(key.decrypt(row.content, context=CONTENT))
        record = {"id": content["id"], "third_party": row.third_party, **content["fields"]}
        services[row.service].setdefault(row.source_table, []).append(record)
    return {
        "request_id": str(request_id), "received_at": case.received_at, "due_on": case.due_on,
        "subject": {"kind": case.subject_kind, "id": str(case.subject_id)}, "services": services,
        "described": {task.service: task.described for task in tasks},
        **_explained(),
    }


def _explained() -> dict[str, Any]:
    """What GDPR Article 15(1) wants told besides the data: purposes, retention, recipients, rights; from the policy.

    Lawful bases stand in `described`, column by column, as each service declares them.
    """
    policy = lotpro_policy.policy()
    body = policy.model_dump(mode="json", include={"purposes", "retention", "processors", "rights"})
    return {"policy_version": str(policy.version), "policy_sha256": policy.sha256, **body}


def _organisation(caller: Caller) -> UUID:
    if caller.org_id is None:
        raise errors.NotFound
    return caller.org_id
