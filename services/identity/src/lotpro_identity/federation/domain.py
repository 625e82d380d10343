"""What an ID token must say to be one for us, what a domain is, and what counts as a second factor; pure."""

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lotpro_kit import errors

#: A sign-in that went to the provider comes back within this.
STATE_LIFETIME = timedelta(minutes=10)
#: Clocks of two machines may differ by this much (applied to `iat` and `nbf`, never to `exp`).
SKEW_SECONDS = 60
#: RFC 8176's references that mean more than something one knows; `mfa` itself is what most providers send.
MFA_REFERENCES = frozenset({"mfa", "otp", "hwk", "swk", "sc", "fpt", "face", "iris", "pop", "ngcmfa"})
MAX_SUBJECT = 255
MAX_DOMAINS = 50
WELL_KNOWN = "/.well-known/lotpro-domain"


class IssuerInvalid(errors.Invalid):
    """The issuer is no public https address."""

    code = "identity.federation_issuer_invalid"
    message = "The issuer is a public https address without query and fragment."


class ProviderUnfit(errors.Invalid):
    """The provider's discovery document cannot be had, or does not fit the issuer."""

    code = "identity.federation_provider_unfit"
    message = "The provider's OpenID configuration cannot be read at this issuer."


class SecretMissing(errors.Invalid):
    """A new provider needs its secret."""

    code = "identity.federation_secret_missing"
    message = "Send the client secret that belongs to this issuer."


class DomainInvalid(errors.Invalid):
    """The text is no domain name."""

    code = "identity.domain_invalid"
    message = "This is not a domain name such as prairie-motors.com."


class DomainNotProven(errors.Conflict):
    """The domain's page does not have the token."""

    code = "identity.domain_not_proven"
    message = f"The token was not found at https://<domain>{WELL_KNOWN}."


class DomainTaken(errors.Conflict):
    """Another organisation has proven the domain."""

    code = "identity.domain_taken"
    message = "Another organisation has proven this domain."


class TooManyDomains(errors.Conflict):
    """The organisation has as many domains as it may have."""

    code = "identity.too_many_domains"
    message = "Your organisation has as many domains as it may have. Remove one first."


class SsoNotAvailable(errors.NotFound):
    """There is no provider for the organisation or the address's domain; nothing is said about accounts."""

    code = "identity.sso_not_available"
    message = "There is no single sign-on for this. Sign in with e-mail and password."


class SsoProviderUnavailable(errors.Unavailable):
    """The provider does not answer."""

    code = "identity.sso_provider_unavailable"
    message = "Your organisation's identity provider does not answer. Try again soon."


class SsoStateInvalid(errors.Unauthenticated):
    """The sign-in was not begun in this browser, came back before, or took too long."""

    code = "identity.sso_state_invalid"
    message = "This sign-in is over or was begun in another browser. Begin again."


class SsoRefused(errors.Unauthenticated):
    """The provider did not let them in, or does not take its own code."""

    code = "identity.sso_refused"
    message = "Your organisation's identity provider refused the sign-in."


class SsoIssuerMismatch(errors.Unauthenticated):
    """Another provider answered than was asked (RFC 9207)."""

    code = "identity.sso_issuer_mismatch"
    message = "Another identity provider answered than the one that was asked."


class IdTokenForged(errors.Unauthenticated):
    """The ID token is not signed by the provider, or is another kind of token."""

    code = "identity.sso_token_forged"
    message = "The identity provider's token is not signed by it."


class IdTokenForeign(errors.Unauthenticated):
    """The ID token is from another issuer or for another audience."""

    code = "identity.sso_token_foreign"
    message = "The identity provider's token is not meant for lotPro."


class IdTokenExpired(errors.Unauthenticated):
    """The ID token is not good at this time."""

    code = "identity.sso_token_expired"
    message = "The identity provider's token has expired."


class IdTokenReplayed(errors.Unauthenticated):
    """The ID token belongs to another sign-in."""

    code = "identity.sso_token_nonce"
    message = "The identity provider's token belongs to another sign-in."


class IdTokenIncomplete(errors.Unauthenticated):
    """The ID token does not say whom it is about."""

    code = "identity.sso_token_incomplete"
    message = "The identity provider's token does not say whom it is about."


