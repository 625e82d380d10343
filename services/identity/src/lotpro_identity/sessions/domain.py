"""When a refresh token may be used; pure."""

import hashlib
import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from lotpro_kit import errors

#: Two tabs may refresh at once: a token used this long ago is still answered.
GRACE = timedelta(seconds=30)


class CredentialsInvalid(errors.Unauthenticated):
    """E-mail, password or second factor is wrong; which of them is not told."""

    code = "identity.credentials_invalid"
    message = "E-mail, password or code is wrong."


class SessionOver(errors.Unauthenticated):
    """The session was ended, has expired, or its refresh token was used before."""

    code = "identity.session_over"
    message = "This session is over. Sign in again."


class BoundToOrganisation(errors.Forbidden):
    """An organisation's provider vouched for this session, and for that organisation only."""

    code = "identity.session_bound"
    message = "You signed in with your organisation's own provider. Sign in with your password to work elsewhere."


class Use(StrEnum):
    """What a use of a refresh token is."""

    FIRST = "first"
    PARALLEL = "parallel"
    REUSE = "reuse"


def judge(*, used_at: datetime | None, now: datetime) -> Use:
    """A used token is fine within the grace, and a theft after it (RFC 9700, 4.14.2)."""
    if used_at is None:
        return Use.FIRST
    return Use.PARALLEL if now - used_at <= GRACE else Use.REUSE


#: The authentication method of whoever an organisation's own provider vouches for.
FEDERATED = "fed"


def is_federated(amr: Iterable[str]) -> bool:
    """Whether an organisation's provider vouched for the person: such a session never leaves that organisation."""
    return FEDERATED in amr


def network_of(ip: str) -> str:
    """The network an address belongs to: /24 of IPv4, /48 of IPv6; what is no address is its own."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    prefix = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))


def digest(token: str) -> bytes:
    """What is stored of a refresh token; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
