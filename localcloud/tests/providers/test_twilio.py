"""Text messages that Twilio's own SDK sends reach the inbox; callbacks are signed so that its validator agrees."""

from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from localcloud.tests.providers.conftest import SECRETS, Cloud
from lotpro_kit import testing
from lotpro_localcloud.providers.twilio import segments

ACCOUNT = "AC" + "1" * 32
TOKEN = SECRETS["notifications-twilio-auth-token"]
SENDER = "+15005550006"


def number() -> str:
    return f"+1402{uuid4().int % 10**7:07d}"


def client(cloud: Cloud, token: str = TOKEN) -> Client:
    found = Client(ACCOUNT, token)
    found.api.base_url = f"{cloud.url}/twilio"
    return found


def test_a_text_that_the_sdk_sends_reaches_the_inbox(cloud: Cloud) -> None:
    to = number()
    sent = client(cloud).messages.create(to=to, from_=SENDER, body="Your code is 123456.")
    assert (sent.status, sent.to, sent.from_, sent.num_segments) == ("queued", to, SENDER, "1")
    assert sent.date_created is not None
    (message,) = cloud.inbox(to)
    assert (message["kind"], message["text"], message["from"]) == ("sms", "Your code is 123456.", SENDER)


def test_a_text_can_be_fetched_and_is_delivered(cloud: Cloud) -> None:
    sent = client(cloud).messages.create(to=number(), from_=SENDER, body="x")
    assert client(cloud).messages(sent.sid).fetch().status == "delivered"
    with pytest.raises(TwilioRestException) as refused:
        client(cloud).messages("SM" + "0" * 32).fetch()
    assert (refused.value.status, refused.value.code) == (404, 20404)


def test_a_wrong_token_is_refused(cloud: Cloud) -> None:
    to = number()
    with pytest.raises(TwilioRestException) as refused:
        client(cloud, "wrong").messages.create(to=to, from_=SENDER, body="x")
    assert (refused.value.status, refused.value.code) == (401, 20003)
    assert cloud.inbox(to) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "+15005550001"}, 21211),
        ({"to": "+15005550004"}, 21610),
        ({"to": "+15005550009"}, 21614),
        ({"to": "12345"}, 21211),
        ({"from_": "+15005550007"}, 21606),
        ({"body": "x" * 1601}, 21617),
        ({"body": ""}, 21602),
        ({"status_callback": "nowhere"}, 21609),
    ],
)
def test_twilios_magic_numbers_and_wrong_fields_are_refused(cloud: Cloud, fields: dict[str, str], code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        client(cloud).messages.create(**{"to": number(), "from_": SENDER, "body": "x", **fields})
    assert (refused.value.status, refused.value.code) == (400, code)


async def test_callbacks_come_signed_until_the_text_is_delivered(cloud: Cloud) -> None:
    url = cloud.receiver.url("/twilio?id=7")
    sent = client(cloud).messages.create(to=number(), from_=SENDER, body="x", status_callback=url)

    async def both() -> Any:
        found = cloud.receiver.on("/twilio?id=7", sent.sid)
        return found if len(found) == 2 else None

    told = [(one, dict(parse_qsl(one.body.decode()))) for one in await testing.eventually(both)]
    assert {fields["MessageStatus"] for _, fields in told} == {"sent", "delivered"}
    validator = RequestValidator(TOKEN)
    for one, fields in told:
        assert validator.validate(url, fields, one.headers["x-twilio-signature"])
        assert not validator.validate(url, {**fields, "MessageStatus": "failed"}, one.headers["x-twilio-signature"])


@pytest.mark.parametrize(
    ("text", "parts"), [("x" * 160, 1), ("x" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("ж" * 70, 1), ("ж" * 71, 2)]
)
def test_a_text_takes_as_many_parts_as_its_alphabet_allows(text: str, parts: int) -> None:
    assert segments(text) == parts
