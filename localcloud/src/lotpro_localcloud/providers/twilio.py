"""Twilio's Messages, which end in the inbox, and their signed status callbacks."""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lotpro_localcloud.providers.deliveries import Deliveries
from lotpro_localcloud.providers.faults import Faults
from lotpro_localcloud.providers.inbox import Inbox
from lotpro_localcloud.providers.store import Store

PROVIDER = "twilio"
#: Twilio's own magic numbers for tests (docs: Test Credentials): error by receiver, then by sender.
REFUSED_TO = {
    "+15005550001": (21211, "Invalid 'To' Phone Number"),
    "+15005550002": (21612, "The 'To' phone number is not currently reachable via SMS"),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region"),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
REFUSED_FROM = {
    "+15005550001": (21212, "Invalid 'From' Phone Number"),
    "+15005550007": (21606, "The 'From' phone number is not a valid, SMS-capable Twilio phone number"),
    "+15005550008": (21611, "This 'From' number has exceeded the maximum number of queued messages"),
}
LONGEST_BODY = 1600
#: Characters of one SMS, alone and as a part of several: GSM 03.38 and UCS-2.
_SEGMENT = {True: (160, 153), False: (70, 67)}
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_DOUBLE = frozenset("^{}\\[~]|€")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


class Refused(Exception):
    """An error in Twilio's shape."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }


class Twilio:
    """Takes text messages."""

    def __init__(
        self, store: Store, inbox: Inbox, faults: Faults, deliveries: Deliveries, secret: Callable[[str], str]
    ) -> None:
        """`secret` answers what the vault holds under a name."""
        self._store, self._inbox, self._faults, self._deliveries = store, inbox, faults, deliveries
        self._secret = secret
        deliveries.signed_by(PROVIDER, self._sign)

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/twilio/2010-04-01/Accounts/{sid}/Messages.json", self._create, methods=["POST"]),
            Route("/twilio/2010-04-01/Accounts/{sid}/Messages/{message}.json", self._fetch),
        ]

    async def _create(self, request: Request) -> Response:
        return await self._faults.around(PROVIDER, lambda: self._answer(request, self._send))

    async def _fetch(self, request: Request) -> Response:
        return await self._faults.around(PROVIDER, lambda: self._answer(request, self._get))

    async def _answer(self, request: Request, work: Callable[[Request, Mapping[str, str]], Response]) -> Response:
        try:
            self._check_account(request)
            return work(request, dict(parse_qsl((await request.body()).decode(errors="replace"))))
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)

    def _check_account(self, request: Request) -> None:
        pair = f"{request.path_params['sid']}:{self._secret('notifications-twilio-auth-token')}"
        right = b"Basic " + base64.b64encode(pair.encode())
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), right):
            raise Refused(401, 20003, "Authenticate")

    def _send(self, request: Request, form: Mapping[str, str]) -> Response:
        to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
        callback = form.get("StatusCallback", "")
        _check(to, sender, body, callback)
        sid, account = f"SM{uuid4().hex}", request.path_params["sid"]
        now = formatdate(time.time())
        message: dict[str, Any] = {
            "id": sid, "sid": sid, "account_sid": account, "to": to, "from": sender, "body": body, "status": "queued",
            "direction": "outbound-api", "num_segments": str(segments(body)), "num_media": "0",
            "api_version": "2010-04-01", "date_created": now, "date_updated": now, "date_sent": None,
            "error_code": None, "error_message": None, "messaging_service_sid": None, "price": None,
            "price_unit": "USD", "uri": f"/2010-04-01/Accounts/{account}/Messages/{sid}.json", "subresource_uris": {},
        }
        with self._store.changes():
            self._inbox.arrived("sms", sender=sender, recipient=to, body=body)
            # What arrived in the inbox is delivered: whoever fetches the message later is told so.
            self._store.put_object("twilio_message", message | {"status": "delivered", "date_sent": now})
            for status in ("sent", "delivered") if callback else ():
                told = {
                    "AccountSid": account, "ApiVersion": "2010-04-01", "From": sender, "MessageSid": sid,
                    "MessageStatus": status, "SmsSid": sid, "SmsStatus": status, "To": to,
                }
                self._deliveries.plan(PROVIDER, callback, urlencode(told))
        return JSONResponse(_shown(message), 201)

    def _get(self, request: Request, _: Mapping[str, str]) -> Response:
        found = self._store.object("twilio_message", request.path_params["message"])
        if found is None or found["account_sid"] != request.path_params["sid"]:
            raise Refused(404, 20404, f"The requested resource {request.url.path} was not found")
        return JSONResponse(_shown(found))

    def _sign(self, url: str, body: bytes) -> Mapping[str, str]:
        """Twilio signs the address followed by the sorted fields, with the account's token (HMAC-SHA1)."""
        fields = "".join(name + value for name, value in sorted(parse_qsl(body.decode(), keep_blank_values=True)))
        token = self._secret("notifications-twilio-auth-token")
        mark = hmac.new(token.encode(), (url + fields).encode(), hashlib.sha1).digest()
        return {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Twilio-Signature": base64.b64encode(mark).decode(),
        }


def segments(body: str) -> int:
    """How many SMS a text takes."""
    plain = (_GSM | _GSM_DOUBLE).issuperset(body)
    length = sum(2 if character in _GSM_DOUBLE else 1 for character in body) if plain else len(body)
    alone, part = _SEGMENT[plain]
    return 1 if length <= alone else -(-length // part)


def _check(to: str, sender: str, body: str, callback: str) -> None:
    if not to:
        raise Refused(400, 21604, "A 'To' phone number is required.")
    if not sender:
        raise Refused(400, 21603, "A 'From' phone number is required.")
    if not body:
        raise Refused(400, 21602, "Message body is required.")
    if len(body) > LONGEST_BODY:
        raise Refused(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    if sender in REFUSED_FROM:
        raise Refused(400, *REFUSED_FROM[sender])
    if to in REFUSED_TO:
        raise Refused(400, *REFUSED_TO[to])
    if not _E164.fullmatch(to):
        raise Refused(400, 21211, "Invalid 'To' Phone Number")
    if callback and urlsplit(callback).scheme not in ("http", "https"):
        raise Refused(400, 21609, "The 'StatusCallback' URL is not a valid URL.")


def _shown(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "id"}