class SsoEmailUnverified(errors.Forbidden):
    """A newcomer's address is missing, or neither the provider nor a proven domain vouches for it."""

    code = "identity.sso_email_unverified"
    message = "The identity provider does not say a verified e-mail address."


class SsoNotMember(errors.Forbidden):
    """The person is no member of the organisation, and signing in does not make them one."""

    code = "identity.sso_not_member"
    message = "You are not a member of this organisation. Ask its owner."


class SsoFactorMissing(errors.Forbidden):
    """Who belongs to several organisations needs a factor of their own, and has none."""

    code = "identity.sso_factor_missing"
    message = "You belong to several organisations. Sign in with your password and set up a second factor first."


_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


def normalised_domain(text: str) -> str:
    """A domain name in lower case ASCII; raises DomainInvalid."""
    try:
        name = text.strip().rstrip(".").encode("idna").decode().lower()
    except UnicodeError as error:
        raise DomainInvalid from error
    if len(name) > 253 or not _DOMAIN.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise DomainInvalid
    return name


def digest(token: str) -> bytes:
    """What is stored of a state, a nonce or a cookie; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an ID token is about."""

    subject: str
    email: str
    email_verified: bool
    name: str
    references: frozenset[str]
    context: str
    #: When they proved who they are at the provider, if it says so.
    authenticated_at: datetime | None

    def has_second_factor(self, contexts: Collection[str]) -> bool:
        """Whether the provider says they gave a second factor: by reference, or by one of these classes."""
        return bool(self.references & MFA_REFERENCES) or (bool(self.context) and self.context in contexts)


def read_id_token(
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce_digest: bytes,
    now: datetime,
) -> Subject:
    """Whom a token is about whose signature is right (OpenID Connect Core 1.0, 3.1.3.7).

    Raises IdTokenForged, IdTokenForeign, IdTokenExpired, IdTokenReplayed and IdTokenIncomplete.
    """
    if str(header.get("typ", "JWT")).lower() != "jwt":
        # A logout or access token of the same provider is no ID token (RFC 8725, 3.11).
        raise IdTokenForged
    _check_audience(claims, issuer=issuer, client_id=client_id)
    _check_times(claims, now.timestamp())
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(digest(nonce), nonce_digest):
        raise IdTokenReplayed
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise IdTokenIncomplete
    references, context = claims.get("amr"), claims.get("acr")
    return Subject(
        subject=subject, email=_text(claims, "email", 254), name=_text(claims, "name", 200),
        # Some providers say it as text.
        email_verified=claims.get("email_verified") in (True, "true"),
        references=frozenset(entry for entry in references if isinstance(entry, str))
        if isinstance(references, list) else frozenset(),
        context=context if isinstance(context, str) else "", authenticated_at=_moment(claims.get("auth_time"), now),
    )


def _check_audience(claims: Mapping[str, Any], *, issuer: str, client_id: str) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    authorised = claims.get("azp")
    if claims.get("iss") != issuer or client_id not in audiences:
        raise IdTokenForeign
    if (authorised is None and len(audiences) > 1) or (authorised is not None and authorised != client_id):
        raise IdTokenForeign


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    ends, made, begins = (_time(value) for value in (claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)))
    if ends is None or made is None or begins is None:
        raise IdTokenExpired
    oldest = now - STATE_LIFETIME.total_seconds() - SKEW_SECONDS
    if ends <= now or not oldest <= made <= now + SKEW_SECONDS or begins > now + SKEW_SECONDS:
        raise IdTokenExpired


def _time(value: object) -> float | None:
    """Epoch seconds, or None for what is no time."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e11 < value < 1e11:
        return None
    return float(value)


def _text(claims: Mapping[str, Any], name: str, most: int) -> str:
    value = claims.get(name)
    return value.strip()[:most] if isinstance(value, str) and value.isprintable() else ""


def _moment(value: object, now: datetime) -> datetime | None:
    """A moment that is not in the future; nonsense is none."""
    seconds = _time(value)
    return min(now, datetime.fromtimestamp(seconds, UTC)) if seconds is not None and seconds > 0 else None
