"""The inbox shows everything that was sent, newest first, and lets nothing in a mail run."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from localcloud.tests.providers.conftest import SECRETS, Cloud
from localcloud.tests.providers.test_sendgrid import address, post


def send(cloud: Cloud, to: str, subject: str, text: str = "text", html: str = "") -> None:
    content = [{"type": "text/plain", "value": text}, *([{"type": "text/html", "value": html}] if html else [])]
    mail: dict[str, Any] = {
        "personalizations": [{"to": [{"email": to}]}], "from": {"email": "no-reply@lotpro.space"}, "subject": subject,
        "content": content,
    }
    assert post(cloud, mail).status_code == 202


def text_to(cloud: Cloud, number: str, body: str) -> None:
    answer = cloud.http.post(
        "/twilio/2010-04-01/Accounts/AC1/Messages.json", data={"To": number, "From": "+15005550006", "Body": body},
        auth=("AC1", SECRETS["notifications-twilio-auth-token"]),
    )
    assert answer.status_code == 201, answer.text


def test_messages_come_newest_first_and_only_the_new_ones_when_asked(cloud: Cloud) -> None:
    to = address()
    for subject in ("first", "second", "third"):
        send(cloud, to, subject)
    found = cloud.inbox(to.upper())
    assert [message["subject"] for message in found] == ["third", "second", "first"]
    newer = cloud.http.get("/inbox/messages", params={"to": to, "after": found[1]["number"]}).json()
    assert [message["subject"] for message in newer] == ["third"]
    assert cloud.http.get(f"/inbox/messages/{found[0]['id']}").json() == found[0]
    assert cloud.http.get("/inbox/messages/none").status_code == 404


def test_mails_and_texts_are_told_apart_and_searched_alike(cloud: Cloud) -> None:
    word = address().partition("@")[0]
    send(cloud, "a@example.com", f"100% {word}")
    text_to(cloud, "+14025550188", f"sms {word}_x")

    def found(**asked: str) -> list[str]:
        return [message["kind"] for message in cloud.http.get("/inbox/messages", params=asked).json()]

    assert found(q=word.upper()) == ["sms", "email"]
    assert found(q=word, kind="sms") == ["sms"]
    assert found(q=f"100% {word}") == ["email"]
    assert found(q=f"100_ {word}") == found(q=f"{word}%") == []


def test_a_wrong_question_is_refused(cloud: Cloud) -> None:
    assert cloud.http.get("/inbox/messages", params={"after": "yesterday"}).status_code == 400


def test_a_mail_is_shown_where_nothing_of_it_can_run(cloud: Cloud) -> None:
    to = address()
    send(cloud, to, "s", html='<script>alert(1)</script><a href="https://lotpro.space">go</a>')
    (mail,) = cloud.inbox(to)
    shown = cloud.http.get(f"/inbox/messages/{mail['id']}/html")
    policy = shown.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert shown.text.startswith('<base target="_blank">')
    assert shown.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/inbox", "/inbox/inbox.js", "/inbox/inbox.css", "/inbox/icon.svg"])
def test_the_page_has_all_its_parts(cloud: Cloud, path: str) -> None:
    assert cloud.http.get(path).status_code == 200
    assert cloud.http.get("/inbox/other.py").status_code == 404


def test_the_page_runs_its_own_script_only(cloud: Cloud) -> None:
    policy = cloud.http.get("/", follow_redirects=True).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_a_page_of_the_web_that_points_its_name_here_reads_nothing(cloud: Cloud) -> None:
    assert cloud.http.get("/inbox/messages", headers={"host": "evil.example"}).status_code == 400


def test_whoever_watches_is_told_of_an_arrival(cloud: Cloud) -> None:
    with httpx.stream("GET", f"{cloud.url}/inbox/events", timeout=10, trust_env=False) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": hello"
        _later(lambda: send(cloud, address(), "s"))
        assert next(line for line in lines if line.startswith("event")) == "event: changed"


def _later(work: Callable[[], None]) -> None:
    threading.Thread(target=work).start()
