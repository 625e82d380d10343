"""What an account is, and what an e-mail address, a phone number and a password must be; pure."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from zxcvbn import zxcvbn

from lotpro_kit import errors
from lotpro_kit.errors import FieldError

#: The policy: "Strong password requirements (12+ characters)". 128 is accepted, NIST SP 800-63B-4 asks for 64.
PASSWORD_MIN, PASSWORD_MAX = 12, 128
#: zxcvbn's time grows with the square of the length; what lies behind this does not make a password weaker.
SCORED = 72
#: zxcvbn's scale is 0..4; below 2 a password falls to 10^6 guesses.
WEAKEST_SCORE = 2
#: Activity is written down at most once in this time, so that staying signed in stays cheap.
ACTIVITY_NOTED = timedelta(hours=1)
#: What everybody else reads where a person was.
FORMER_NAME = "Former member"


class Status(StrEnum):
    """Where an account is in its life; only an active one can be used."""

    ACTIVE = "active"
    CLOSING = "closing"
    ANONYMISED = "anonymised"
    DELETED = "deleted"


#: Of these nothing is left that names the person.
ENDED = frozenset({Status.ANONYMISED, Status.DELETED})


@dataclass(frozen=True, slots=True)
class Account:
    """A person who signs in; `phone` is encrypted."""

    id: UUID
    email: str
    name: str
    phone: bytes | None
    locale: str
    password_hash: str
    email_confirmed_at: datetime | None
    created_at: datetime
    version: int
    access_version: int
    status: str
    last_active_at: datetime
    delete_after: datetime | None
    #: Somebody else may know the password: it opens nothing until a new one is set.
    reset_required_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether it can be used."""
        return self.status == Status.ACTIVE

    @property
    def is_ended(self) -> bool:
        """Whether the person is gone from it."""
        return self.status in ENDED

    @property
    def may_sign_in(self) -> bool:
        """Whether its password opens anything."""
        return self.is_active and self.email_confirmed_at is not None and self.reset_required_at is None


class EmailInvalid(errors.Invalid):
    """The text is no e-mail address."""

    code = "identity.email_invalid"
    message = "This is not an e-mail address."


class EmailTaken(errors.Conflict):
    """Another account has the address; said only to whoever has proven to own it."""

    code = "identity.email_taken"
    message = "Another account uses this address already."


class PhoneInvalid(errors.Invalid):
    """The text is no phone number."""

    code = "identity.phone_invalid"
    message = "This is not a phone number with its country code, such as +13035550123."


class PasswordTooWeak(errors.Invalid):
    """The password is too short, too common or made of what is known about the person."""

    code = "identity.password_too_weak"
    message = "Use at least 12 characters that are not a common password, your name or your address."


def former(account_id: UUID) -> dict[str, object]:
    """What stands in an account in place of the person: an address nobody can have and a hash nothing matches."""
    return {
        "name": FORMER_NAME, "email": f"former-{account_id}@invalid", "phone": None, "locale": "en-US",
        "password_hash": "!", "email_confirmed_at": None, "reset_required_at": None,
    }


def normalised_email(text: str) -> str:
    """The address as it is compared: lower case, and of the forms of a letter the plain one; raises EmailInvalid.

    What looks like another address only because of its letters' form (full-width, ligatures: not NFKC) is refused.
    """
    refused = EmailInvalid(errors=(FieldError("/body/email", EmailInvalid.code, EmailInvalid.message),))
    try:
        address = validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise refused from error
    if not unicodedata.is_normalized("NFKC", address):
        raise refused
    return address


def normalised_phone(text: str) -> str:
    """The number in E.164; raises PhoneInvalid."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise PhoneInvalid(errors=(FieldError("/body/phone", PhoneInvalid.code, PhoneInvalid.message),)) from error
    if not phonenumbers.is_possible_number(number):
        raise PhoneInvalid(errors=(FieldError("/body/phone", PhoneInvalid.code, PhoneInvalid.message),))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normalised_password(text: str) -> str:
    """NFKC, so that the same password typed on another keyboard is the same (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", text)


def check_password(text: str, *, known: tuple[str, ...]) -> None:
    """Refuse a password that is short or easily guessed; `known` is what a guesser knows of the person."""
    password = normalised_password(text)
    refused = PasswordTooWeak(
        errors=(FieldError("/body/password", PasswordTooWeak.code, PasswordTooWeak.message),)
    )
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise refused
    words = [part for entry in (*known, "lotpro") for part in (entry, *entry.replace("@", " ").split()) if part]
    if int(zxcvbn(password[:SCORED], user_inputs=words)["score"]) < WEAKEST_SCORE:
        raise refused
