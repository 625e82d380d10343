"""Ordered faults look to the SDKs like the real ones."""

import httpx
import pytest
import stripe
from sendgrid.helpers.mail import Mail

from localcloud.tests.providers.conftest import SECRETS, Cloud
from localcloud.tests.providers.test_sendgrid import address, post
from localcloud.tests.providers.test_stripe import client


def mail(to: str) -> dict[str, object]:
    found: dict[str, object] = Mail("no-reply@lotpro.space", to, "s", "t").get()
    return found


@pytest.fixture(autouse=True)
def none_left(cloud: Cloud) -> None:
    """No fault of another test waits."""
    cloud.http.delete("/_ctl/faults")


def test_a_refusal_does_nothing_and_says_when_to_come_back(cloud: Cloud) -> None:
    to = address()
    cloud.order("sendgrid", {"status": 429, "retry_after": 7}, {"status": 503})
    first, second, third = post(cloud, mail(to)), post(cloud, mail(to)), post(cloud, mail(to))
    assert (first.status_code, first.headers["retry-after"]) == (429, "7")
    assert (second.status_code, third.status_code) == (503, 202)
    assert len(cloud.inbox(to)) == 1


def test_a_dropped_answer_is_work_done_and_a_cut_connection(cloud: Cloud) -> None:
    to = address()
    cloud.order("sendgrid", {"drop": True})
    with pytest.raises(httpx.RemoteProtocolError):
        post(cloud, mail(to))
    assert len(cloud.inbox(to)) == 1


def test_a_delayed_answer_outlasts_an_impatient_client(cloud: Cloud) -> None:
    cloud.order("sendgrid", {"delay": 5})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{cloud.url}/sendgrid/v3/mail/send", json=mail(address()), timeout=0.2, trust_env=False,
            headers={"authorization": f"Bearer {SECRETS['notifications-sendgrid-api-key']}"},
        )
    assert post(cloud, mail(address())).status_code == 202


def test_stripes_sdk_sees_its_own_errors(cloud: Cloud) -> None:
    cloud.order("stripe", {"status": 429}, {"status": 500})
    with pytest.raises(stripe.RateLimitError):
        client(cloud).v1.customers.create()
    with pytest.raises(stripe.APIError):
        client(cloud).v1.customers.create()


def test_stripes_sdk_gets_through_a_dropped_answer_without_doing_the_work_twice(cloud: Cloud) -> None:
    email = address()
    cloud.order("stripe", {"drop": True}, {"status": 503})
    made = client(cloud, retries=2).v1.customers.create({"email": email})
    assert [one.id for one in client(cloud).v1.customers.list({"email": email}).data] == [made.id]


def test_faults_are_listed_counted_down_and_cleared(cloud: Cloud) -> None:
    cloud.order("twilio", {"status": 500, "times": 2}, {"delay": 0.1})
    assert cloud.http.get("/_ctl/faults").json() == {
        "sendgrid": [], "stripe": [], "twilio": [{"status": 500, "times": 2}, {"delay": 0.1, "times": 1}],
    }
    cloud.http.post("/twilio/2010-04-01/Accounts/AC1/Messages.json")
    assert cloud.http.get("/_ctl/faults/twilio").json()[0]["times"] == 1
    assert cloud.http.delete("/_ctl/faults/twilio").json() == []


@pytest.mark.parametrize(
    "fault", [{}, {"status": 200}, {"stauts": 500}, {"delay": "long"}, {"status": 500, "times": 0}, 7]
)
def test_a_fault_that_cannot_be_is_refused(cloud: Cloud, fault: object) -> None:
    assert cloud.http.post("/_ctl/faults/stripe", json=fault).status_code == 400
    assert cloud.http.post("/_ctl/faults/visa", json={"status": 500}).status_code == 404
