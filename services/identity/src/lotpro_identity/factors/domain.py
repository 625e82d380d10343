"""Kinds of second factor, TOTP with replay protection (RFC 6238; NIST SP 800-63B-4, 3.1.4), recovery codes; pure."""

import hashlib
import hmac
import secrets
from datetime import datetime
from enum import StrEnum

import pyotp

from lotpro_kit import errors

STEP_SECONDS = 30
#: One step in the past is tolerated, for slow fingers; the future never is.
TOLERATED_STEPS = 1
#: 160 bits, what RFC 4226 recommends.
SEED_CHARACTERS = 32
RECOVERY_CODES = 10
ISSUER = "lotPro"


#: More than anybody has; it keeps a stolen session from filling the table.
MOST_FACTORS = 10


class Kind(StrEnum):
    """What one proves oneself with besides the password."""

    TOTP = "totp"
    PASSKEY = "passkey"
    SMS = "sms"
    EMAIL = "email"


#: These resist who has the phone number or the mailbox: one of them must stay once there is one, and only they step up.
STRONG = frozenset({Kind.TOTP, Kind.PASSKEY})
#: Authentication method references (RFC 8176) of each kind.
AMR = {Kind.TOTP: "otp", Kind.PASSKEY: "pop", Kind.SMS: "sms", Kind.EMAIL: "email"}
RECOVERY_AMR = "rc"


class LastFactor(errors.Conflict):
    """Multi-factor authentication is mandatory: the last strong factor stays."""

    code = "identity.last_factor"
    message = "This is your last strong factor. Add another one before you remove it."


class TooManyFactors(errors.Conflict):
    """The account has as many factors as it may have."""

    code = "identity.too_many_factors"
    message = "This account has as many factors as it may have. Remove one first."


class PasskeyInvalid(errors.Invalid):
    """The authenticator's answer does not fit what was asked."""

    code = "identity.passkey_invalid"
    message = "This passkey could not be checked. Start again."


class ChannelNotAllowed(errors.Forbidden):
    """The organisation does not allow this kind of factor, or no code may be sent to this country."""

    code = "identity.channel_not_allowed"
    message = "Codes cannot be sent this way. Use an authenticator app or a passkey."


class FactorExists(errors.Conflict):
    """There is a confirmed factor already; changing it needs a session that used it."""

    code = "identity.factor_exists"
    message = "This account has a second factor already. Sign in with it."


class FactorMissing(errors.Conflict):
    """There is nothing to confirm."""

    code = "identity.factor_missing"
    message = "Start the enrolment first."


def new_seed() -> str:
    """A new TOTP seed, base32."""
    return pyotp.random_base32(SEED_CHARACTERS)


def uri(seed: str, email: str) -> str:
    """What the QR code says to the authenticator app."""
    return pyotp.TOTP(seed).provisioning_uri(name=email, issuer_name=ISSUER)


def matching_step(seed: str, code: str, *, now: datetime, last_step: int) -> int | None:
    """The time step a code belongs to, if it is one that was not used yet; None for a wrong or replayed code.

    pyotp's own verify hides which step matched, and a used step must never match again.
    """
    present = int(now.timestamp()) // STEP_SECONDS
    generator = pyotp.TOTP(seed)
    for step in range(present, present - TOLERATED_STEPS - 1, -1):
        if step > last_step and hmac.compare_digest(generator.at(step * STEP_SECONDS), code):
            return step
    return None


def new_recovery_codes() -> list[str]:
    """Codes of 80 bits each, shown once."""
    codes = (secrets.token_hex(10) for _ in range(RECOVERY_CODES))
    return ["-".join(code[at : at + 5] for at in range(0, 20, 5)) for code in codes]


def recovery_digest(code: str) -> bytes:
    """What is stored of a recovery code; 80 random bits need no slow hash."""
    return hashlib.sha256(code.replace("-", "").strip().lower().encode()).digest()
