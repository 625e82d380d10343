"""The main job from outside, and what it must not leave behind."""

import json
import ssl
import time

import httpx
import pytest

from tests.e2e import flow, traces
from tests.e2e.stack import Stack

#: How long exporters and Envoy's access log may keep what they have to write.
SETTLE_SECONDS = 12


def test_the_main_job_runs_through_every_room(story: flow.Story) -> None:
    assert {"organisation_id", "store_id", "vehicle_id", "sale_id", "customer_id", "request_id"} <= story.ids.keys()


def test_no_event_log_or_span_of_it_names_a_person_or_holds_a_code(stack: Stack, story: flow.Story) -> None:
    spans = stack.state / "telemetry" / "traces.jsonl"
    deadline = time.monotonic() + SETTLE_SECONDS
    while not (spans.exists() and "PrivacyParticipantService" in spans.read_text()):
        assert time.monotonic() < deadline, "no span of the privacy request was exported"
        time.sleep(0.2)
    where = dict(traces.texts(stack))
    assert {"logs/identity.log", "logs/gateway.log", "telemetry/traces.jsonl"} <= where.keys()
    assert any(name.startswith("servicebus/") for name in where)
    assert traces.sightings(story.personal_words(), where.items()) == []


def test_the_search_for_people_would_find_one(story: flow.Story) -> None:
    line = json.dumps({"event": f"sent to {story.owner.email}", "ms": "0.123456"})
    assert traces.sightings(story.personal_words(), [("a log", line)]) != []
    assert traces.sightings(["123456"], [("a log", line)]) == []


def test_all_doors_of_the_gateway_are_open(stack: Stack) -> None:
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{stack.gateway}/healthz").status_code == 200
        assert "swagger" in client.get(f"{stack.gateway}/docs").text.lower()
        assert len(client.get(f"{stack.gateway}/openapi.json").json()["paths"]) > 20
    with httpx.Client(trust_env=False, verify=_trusting(stack)) as client:
        assert client.get(f"{stack.addresses['gateway_tls']}/healthz").status_code == 200


def _trusting(stack: Stack) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=stack.addresses["ca"])


def test_all_tests_of_a_stack_run_in_one_worker(request: pytest.FixtureRequest) -> None:
    """Where they were spread over the workers, each worker would start a stack, and time would run out."""
    assert not hasattr(request.config, "workerinput") or request.node.nodeid.endswith("@e2e")
