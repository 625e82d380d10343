"""HTTP shapes of accounts."""

import re
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from lotpro_identity.accounts.domain import LINE_MAX, NAME_MAX, is_one_line
from lotpro_kit.api import Answer, Body

#: More is not looked at; what may be one ends at 128 (`domain.PASSWORD_MAX`).
LONGEST_PASSWORD = 1024
#: JSON can say halves of surrogate pairs, which are no text.
_HALVES = re.compile("[\ud800-\udfff]")


def one_line(text: str) -> str:
    """A name in any script; raises ValueError for what is no text of one line."""
    if not is_one_line(text):
        raise ValueError("Use letters, digits, spaces and signs only.")
    return text


Email = Annotated[str, Field(min_length=3, max_length=254, examples=["owner@prairie-motors.com"])]


def _as_typed(given: object) -> object:
    """A password past the stripping of bodies; what is no text, or too long, is left to be refused."""
    if isinstance(given, str) and len(given) <= LONGEST_PASSWORD and not _HALVES.search(given):
        return SecretStr(given)
    return given


#: As it was typed: spaces at its ends belong to it (OWASP ASVS 5.0, 6.2.8).
Password = Annotated[
    SecretStr, Field(max_length=LONGEST_PASSWORD, examples=["seven-quiet-lots-at-dawn"]), BeforeValidator(_as_typed)
]
Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX), AfterValidator(one_line)]
Line = Annotated[str, Field(max_length=LINE_MAX)]
#: ASCII digits: to a pattern, digit is what is one in any script.
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["493021"])]


class NewOrganisation(Body):
    """The organisation that signs up."""

    name: Name = Field(examples=["Prairie Motor Group"])


class NewStore(Body):
    """A store; its time zone is an IANA name."""

    name: Name = Field(examples=["Prairie Motors Lincoln"])
    time_zone: str = Field(max_length=64, examples=["America/Chicago"])


class SignUp(Body):
    """A person who opens an organisation with its first store."""

    name: Name = Field(examples=["Dana Whitfield"])
    email: Email
    password: Password
    phone: str | None = Field(default=None, max_length=32, examples=["+14025550142"])
    organisation: NewOrganisation
    store: NewStore


class Accepted(Answer):
    """What everybody is answered, whether the address is known or not."""

    status: str = Field(default="check_your_email", examples=["check_your_email"])


class ConfirmEmail(Body):
    """The code from the e-mail, and the password of whoever asked for it: two different means."""

    email: Email
    code: Code
    password: Password


class ResendCode(Body):
    """Who waits for a code."""

    email: Email


class Profile(Answer):
    """One's own account."""

    id: UUID
    name: str
    email: str
    phone: str | None
    job_title: str | None = Field(examples=["Sales manager"])
    department: str | None = Field(examples=["Used vehicles"])
    position: str | None = Field(examples=["Team lead"])
    locale: str = Field(examples=["en-US"])
    time_zone: str | None = Field(examples=["America/Chicago"])
    picture: str | None = Field(description="Where one's picture is, for the people of the organisation.")


class ProfileChange(Body):
    """What is to be changed; what is left out stays, null clears it (RFC 7396). A name cannot be cleared."""

    name: Name = Field(default="", examples=["Dana Whitfield"])
    phone: str | None = Field(default=None, max_length=32, examples=["+14025550142"])
    job_title: Line | None = Field(default=None, examples=["Sales manager"])
    department: Line | None = Field(default=None, examples=["Used vehicles"])
    position: Line | None = Field(default=None, examples=["Team lead"])
    locale: str | None = Field(
        default=None, max_length=35, examples=["en-US"], description="A BCP 47 tag: language, script, region."
    )
    time_zone: str | None = Field(default=None, max_length=64, examples=["America/Chicago"])
