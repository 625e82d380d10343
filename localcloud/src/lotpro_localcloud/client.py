"""A person outside: asks the gateway, reads the mail, shows an authenticator's code; for seed, demo and tests."""

import base64
import hashlib
import hmac
import re
import struct
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

IDENTITY = "/api/identity/v1"
INVENTORY = "/api/inventory/v1"

Json = dict[str, Any]
#: RFC 6238: a new code every 30 seconds.
TOTP_STEP_SECONDS = 30


class Refused(Exception):
    """The gateway did not answer as it should have; the text says what it answered."""

    def __init__(self, asked: str, answer: httpx.Response) -> None:
        super().__init__(f"{asked} answered {answer.status_code}: {answer.text[:600]}")
        self.status = answer.status_code
        self.code = _code_of(answer)


def _code_of(answer: httpx.Response) -> str:
    if "json" not in answer.headers.get("content-type", ""):
        return ""
    body = answer.json()
    return str(body.get("code", "")) if isinstance(body, dict) else ""


class Gateway:
    """One person's way to the gateway: plain requests, and signed-in ones once `token` is set."""

    def __init__(self, url: str) -> None:
        # The person's proxy settings have no place on the loopback.
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self.token = ""

    def ask(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        expect: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """The JSON answered; raises Refused unless the status is `expect`."""
        answer = self.send(method, path, body, headers=headers)
        if answer.status_code != expect:
            raise Refused(f"{method} {path}", answer)
        return answer.json() if answer.content else {}

    def send(
        self, method: str, path: str, body: Json | None = None, *, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The answer, whatever it is. Waits as told when the gateway or a service asks to slow down."""
        sent = dict(headers or {})
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        if method == "POST":
            sent.setdefault("idempotency-key", str(uuid4()))
        while True:
            answer = self._http.request(method, path, json=body, headers=sent)
            if answer.status_code != 429 or answer.json().get("code") != "gateway.rate_limited":
                return answer
            time.sleep(float(answer.headers.get("retry-after", "1")))

    def move(self, url: str) -> None:
        """Ask another address from now on."""
        self._http.base_url = httpx.URL(url)

    def close(self) -> None:
        self._http.close()


def totp(secret: str, *, at: float | None = None) -> str:
    """The code an authenticator app shows for a base32 secret (RFC 6238, SHA-1, six digits)."""
    key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    counter = int((time.time() if at is None else at) // TOTP_STEP_SECONDS)
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


class Person:
    """Somebody with an account: what they know, and the tokens they have been given."""

    def __init__(self, gateway: Gateway, name: str, email: str, password: str, phone: str = "") -> None:
        self.gateway = gateway
        self.name, self.email, self.password, self.phone = name, email, password, phone
        self.totp_secret = ""
        self._last_step = 0
        self._refresh_token = ""
        self._expires = 0.0

    def ask(
        self, method: str, path: str, body: Json | None = None, *, expect: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Ask as oneself; an access token that is about to end is renewed before."""
        if self._refresh_token and time.time() > self._expires - 30:
            self.refresh()
        return self.gateway.ask(method, path, body, expect=expect, headers=headers)

    def sign_up(self, *, organisation: str, store: str, time_zone: str) -> None:
        """Open an account with its organisation and first store."""
        body: Json = {
            "name": self.name, "email": self.email, "password": self.password,
            "organisation": {"name": organisation}, "store": {"name": store, "time_zone": time_zone},
        }
        if self.phone:
            body["phone"] = self.phone
        self.gateway.ask("POST", f"{IDENTITY}/accounts", body, expect=202)

    def confirm_email(self, code: str) -> None:
        """Confirm the address; what is answered only lets one enrol a second factor."""
        body = {"email": self.email, "code": code, "password": self.password}
        answer = self.gateway.ask("POST", f"{IDENTITY}/accounts:confirm-email", body)
        self.gateway.token = answer["access_token"]

    def accept_invitation(self, token: str) -> None:
        """Join an organisation; what is answered only lets one enrol a second factor."""
        body = {"token": token, "name": self.name, "password": self.password}
        self.gateway.token = self.gateway.ask("POST", f"{IDENTITY}/invitations:accept", body)["access_token"]

    def begin_totp(self) -> None:
        """Add an authenticator app; it counts once a code of it was shown."""
        self.totp_secret = self.gateway.ask("POST", f"{IDENTITY}/factors/totp", expect=201)["secret"]

    def confirm_totp(self) -> list[str]:
        """Show the app's first code; answers the recovery codes. That begins a session too."""
        answer = self.gateway.ask("POST", f"{IDENTITY}/factors/totp:confirm", {"code": self.fresh_code()})
        self._take(answer)
        codes: list[str] = answer["recovery_codes"]
        return codes

    def sign_in(self) -> bool:
        """Password, then the authenticator's code; False when there is none yet, and a code to confirm was mailed."""
        self.gateway.token = self._refresh_token = ""
        step = self.gateway.ask("POST", f"{IDENTITY}/sessions", {"email": self.email, "password": self.password})
        if step["status"] == "confirmation_required":
            return False
        self._take(
            self.gateway.ask("POST", f"{IDENTITY}/sessions", {"ticket": step["ticket"], "totp": self.fresh_code()})
        )
        return True

    def refresh(self) -> None:
        """Get a new access token; roles that were given since are in it."""
        self.gateway.token = ""
        self._take(self.gateway.ask("POST", f"{IDENTITY}/sessions:refresh", {"refresh_token": self._refresh_token}))

    def fresh_code(self) -> str:
        """A code that was not used before; identity takes each once, one step early or late. Waits when it must."""
        step = max(self._last_step + 1, int(time.time() // TOTP_STEP_SECONDS) - 1)
        while step > time.time() // TOTP_STEP_SECONDS + 1:
            time.sleep(0.2)
        self._last_step = step
        return totp(self.totp_secret, at=step * TOTP_STEP_SECONDS)

    def _take(self, session: Json) -> None:
        self.gateway.token, self._refresh_token = session["access_token"], session["refresh_token"]
        self._expires = time.time() + float(session["expires_in"])


@dataclass(frozen=True, slots=True)
class Message:
    """A message that came in: an e-mail, or an SMS, which has no subject."""

    id: str
    to: str
    subject: str
    text: str


class NoSuchMessage(AssertionError):
    """A message that should have come did not."""


class Inbox:
    """The inbox that all local mail and text messages end in, read as a person would who knows their address."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def move(self, url: str) -> None:
        """Ask another address from now on."""
        self._http.base_url = httpx.URL(url)

    def close(self) -> None:
        self._http.close()

    def messages(self, to: str) -> list[Message]:
        """All messages to an address or number, the newest first."""
        answer = self._http.get("/inbox/messages", params={"to": to})
        answer.raise_for_status()
        return [Message(item["id"], item["to"], item["subject"], item["text"]) for item in answer.json()]

    def wait_for(self, to: str, *, containing: str, within: float, besides: Collection[str] = ()) -> Message:
        """The newest message to somebody in whose subject or text these words stand; raises NoSuchMessage.

        `besides` are the ids of messages that came before, and are not it.
        """
        deadline = time.monotonic() + within
        while True:
            found = self.messages(to)
            for message in found:
                if message.id not in besides and containing.lower() in f"{message.subject}\n{message.text}".lower():
                    return message
            if time.monotonic() > deadline:
                there = [message.subject or message.text for message in found]
                raise NoSuchMessage(f"no message with “{containing}” came within {within} s; there are: {there}")
            time.sleep(0.05)


def code_in(mail: Message) -> str:
    """The one-time code in a message."""
    found = re.search(r"\b(\d{6})\b", mail.text)
    assert found, f"no code of six digits in: {mail.text}"
    return found.group(1)


def invitation_in(mail: Message) -> str:
    """The token in an invitation's link."""
    found = re.search(r"#token=([\w-]{40,100})", mail.text)
    assert found, f"no invitation link in: {mail.text}"
    return found.group(1)
