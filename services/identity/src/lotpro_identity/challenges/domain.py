"""Codes and tokens are derived from a challenge's salt under a key; nothing that could be guessed is stored. Pure."""

import base64
import binascii
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from uuid import UUID

import lotpro_policy
from lotpro_kit import errors

DIGITS = 6
#: "5 tries a code".
TRIES = 5
#: An invitation is no MFA code; a week is what people need to read their mail.
INVITATION_LIFETIME = timedelta(days=7)
#: So long can somebody whose account is being taken over still undo it.
UNDO_LIFETIME = timedelta(hours=72)
#: A link that lets somebody back in: long enough for mail that is slow, short enough for a mailbox left open.
RESET_LIFETIME = timedelta(minutes=30)
_LIFETIMES = {
    "invitation": INVITATION_LIFETIME, "undo_email": UNDO_LIFETIME, "alert": UNDO_LIFETIME,
    "reset_password": RESET_LIFETIME, "reset_factors": RESET_LIFETIME,
}


class Purpose(StrEnum):
    """What a challenge is for."""

    CONFIRM_EMAIL = "confirm_email"
    CONFIRM_FACTOR = "confirm_factor"
    SIGN_IN = "sign_in"
    INVITATION = "invitation"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
    RESET_FACTORS = "reset_factors"
    CHANGE_EMAIL = "change_email"
    UNDO_EMAIL = "undo_email"
    UNDO_CLOSE = "undo_close"
    ALERT = "alert"


class Channel(StrEnum):
    """How a challenge reaches the person."""

    EMAIL = "email"
    SMS = "sms"


#: These are sent as a link with a token; every other purpose is six digits to type.
TOKENS = frozenset(
    {
        Purpose.INVITATION, Purpose.RESET_PASSWORD, Purpose.RESET_FACTORS, Purpose.UNDO_EMAIL, Purpose.UNDO_CLOSE,
        Purpose.ALERT,
    }
)
#: Of these several may be open for one person; of every other purpose the newest ends the others.
SIDE_BY_SIDE = frozenset({Purpose.INVITATION, Purpose.UNDO_EMAIL, Purpose.ALERT})


class CodeInvalid(errors.Invalid):
    """The code is wrong, used, replaced or expired; which of them is not told."""

    code = "identity.code_invalid"
    message = "This code is not valid (any more). Ask for a new one."


class ChallengeOver(errors.Conflict):
    """The challenge cannot be revealed any more."""

    code = "identity.challenge_over"
    message = "This challenge is used, replaced or expired."


def lifetime(purpose: Purpose) -> timedelta:
    """How long a challenge is good: the policy's 10 minutes for codes, its days to take a closing back."""
    if purpose in _LIFETIMES:
        return _LIFETIMES[purpose]
    if purpose is Purpose.UNDO_CLOSE:
        return timedelta(days=lotpro_policy.policy().clocks.account_closure_undo_days)
    return lotpro_policy.policy().retention["mfa_codes"].duration


class Codes:
    """Derives what is sent to a person for a challenge."""

    def __init__(self, key: Callable[[], str]) -> None:
        """`key` answers 32 bytes, base64."""
        self._source = key

    @cached_property
    def _key(self) -> bytes:
        return base64.b64decode(self._source())

    def code(self, challenge_id: UUID, salt: bytes) -> str:
        """Six digits: HMAC-SHA256 of salt and id, reduced from 128 bits, so that no digit is likelier than another."""
        return f"{int.from_bytes(self._mac(b'code', challenge_id, salt)[:16], 'big') % 10**DIGITS:0{DIGITS}d}"

    def token(self, challenge_id: UUID, salt: bytes) -> str:
        """A URL-safe token that names its challenge: its id and the whole HMAC."""
        raw = challenge_id.bytes + self._mac(b"token", challenge_id, salt)
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def _mac(self, kind: bytes, challenge_id: UUID, salt: bytes) -> bytes:
        return hmac.digest(self._key, kind + challenge_id.bytes + salt, "sha256")


def challenge_of(token: str) -> UUID:
    """The challenge a token names; raises CodeInvalid for what is no token."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError) as error:
        raise CodeInvalid from error
    if len(raw) != 48:
        raise CodeInvalid
    return UUID(bytes=raw[:16])


def is_open(*, used_at: datetime | None, replaced_at: datetime | None, expires_at: datetime, now: datetime) -> bool:
    """Whether a challenge may still be answered."""
    return used_at is None and replaced_at is None and now < expires_at
