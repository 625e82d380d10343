"""Links and alerts about an account: each says what happened and leads where it can be undone."""

from datetime import timedelta
from uuid import uuid4

import pytest

from lotpro.identity.v1 import events_pb2
from lotpro_identity.alerts.domain import Topic
from lotpro_notifications.messages.alerts import words_of
from services.notifications.tests.conftest import Notifications
from services.notifications.tests.factories import delivery


@pytest.mark.parametrize(
    ("purpose", "page", "words"),
    [
        ("reset_password", "/reset-password#token=", "new password"),
        ("reset_factors", "/reset-factors#token=", "second factor"),
        ("undo_email", "/undo-email#token=", "moved away"),
        ("alert", "/not-me#token=", "was changed"),
        ("change_email", "", "new e-mail address"),
        ("confirm_factor", "", "Codes for signing in"),
    ],
)
async def test_each_mail_says_what_it_is_and_where_it_leads(
    notifications: Notifications, purpose: str, page: str, words: str
) -> None:
    challenge_id, code, address = notifications.identity.add_code(
        expires_at=notifications.clock() + timedelta(hours=1), purpose=purpose, topic="password_changed"
    )
    event = events_pb2.CodeRequested(challenge_id=str(challenge_id), user_id=str(uuid4()), purpose=purpose)
    caused = delivery()
    async with notifications.sending():
        await notifications.handle(event, caused)
        await notifications.settled(caused)
    (letter,) = notifications.providers.letters_to(address)
    plain, html = (part["value"] for part in letter["content"])
    assert words in letter["subject"] + plain
    for body in (plain, html):
        assert f"{page}{code}" in body


async def test_an_alert_does_not_stand_in_the_way_of_codes(notifications: Notifications) -> None:
    challenge_id, _, _ = notifications.identity.add_code(
        expires_at=notifications.clock() + timedelta(hours=1), purpose="alert", topic="new_device"
    )
    caused = delivery()
    event = events_pb2.CodeRequested(challenge_id=str(challenge_id), user_id=str(uuid4()), purpose="alert")
    async with notifications.sending():
        await notifications.handle(event, caused)
        (message,) = await notifications.settled(caused)
    assert message.lane == "security"


def test_every_topic_of_identity_has_words_of_its_own() -> None:
    assert len({words_of(topic) for topic in Topic}) == len(Topic)
    assert words_of("something newer").subject
