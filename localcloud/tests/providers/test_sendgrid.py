"""E-mails that SendGrid's own SDK sends reach the inbox; events are signed so that its verifier agrees."""

import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from python_http_client.exceptions import BadRequestsError, UnauthorizedError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.eventwebhook import EventWebhook
from sendgrid.helpers.mail import CustomArg, From, Mail, MailSettings, SandBoxMode, To

from localcloud.tests.providers.conftest import SECRETS, Cloud
from lotpro_kit import testing

KEY = SECRETS["notifications-sendgrid-api-key"]


def address() -> str:
    return f"{uuid4().hex}@example.com"


def letter(*to: str) -> Mail:
    return Mail(
        From("no-reply@lotpro.space", "lotPro"), [To(one) for one in to], "Your code", "It is 123456.",
        "<p>It is 123456.</p>",
    )


def client(cloud: Cloud, key: str = KEY) -> SendGridAPIClient:
    return SendGridAPIClient(key, host=f"{cloud.url}/sendgrid")


def post(cloud: Cloud, mail: Any, key: str = KEY) -> httpx.Response:
    """As notifications sends."""
    return cloud.http.post("/sendgrid/v3/mail/send", json=mail, headers={"authorization": f"Bearer {key}"})


def test_a_mail_that_the_sdk_sends_reaches_the_inbox(cloud: Cloud) -> None:
    to = address()
    answer = client(cloud).send(letter(to))
    assert answer.status_code == 202
    assert answer.headers["X-Message-Id"]
    (mail,) = cloud.inbox(to)
    assert (mail["kind"], mail["from"], mail["to"]) == ("email", "no-reply@lotpro.space", to)
    assert (mail["subject"], mail["text"], mail["html"]) == ("Your code", "It is 123456.", "<p>It is 123456.</p>")


def test_each_of_several_people_gets_their_own(cloud: Cloud) -> None:
    first, second = address(), address()
    assert post(cloud, letter(first, second).get()).status_code == 202
    assert len(cloud.inbox(first)) == len(cloud.inbox(second)) == 1


def test_a_wrong_key_is_refused(cloud: Cloud) -> None:
    to = address()
    with pytest.raises(UnauthorizedError):
        client(cloud, "SG.wrong").send(letter(to))
    assert cloud.inbox(to) == []


def test_sandbox_mode_checks_and_sends_nothing(cloud: Cloud) -> None:
    to = address()
    mail = letter(to)
    mail.mail_settings = MailSettings(sandbox_mode=SandBoxMode(enable=True))
    assert client(cloud).send(mail).status_code == 200
    assert cloud.inbox(to) == []


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in letter("a@example.com").get().items() if key != name}


@pytest.mark.parametrize(
    ("mail", "field"),
    [
        (without("personalizations"), "personalizations"),
        (without("from"), "from.email"),
        (without("subject"), "subject"),
        (without("content"), "content"),
        (without("x") | {"personalizations": [{"to": []}]}, "personalizations.0.to"),
        (without("x") | {"personalizations": [{"to": [{"email": "nobody"}]}]}, "personalizations.0.to.0.email"),
        (
            without("x") | {"personalizations": [{"to": [{"email": "a@b.example"}], "cc": [{"email": "A@b.example"}]}]},
            "personalizations.0",
        ),
        (without("x") | {"content": [{"type": "text/html", "value": ""}]}, "content.0.value"),
        (
            without("x") | {"content": [{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "x"}]},
            "content",
        ),
        (without("x") | {"personalizations": 7}, None),
        ([], None),
    ],
)
def test_a_wrong_mail_is_refused_with_the_field_that_is_wrong(cloud: Cloud, mail: Any, field: str | None) -> None:
    answer = post(cloud, mail)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_the_sdk_tells_a_refusal(cloud: Cloud) -> None:
    with pytest.raises(BadRequestsError):
        client(cloud).send(Mail(From("no-reply@lotpro.space"), To("nobody@nowhere"), "s", "t"))


async def test_events_come_back_signed_and_name_our_id(cloud: Cloud) -> None:
    to = address()
    mail = letter(to)
    mail.add_custom_arg(CustomArg("message_id", "our-id"))
    message_id = client(cloud).send(mail).headers["X-Message-Id"]

    async def come() -> Any:
        return cloud.receiver.on("/sendgrid", to)

    (event,) = await testing.eventually(come)
    verifier = EventWebhook(client(cloud).client.user.webhooks.event.settings.signed.get().to_dict["public_key"])
    signature = event.headers["x-twilio-email-event-webhook-signature"]
    stamp = event.headers["x-twilio-email-event-webhook-timestamp"]
    assert verifier.verify_signature(event.body.decode(), signature, stamp)
    assert not verifier.verify_signature(event.body.decode() + " ", signature, stamp)
    assert abs(time.time() - int(stamp)) < 10
    told = json.loads(event.body)
    assert [one["event"] for one in told] == ["processed", "delivered"]
    assert all(one["message_id"] == "our-id" and one["sg_message_id"].startswith(message_id) for one in told)
    assert len({one["sg_event_id"] for one in told}) == 2
