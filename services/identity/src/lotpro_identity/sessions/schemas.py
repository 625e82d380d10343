"""HTTP shapes of sessions."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, model_validator

from lotpro_identity.accounts.schemas import Code, Email, Password
from lotpro_identity.challenges.domain import Channel
from lotpro_kit.api import Answer, Body


class Transport(StrEnum):
    """How tokens come: in the body (mobile, curl) or as cookies (web)."""

    BODY = "body"
    COOKIE = "cookie"


class Enrolment(Answer):
    """A token that opens nothing but the enrolment of a second factor."""

    status: str = Field(default="enrolment_required", examples=["enrolment_required"])
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="Seconds.")


#: The answer of step one that step two shows.
Ticket = Annotated[str, Field(max_length=2048)]


class PasskeyProof(Body):
    """The authenticator's answer to a ceremony (`POST /sessions:begin-passkey`)."""

    ceremony_id: UUID
    credential: Annotated[dict[str, Any], Field(max_length=16)]


class SignIn(Body):
    """E-mail and password (with or without a second factor), the ticket of step one with a factor, or a passkey alone.

    `trust_device` asks for a device token: with it the password is enough here for up to 90 days. `stay_signed_in` lets
    a browser keep the session's cookie for 30 days; without it the cookie ends with the browser.
    """

    email: Email | None = None
    password: Password | None = None
    ticket: Ticket | None = None
    totp: Code | None = None
    sms_code: Code | None = None
    email_code: Code | None = None
    recovery_code: Annotated[str, Field(max_length=64)] | None = None
    passkey: PasskeyProof | None = None
    trust_device: bool = False
    stay_signed_in: bool = False
    device_token: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Of a trusted device; web clients have it in a cookie."
    )
    transport: Transport = Transport.BODY

    @property
    def factor(self) -> str:
        """The one factor given, or nothing."""
        given = {
            "totp": self.totp, "sms": self.sms_code, "email": self.email_code, "recovery_code": self.recovery_code,
            "passkey": self.passkey,
        }
        return next((name for name, value in given.items() if value is not None), "")

    @model_validator(mode="after")
    def _one_way_in(self) -> "SignIn":
        password = self.email is not None and self.password is not None
        if not password and (self.email is not None or self.password is not None):
            raise ValueError("Send email and password together.")
        if password and self.ticket is not None:
            raise ValueError("Send email and password, or the ticket of the first step.")
        if not password and self.ticket is None and self.passkey is None:
            raise ValueError("Send email and password, the ticket of the first step, or a passkey.")
        if self.ticket is not None and not self.factor:
            raise ValueError("Send a second factor with the ticket.")
        if self.ticket is None and (self.sms_code is not None or self.email_code is not None):
            raise ValueError("Send the ticket that the code was asked for with.")
        factors = (self.totp, self.sms_code, self.email_code, self.recovery_code, self.passkey)
        if sum(value is not None for value in factors) > 1:
            raise ValueError("Send one second factor.")
        return self


class BeginPasskey(Body):
    """The ticket of step one, or the wish to sign in with a passkey alone."""

    ticket: Ticket | None = None


class SendCode(Body):
    """Where the code of step two is to go."""

    ticket: Ticket
    channel: Channel = Field(examples=["sms"])


class SignedIn(Answer):
    """Where signing in has come to; which fields are there depends on `status`.

    `signed_in`: tokens (unless they went into cookies). `factor_required`: a ticket for step two.
    `enrolment_required`: a token that only enrols a second factor. `confirmation_required`: there is no second factor
    yet; a code was mailed, and with it `POST /accounts:confirm-email` answers such a token.
    """

    status: str = Field(examples=["signed_in"])
    access_token: str | None = None
    token_type: str | None = None
    expires_in: int | None = None
    refresh_token: str | None = None
    device_token: str | None = None
    ticket: str | None = None
    factors: list[str] | None = None


class Refresh(Body):
    """The refresh token; web clients have it in a cookie."""

    refresh_token: Annotated[str, Field(max_length=128)] | None = None
    transport: Transport = Transport.BODY


class StepUp(Body):
    """A strong second factor, once more."""

    totp: Code | None = None
    passkey: PasskeyProof | None = None
    transport: Transport = Transport.BODY

    @model_validator(mode="after")
    def _one_factor(self) -> "StepUp":
        if (self.totp is None) == (self.passkey is None):
            raise ValueError("Send totp or passkey.")
        return self


class Switch(Body):
    """Where to go on."""

    organisation_id: UUID
    transport: Transport = Transport.BODY


class CurrentSession(Answer):
    """Whom the token stands for; `roles` maps a store's id, or `*` for the whole organisation, to roles."""

    session_id: UUID | None
    user_id: UUID | None
    org_id: UUID | None
    aal: str
    amr: list[str]
    authenticated_at: datetime
    roles: dict[str, list[str]]


class Ended(Answer):
    """How many sessions were ended."""

    sessions: int


class SessionAnswer(Answer):
    """Where and since when one is signed in."""

    id: UUID
    current: bool
    created_at: datetime
    last_used_at: datetime
    user_agent: str
    browser: str = Field(description="As the user agent tells, for example `Firefox 142`.")
    os: str = Field(description="As the user agent tells, for example `Windows 10`.")
    ip: str
    place: str | None = Field(description="About where the address is; empty when that is not known.")


class Sessions(Answer):
    """One's own open sessions, newest first."""

    items: list[SessionAnswer]
