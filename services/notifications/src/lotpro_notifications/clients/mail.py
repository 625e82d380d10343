"""E-mail through SendGrid: its own message builder, sent with httpx because its client only works synchronously."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import httpx
from sendgrid.helpers.mail import ClickTracking, CustomArg, From, Mail, OpenTracking, TrackingSettings
from sendgrid.helpers.mail import To as Recipient

from lotpro_notifications.clients.outcome import NotTaken, Rejected, posting
from lotpro_notifications.settings import Settings

SENDER_NAME = "lotPro"


@dataclass(frozen=True, slots=True)
class Letter:
    """An e-mail ready to go, in both forms."""

    to: str
    subject: str
    html: str
    text: str


class Post(Protocol):
    """Takes e-mails."""

    async def send(self, letter: Letter, *, message_id: UUID) -> str:
        """Send an e-mail and answer the provider's id; raises NotTaken, Rejected and Ambiguous."""
        ...


class SendGrid:
    """SendGrid's v3 API; our message id goes along, for what SendGrid later says about the message."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings) -> None:
        self._http, self._settings = http, settings

    async def send(self, letter: Letter, *, message_id: UUID) -> str:
        answer = await posting(
            self._http.post(
                f"{self._settings.sendgrid_api_url}/v3/mail/send",
                json=self._mail(letter, message_id).get(),
                headers={"authorization": f"Bearer {self._settings.sendgrid_api_key.get_secret_value()}"},
            )
        )
        if answer.status_code == 202:
            return str(answer.headers.get("x-message-id", ""))
        if answer.status_code in (401, 403):
            # Our key is wrong, not the message: it waits until that is put right.
            raise NotTaken("notifications.unauthorised")
        raise Rejected("notifications.mail_rejected")

    def _mail(self, letter: Letter, message_id: UUID) -> Mail:
        mail = Mail(
            from_email=From(self._settings.sender_address, SENDER_NAME),
            to_emails=Recipient(letter.to),
            subject=letter.subject,
            plain_text_content=letter.text,
            html_content=letter.html,
        )
        mail.add_custom_arg(CustomArg("message_id", str(message_id)))
        # Tracked links would hand invitation tokens to the provider's redirector; we do not track who opens what.
        mail.tracking_settings = TrackingSettings(
            click_tracking=ClickTracking(False, False), open_tracking=OpenTracking(False)
        )
        return mail
