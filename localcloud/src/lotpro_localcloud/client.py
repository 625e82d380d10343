"""A person outside: asks the gateway, reads the mail, shows an authenticator's code; for seed, demo and tests."""

import base64
import hashlib
import hmac
import struct
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx

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

    def close(self) -> None:
        self._http.close()


def totp(secret: str, *, at: float | None = None) -> str:
    """The code an authenticator app shows for a base32 secret (RFC 6238, SHA-1, six digits)."""
    key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    counter = int((time.time() if at is None else at) // TOTP_STEP_SECONDS)
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"
