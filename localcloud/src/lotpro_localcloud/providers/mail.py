"""SendGrid's mail/send and Twilio's Messages: both end in the inbox."""

import base64
import hmac
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lotpro_localcloud.providers.faults import Faults
from lotpro_localcloud.providers.inbox import Inbox

#: Numbers of Twilio's own test range that are refused: 21211 (invalid) and 21610 (unsubscribed).
REFUSED_NUMBERS = {"+15005550001": 21211, "+15005550006": 21610}


class Mail:
    """The two message providers."""

    def __init__(self, inbox: Inbox, faults: Faults, secret: Callable[[str], str]) -> None:
        """`secret` answers what the vault holds under a name."""
        self._inbox, self._faults, self._secret = inbox, faults, secret

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/sendgrid/v3/mail/send", self._sendgrid, methods=["POST"]),
            Route("/twilio/2010-04-01/Accounts/{sid}/Messages.json", self._twilio, methods=["POST"]),
        ]

    async def _sendgrid(self, request: Request) -> Response:
        return await self._faults.around("sendgrid", lambda: self._send_mail(request))

    async def _send_mail(self, request: Request) -> Response:
        right = f"Bearer {self._secret('notifications-sendgrid-api-key')}"
        if not hmac.compare_digest(request.headers.get("authorization", ""), right):
            return _sendgrid_error(401, "The provided authorization grant is invalid, expired, or revoked")
        try:
            body = await request.json()
            recipients = [to["email"] for entry in body["personalizations"] for to in entry["to"]]
            sender = body["from"]["email"]
            subject = body.get("subject") or body["personalizations"][0]["subject"]
            content = {part["type"]: part["value"] for part in body["content"]}
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return _sendgrid_error(400, f"Bad Request: {type(error).__name__} {error}")
        if not recipients or not content:
            return _sendgrid_error(400, "The personalizations and content fields are required.")
        for recipient in recipients:
            self._inbox.arrived(
                "email", sender=sender, recipient=recipient, subject=subject, body=content.get("text/plain", ""),
                html=content.get("text/html", ""),
            )
        return Response(status_code=202, headers={"X-Message-Id": uuid4().hex[:22]})

    async def _twilio(self, request: Request) -> Response:
        return await self._faults.around("twilio", lambda: self._send_text(request))

    async def _send_text(self, request: Request) -> Response:
        sid = request.path_params["sid"]
        pair = f"{sid}:{self._secret('notifications-twilio-auth-token')}"
        right = "Basic " + base64.b64encode(pair.encode()).decode()
        if not hmac.compare_digest(request.headers.get("authorization", ""), right):
            return _twilio_error(401, 20003, "Authenticate")
        form = await request.form()
        to, sender, body = str(form.get("To", "")), str(form.get("From", "")), str(form.get("Body", ""))
        if not to.startswith("+") or not body:
            return _twilio_error(400, 21604, "A 'To' phone number and a 'Body' are required.")
        if to in REFUSED_NUMBERS:
            return _twilio_error(400, REFUSED_NUMBERS[to], "The number cannot receive this message.")
        self._inbox.arrived("sms", sender=sender, recipient=to, body=body)
        message_sid = f"SM{uuid4().hex}"
        now = formatdate(time.time())
        answer: dict[str, Any] = {
            "sid": message_sid, "account_sid": sid, "to": to, "from": sender, "body": body, "status": "queued",
            "direction": "outbound-api", "num_segments": "1", "num_media": "0", "api_version": "2010-04-01",
            "date_created": now, "date_updated": now, "date_sent": None, "error_code": None, "error_message": None,
            "messaging_service_sid": None, "price": None, "price_unit": "USD",
            "uri": f"/2010-04-01/Accounts/{sid}/Messages/{message_sid}.json", "subresource_uris": {},
        }
        return JSONResponse(answer, 201)


def _sendgrid_error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"errors": [{"message": message, "field": None, "help": None}]}, status)


def _twilio_error(status: int, code: int, message: str) -> JSONResponse:
    return JSONResponse(
        {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status},
        status,
    )
