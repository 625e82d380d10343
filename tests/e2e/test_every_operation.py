"""Every operation of every service refuses strangers, and shows nobody another dealer's data."""

import json
from pathlib import Path

import httpx
import pytest

from tests.e2e import flow
from tests.e2e.operations import Operation, is_public, operations
from tests.e2e.stack import ROOT, Stack

#: These come last: they end the stranger's session, and with it what the stranger could still be asked to try.
ENDING = ("close_own_account", "sign_out", "sign_out_everywhere")
ALL = sorted(
    operations(json.loads((ROOT / "gateway" / "openapi.json").read_text(encoding="utf-8"))),
    key=lambda operation: operation.name in ENDING,
)
PROTECTED = [pytest.param(op, id=op.name) for op in ALL if not is_public(op)]
#: Operations that the search below cannot judge, each with the reason. The list may only get shorter.
UNCOVERED = Path(__file__).with_name("uncovered.txt")


def uncovered() -> dict[str, str]:
    """Operation -> why it is not covered."""
    lines = [line for line in UNCOVERED.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {name: reason.strip() for name, _, reason in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("operation", PROTECTED)
def test_without_a_token_there_is_no_answer(stack: Stack, operation: Operation) -> None:
    for headers in ({}, {"authorization": "Bearer not.a.token"}):
        answer = httpx.request(
            operation.method, f"{stack.gateway}{operation.path_with({})}", headers=headers, trust_env=False
        )
        assert answer.status_code == 401, answer.text[:300]
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"]


@pytest.mark.parametrize("operation", PROTECTED)
def test_the_service_itself_refuses_too(stack: Stack, operation: Operation) -> None:
    """Nobody relies on the gateway alone."""
    service = operation.path.split("/")[2]
    url = f"http://127.0.0.1:{stack.ports[f'{service}_http']}{operation.path_with({})}"
    answer = httpx.request(operation.method, url, trust_env=False)
    assert answer.status_code == 401, answer.text[:300]


@pytest.mark.parametrize("operation", PROTECTED)
def test_another_dealers_data_is_as_if_it_were_not_there(
    story: flow.Story, stranger: flow.Story, operation: Operation
) -> None:
    """The stranger asks with the ids of our story: not found, or an answer in which nothing of the story stands."""
    verdict = judge(story, stranger, operation)
    if operation.name in uncovered():
        assert verdict, f"{operation.name} is covered now: take it out of {UNCOVERED.name}"
    else:
        assert not verdict, verdict


def judge(story: flow.Story, stranger: flow.Story, operation: Operation) -> str:
    """Empty when the operation is proved to keep dealers apart, else what stood in the way."""
    ids = story.ids | {"email": story.customer.email}
    body = operation.body_with(ids)
    headers = {"if-match": '"v1"'} if operation.method in ("PATCH", "PUT", "DELETE") or ":" in operation.path else {}
    answer = stranger.owner.gateway.send(operation.method, operation.path_with(ids), body, headers=headers)
    found = [word for word in (*story.ids.values(), *theirs(story, stranger)) if word in answer.text]
    if found:
        return f"the stranger sees {found}"
    refers = bool(operation.parameters) or any(value in json.dumps(body) for value in story.ids.values())
    if operation.path.endswith(":find") or (operation.method == "GET" and not operation.parameters):
        right = answer.is_success
    elif refers:
        # A reference must be looked at and not found; a refusal before that proves nothing.
        right = answer.status_code in (403, 404)
    else:
        right = answer.status_code < 500
    return "" if right else f"{answer.status_code} {answer.text[:300]}"


def theirs(story: flow.Story, stranger: flow.Story) -> list[str]:
    """Words about the story's people that are not about the stranger's, who share some first names."""
    return [word for word in story.personal_words() if word not in stranger.personal_words()]


def test_the_list_of_uncovered_operations_names_only_operations() -> None:
    assert uncovered().keys() <= {operation.name for operation in ALL}
