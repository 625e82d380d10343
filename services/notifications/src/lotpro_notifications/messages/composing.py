"""Turns a queued message into what is sent: fetched and rendered at the last moment, and kept nowhere."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import lotpro_policy
from lotpro_kit import errors
from lotpro_notifications.clients.identity import CodeIsGone, Contact
from lotpro_notifications.clients.inventory import Sale
from lotpro_notifications.clients.mail import Letter
from lotpro_notifications.messages.alerts import words_of
from lotpro_notifications.messages.domain import Channel, Kind, Message
from lotpro_notifications.ports import Ports
from lotpro_notifications.templates import service as templates

#: Purposes that have a template of their own, of the same name; every other purpose reads as `code`.
_PURPOSES = frozenset(
    {
        "confirm_email", "invitation", "reset_password", "reset_factors", "change_email", "undo_email", "undo_close",
        "confirm_factor", "alert",
    }
)
#: Where the link of a purpose leads.
_PAGES = {
    "invitation": "invitations", "reset_password": "reset-password", "reset_factors": "reset-factors",
    "undo_email": "undo-email", "undo_close": "accounts/reopen", "alert": "not-me",
}


class NoAddress(errors.NotFound):
    """The person is gone, or has no address for this channel (any more)."""

    code = "notifications.no_address"
    message = "There is nowhere to send this."


@dataclass(frozen=True, slots=True, repr=False)
class Text:
    """An SMS ready to go."""

    to: str
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Composed:
    """What to send, and until when it is worth sending (None: no end of its own)."""

    content: Letter | Text
    expires_at: datetime | None = None

    @property
    def channel(self) -> Channel:
        """How it travels."""
        return Channel.EMAIL if isinstance(self.content, Letter) else Channel.SMS


async def compose(ports: Ports, message: Message) -> Composed:
    """The message as it goes out now.

    Raises CodeIsGone, NoAddress, NotFound for what no longer exists, and Unavailable when a service is away.
    """
    match message.kind:
        case Kind.CODE:
            return await _code(ports, message)
        case Kind.VEHICLE_SOLD:
            return await _vehicle_sold(ports, message)
        case Kind.REQUEST_ANSWERED:
            return await _request_answered(ports, message)
        case Kind.ACCOUNT_INACTIVE:
            return await _account_inactive(ports, message)
        case Kind.ACCOUNT_REMOVED:
            return await _account_removed(ports, message)
        case Kind.ALERT_RAISED:
            return await _alert_raised(ports, message)


async def _code(ports: Ports, message: Message) -> Composed:
    revealed = await ports.identity.reveal_code(message.about_id)
    if revealed.expires_at <= ports.clock():
        raise CodeIsGone
    facts = {
        "code": revealed.code,
        "expires": _when(revealed.expires_at, now=ports.clock()),
        "organisation_name": revealed.organisation_name or "A dealer",
        # A fragment never leaves the browser: the token is in no server's log.
        "link": f"{ports.public_url}/{_PAGES.get(revealed.purpose, '')}#token={revealed.code}",
        "what": words_of(revealed.topic),
    }
    content: Letter | Text
    if revealed.channel == Channel.SMS:
        # A link would not fit: it stands in the e-mail about the same.
        kind = "alert" if revealed.purpose == "alert" else "code"
        content = Text(revealed.address, templates.render_sms(kind, facts))
    else:
        content = _letter(revealed.address, revealed.purpose if revealed.purpose in _PURPOSES else "code", facts)
    return Composed(content, revealed.expires_at)


async def _vehicle_sold(ports: Ports, message: Message) -> Composed:
    if message.org_id is None:
        raise errors.NotFound
    contact, sale = await asyncio.gather(
        _contact(ports, message.user_id), ports.inventory.sale(message.org_id, message.about_id)
    )
    facts = {
        "name": contact.name,
        "vehicle": _vehicle(sale),
        "vin": sale.vin,
        "stock_number": sale.stock_number,
        "price": _price(sale.price_amount, sale.price_currency),
        "sold": _when(sale.sold_at),
        "link": f"{ports.public_url}/vehicles?q={quote(sale.stock_number)}",
    }
    if message.channel is Channel.SMS:
        if not contact.phone:
            raise NoAddress
        return Composed(Text(contact.phone, templates.render_sms("vehicle_sold", facts)))
    return Composed(_letter(contact.email, "vehicle_sold", facts))


async def _request_answered(ports: Ports, message: Message) -> Composed:
    contact = await _contact(ports, message.user_id)
    facts = {"name": contact.name, "link": f"{ports.public_url}/privacy/requests/{message.about_id}"}
    return Composed(_letter(contact.email, "request_answered", facts))


async def _account_inactive(ports: Ports, message: Message) -> Composed:
    contact = await _contact(ports, message.user_id)
    end = message.created_at + timedelta(days=message.days_left or 0)
    facts = {
        "name": contact.name, "days_left": message.days_left, "end": f"{end.day} {end:%B %Y}",
        "link": f"{ports.public_url}/sign-in",
    }
    return Composed(_letter(contact.email, "account_inactive", facts))


async def _account_removed(ports: Ports, message: Message) -> Composed:
    contact = await _contact(ports, message.user_id)
    facts = {"name": contact.name, "privacy_email": lotpro_policy.policy().contacts.privacy_email}
    return Composed(_letter(contact.email, "account_removed", facts))


async def _alert_raised(ports: Ports, message: Message) -> Composed:
    contact = await _contact(ports, message.user_id)
    facts = {
        "name": contact.name, "event_count": message.event_count or 1, "raised": _when(message.created_at),
        "link": f"{ports.public_url}/security/alerts/{message.about_id}",
    }
    return Composed(_letter(contact.email, "alert_raised", facts))


async def _contact(ports: Ports, user_id: UUID | None) -> Contact:
    found = await ports.identity.contacts([user_id]) if user_id is not None else {}
    if user_id is None or user_id not in found:
        raise NoAddress
    return found[user_id]


def _letter(to: str, template: str, facts: Mapping[str, Any]) -> Letter:
    if not to:
        raise NoAddress
    rendered = templates.render_mail(template, facts)
    return Letter(to=to, subject=rendered.subject, html=rendered.html, text=rendered.text)


def _vehicle(sale: Sale) -> str:
    return " ".join(str(part) for part in (sale.year or "", sale.make, sale.model) if part) or "A vehicle"


def _price(amount: int, currency: str) -> str:
    """Minor units as people read them: 2599500 USD -> `USD 25,995.00`; the dealer's currencies have two decimals."""
    return f"{currency} {amount // 100:,}.{amount % 100:02}"


def _when(moment: datetime, *, now: datetime | None = None) -> str:
    """`15:32 UTC` on the day of `now`, else with the date."""
    if now is not None and moment.date() == now.date():
        return f"{moment:%H:%M} UTC"
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
