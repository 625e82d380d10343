"""HTTP shapes of sessions."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from lotpro_identity.accounts.schemas import Code, Email, Password
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


class SignIn(Body):
    """Either e-mail and password (with or without the second factor), or the ticket of step one with the factor."""

    email: Email | None = None
    password: Password | None = None
    ticket: Annotated[str, Field(max_length=2048)] | None = None
    totp: Code | None = None
    recovery_code: Annotated[str, Field(max_length=64)] | None = None
    transport: Transport = Transport.BODY

    @model_validator(mode="after")
    def _one_way_in(self) -> "SignIn":
        if (self.ticket is None) == (self.email is None or self.password is None):
            raise ValueError("Send email and password, or the ticket of the first step.")
        if self.ticket is not None and self.totp is None and self.recovery_code is None:
            raise ValueError("Send totp or recovery_code with the ticket.")
        return self


class SignedIn(Answer):
    """Where signing in has come to; which fields are there depends on `status`.

    `signed_in`: tokens (unless they went into cookies). `factor_required`: a ticket for step two.
    `enrolment_required`: a token that only enrols a second factor.
    """

    status: str = Field(examples=["signed_in"])
    access_token: str | None = None
    token_type: str | None = None
    expires_in: int | None = None
    refresh_token: str | None = None
    ticket: str | None = None
    factors: list[str] | None = None


class Refresh(Body):
    """The refresh token; web clients have it in a cookie."""

    refresh_token: Annotated[str, Field(max_length=128)] | None = None
    transport: Transport = Transport.BODY


class StepUp(Body):
    """The second factor, once more."""

    totp: Code
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
    ip: str


class Sessions(Answer):
    """One's own open sessions, newest first."""

    items: list[SessionAnswer]
