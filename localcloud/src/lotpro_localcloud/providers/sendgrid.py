"""SendGrid's v3 mail/send, which ends in the inbox, and its signed event webhook."""

import base64
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lotpro_localcloud.providers.deliveries import Deliveries
from lotpro_localcloud.providers.faults import Faults
from lotpro_localcloud.providers.inbox import Inbox
from lotpro_localcloud.providers.store import Store

PROVIDER = "sendgrid"
#: SendGrid's own limits: recipients of a request, and bytes of it.
MOST_RECIPIENTS = 1000
LARGEST_BYTES = 30 * 2**20
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;.]+")

Json = dict[str, Any]


class Refused(Exception):
    """An error in SendGrid's shape; `field` is the path of what is wrong."""

    def __init__(self, message: str, field: str | None = None, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errors": [{"message": message, "field": field, "help": None}]}


class SendGrid:
    """Takes e-mails."""

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        faults: Faults,
        deliveries: Deliveries,
        secret: Callable[[str], str],
        *,
        key_file: Path,
        event_url: str,
    ) -> None:
        """`secret` answers what the vault holds under a name; events go to `event_url`, to nobody if it is empty."""
        self._store, self._inbox, self._faults, self._deliveries = store, inbox, faults, deliveries
        self._secret, self._event_url = secret, event_url
        self._key = _key(key_file)
        deliveries.signed_by(PROVIDER, self._sign)

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/sendgrid/v3/mail/send", self._mail_send, methods=["POST"]),
            Route("/sendgrid/v3/user/webhooks/event/settings/signed", self._signing_key),
        ]

    async def _mail_send(self, request: Request) -> Response:
        return await self._faults.around(PROVIDER, lambda: self._answer(request))

    async def _answer(self, request: Request) -> Response:
        try:
            self._check_key(request)
            mail = _checked(await request.body())
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)
        message_id = uuid4().hex[:22]
        if mail.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return Response(status_code=200)
        with self._store.changes():
            self._deliver(mail, message_id)
        return Response(status_code=202, headers={"X-Message-Id": message_id})

    def _check_key(self, request: Request) -> None:
        right = f"Bearer {self._secret('notifications-sendgrid-api-key')}"
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), right.encode()):
            raise Refused("The provided authorization grant is invalid, expired, or revoked", status=401)

    def _deliver(self, mail: Json, message_id: str) -> None:
        content = {part["type"]: part["value"] for part in mail["content"]}
        for personalization in mail["personalizations"]:
            subject = personalization.get("subject") or mail["subject"]
            told: Mapping[str, str] = personalization.get("substitutions") or {}
            for _, recipient in _recipients(personalization):
                self._inbox.arrived(
                    "email", sender=mail["from"]["email"], recipient=recipient, subject=_filled(subject, told),
                    body=_filled(content.get("text/plain", ""), told), html=_filled(content.get("text/html", ""), told),
                )
                if self._event_url:
                    custom = {**mail.get("custom_args", {}), **personalization.get("custom_args", {})}
                    events = [_event(kind, recipient, message_id, custom) for kind in ("processed", "delivered")]
                    self._deliveries.plan(PROVIDER, self._event_url, json.dumps(events))

    def _sign(self, _: str, body: bytes) -> Mapping[str, str]:
        stamp = str(int(time.time()))
        signature = self._key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
        }

    async def _signing_key(self, request: Request) -> Response:
        """The public half of the key that signs events, as SendGrid's settings tell it."""
        try:
            self._check_key(request)
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return JSONResponse({"public_key": base64.b64encode(der).decode()})


def _checked(body: bytes) -> Json:
    """The mail; raises Refused as SendGrid would."""
    if len(body) > LARGEST_BYTES:
        raise Refused("The request is too large.", status=413)
    try:
        mail = json.loads(body)
    except ValueError:
        mail = None
    if not isinstance(mail, dict):
        raise Refused("Bad Request")
    try:
        _check(mail)
    except (AttributeError, KeyError, TypeError, IndexError):
        raise Refused("Bad Request: a field has the wrong type.") from None
    return mail


def _check(mail: Json) -> None:
    personalizations = mail.get("personalizations")
    if not personalizations:
        raise Refused(
            "The personalizations field is required and must have at least one personalization.", "personalizations"
        )
    seen = 0
    for number, personalization in enumerate(personalizations):
        place = f"personalizations.{number}"
        if not personalization.get("to"):
            raise Refused(
                "The to array is required for all personalization objects, and must have at least one email object"
                " with a valid email address.", f"{place}.to",
            )
        addresses = _recipients(personalization)
        for path, address in addresses:
            _check_address(address, f"{place}.{path}.email")
        if len({address.lower() for _, address in addresses}) < len(addresses):
            raise Refused(
                "Each email address in the personalization block should be unique between to, cc, and bcc.", place
            )
        seen += len(addresses)
    if seen > MOST_RECIPIENTS:
        raise Refused("A maximum of 1000 recipients is allowed for each request.", "personalizations")
    if not (mail.get("from") or {}).get("email"):
        raise Refused(
            "The from object must be provided for every email send. It is an object that requires the email parameter,"
            " but may also contain a name parameter.", "from.email",
        )
    _check_address(mail["from"]["email"], "from.email")
    if not mail.get("subject") and not all(personalization.get("subject") for personalization in personalizations):
        raise Refused(
            "The subject is required. You can get around this requirement if you use a template with a subject defined"
            " or if every personalization has a subject defined.", "subject",
        )
    _check_content(mail.get("content"))


def _check_content(content: Any) -> None:
    if not content:
        raise Refused(
            "Unless a valid template_id is provided, the content parameter is required. There must be at least one"
            " defined content block.", "content",
        )
    for number, part in enumerate(content):
        if not isinstance(part.get("type"), str) or not isinstance(part.get("value"), str) or not part["value"]:
            raise Refused(
                "The content value must be a string at least one character in length.", f"content.{number}.value"
            )
    kinds = [part["type"] for part in content]
    if "text/plain" in kinds[1:]:
        raise Refused(
            "If present, text/plain must be first, followed by text/html, followed by any other content.", "content"
        )


def _check_address(address: object, field: str) -> None:
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address) or len(address) > 320:
        raise Refused("Does not contain a valid address.", field)


def _recipients(personalization: Json) -> list[tuple[str, str]]:
    """(path, address) of everybody a personalization goes to."""
    return [
        (f"{kind}.{number}", person["email"])
        for kind in ("to", "cc", "bcc")
        for number, person in enumerate(personalization.get(kind) or ())
    ]


def _filled(text: str, told: Mapping[str, str]) -> str:
    for mark, value in told.items():
        text = text.replace(mark, value)
    return text


def _event(kind: str, recipient: str, message_id: str, custom: Mapping[str, str]) -> Json:
    return {
        **custom, "email": recipient, "timestamp": int(time.time()), "event": kind, "sg_event_id": uuid4().hex,
        "sg_message_id": f"{message_id}.recvd-local-1-0.0", "smtp-id": f"<{message_id}@localhost>",
        **({"response": f"250 OK {formatdate()}"} if kind == "delivered" else {}),
    }


def _key(file: Path) -> ec.EllipticCurvePrivateKey:
    """SendGrid signs with a key on P-256, made once."""
    if not file.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_bytes(
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    found = serialization.load_pem_private_key(file.read_bytes(), None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{file.name} holds another kind of key")
    return found
