"""A saved alert from an act in one service, by the log, to an e-mail."""

from collections.abc import Iterator

import pytest

from tests.e2e import flow
from tests.e2e.stack import Stack

ALERTS = "/api/audit/v1/alerts"


@pytest.fixture
def watcher(stack: Stack) -> Iterator[flow.Story]:
    """The owner of an organisation in which nothing has happened yet, signed in."""
    steps = (flow.sign_up, flow.confirm_email, flow.enrol_totp, flow.sign_in)
    with flow.told(stack.gateway, stack.addresses["providers"], *steps) as told:
        yield told


def test_an_alert_on_an_act_in_another_service_arrives_by_e_mail(watcher: flow.Story) -> None:
    owner = watcher.owner
    alert = owner.ask(
        "POST", ALERTS,
        {"name": "New in stock", "action": "inventory:vehicle:add", "count": 1, "recipients": ["org_owner"]},
        expect=201,
    )
    flow.add_vehicle(watcher)
    mail = watcher.inbox.wait_for(owner.email, containing="alert on your security log", within=watcher.patience)
    [raised] = owner.ask("GET", f"{ALERTS}/{alert['id']}/raised")["items"]
    events = owner.ask("GET", "/api/audit/v1/events?action=inventory:vehicle:add")["items"]
    assert [(event["id"], event["subject"]["id"]) for event in events] == [
        (raised["event_id"], watcher.ids["vehicle_id"])
    ]
    assert "1 event of the kind it watches for" in mail.text
    # What it was about is for those who may read the log.
    assert flow.VIN not in mail.text
    assert alert["name"] not in mail.text
