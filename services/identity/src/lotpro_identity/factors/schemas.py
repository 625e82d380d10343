"""HTTP shapes of second factors."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from lotpro_identity.accounts.schemas import Code, one_line
from lotpro_identity.challenges.domain import Channel
from lotpro_identity.sessions.schemas import Transport
from lotpro_kit.api import Answer, Body

FactorName = Annotated[
    str, Field(min_length=1, max_length=64, examples=["Work phone"]), AfterValidator(one_line)
]
#: What `navigator.credentials` answered, as JSON (WebAuthn level 3, `toJSON()`).
Credential = Annotated[
    dict[str, Any], Field(max_length=16, examples=[{"id": "AA", "rawId": "AA", "type": "public-key"}])
]


class NewTotp(Body):
    """What the app is to be called."""

    name: FactorName = "Authenticator app"


class TotpEnrolment(Answer):
    """What an authenticator app needs."""

    secret: str = Field(description="Base32, for typing in.")
    uri: str = Field(description="otpauth:// address, what the QR code says.")
    qr_svg: str = Field(description="The QR code as an SVG image.")


class ConfirmTotp(Body):
    """The code the app shows."""

    code: Code
    transport: Transport = Transport.BODY


class CeremonyAnswer(Answer):
    """What to ask the authenticator for."""

    ceremony_id: UUID
    options: dict[str, Any] = Field(description="For `navigator.credentials`, as JSON.")


class NewPasskey(Body):
    """The authenticator's answer."""

    ceremony_id: UUID
    credential: Credential
    name: FactorName = "Passkey"
    transport: Transport = Transport.BODY


class NewCodes(Body):
    """Where codes are to be sent: to a phone, or to the account's address."""

    channel: Channel = Field(examples=["sms"])
    phone: str | None = Field(default=None, max_length=32, examples=["+14025550142"])


class ConfirmCodes(Body):
    """The first code that came."""

    channel: Channel = Field(examples=["sms"])
    code: Code
    transport: Transport = Transport.BODY


class FactorConfirmed(Answer):
    """A factor that counts from now on.

    With the first one a session begins (`signed_in`) and recovery codes are shown, this once. A further one is `added`.
    """

    status: str = Field(examples=["signed_in"])
    access_token: str | None = None
    token_type: str | None = None
    expires_in: int | None = None
    refresh_token: str | None = None
    recovery_codes: list[str] = Field(default_factory=list)


class FactorAnswer(Answer):
    """A second factor."""

    id: UUID
    kind: str
    name: str
    since: datetime
    last_used_at: datetime | None


class Factors(Answer):
    """The second factors of an account."""

    items: list[FactorAnswer]
    recovery_codes_left: int


class RenameFactor(Body):
    """Another name."""

    name: FactorName


class RecoveryCodes(Answer):
    """Recovery codes; they are shown this once."""

    recovery_codes: list[str]
