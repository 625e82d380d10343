"""An ended session is over in every service, not only in the one that ended it."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e import flow
from tests.e2e.stack import Stack

#: One read in each service that has one for everybody who is signed in as an owner.
READS = (
    "/api/identity/v1/sessions/current",
    "/api/inventory/v1/vehicles",
    "/api/billing/v1/subscription",
    "/api/notifications/v1/preferences",
    "/api/privacy/v1/requests",
    "/api/audit/v1/events",
)
#: What issue and policy promise for a change to hold everywhere.
WITHIN_SECONDS = 1.0


def statuses(stack: Stack, token: str) -> dict[str, int]:
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=stack.gateway, headers=headers, trust_env=False) as client:
        return {path: client.get(path).status_code for path in READS}


@pytest.fixture
def leaver(stack: Stack) -> Iterator[flow.Story]:
    """The owner of an organisation, signed in."""
    steps = (flow.sign_up, flow.confirm_email, flow.enrol_totp, flow.sign_in)
    with flow.told(stack.gateway, stack.addresses["providers"], *steps) as told:
        yield told


def test_signing_out_holds_in_every_service(stack: Stack, leaver: flow.Story) -> None:
    token = leaver.owner.gateway.token
    before = statuses(stack, token)
    assert set(before.values()) == {200}, before
    leaver.owner.gateway.send("POST", "/api/identity/v1/sessions:sign-out", {})
    deadline = time.monotonic() + WITHIN_SECONDS
    while set(after := statuses(stack, token)) and set(after.values()) != {401}:
        assert time.monotonic() < deadline, after
