"""The tokens identity gives out: access tokens (RFC 9068), tickets between two steps, cookies for the web."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import Request, Response

import lotpro_policy
from lotpro_identity.accounts.domain import Account
from lotpro_identity.devices.service import trust_period
from lotpro_identity.ports import Ports
from lotpro_identity.sessions.domain import FEDERATED
from lotpro_identity.sessions.schemas import Transport
from lotpro_kit import api, ids
from lotpro_kit.api import Answer
from lotpro_kit.crypto import Undecryptable

#: Access tokens and enrolment tokens live 5 minutes, tickets too.
ACCESS_SECONDS = 300
ISSUER = "https://lotpro.space/identity"
AUDIENCE = "lotpro"
ACCESS_TYPE = "at+jwt"
#: Tickets are read by nobody but identity: they are sealed, which takes a tenth of signing and verifying them.
TICKET = "sessions.ticket"
REFRESH_COOKIE = "__Host-lotpro-refresh"
DEVICE_COOKIE = "__Host-lotpro-device"


class Tokens(Answer):
    """A session's tokens; none in the body when they went into cookies."""

    status: str = "signed_in"
    access_token: str | None = None
    token_type: str | None = None
    expires_in: int
    refresh_token: str | None = None
    device_token: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and its fresh tokens."""

    session_id: UUID
    access_token: str
    refresh_token: str
    #: Of a device that is trusted from now on.
    device_token: str | None = None
    #: Whether a browser keeps it when it is closed.
    stays: bool = False


def session_lifetime() -> timedelta:
    """How long a session lasts at most: the policy's 30 days for essential cookies."""
    return lotpro_policy.policy().retention["sessions"].duration


def access_token(
    ports: Ports,
    *,
    account_id: UUID,
    session_id: UUID,
    access_version: int,
    org_id: UUID | None,
    roles: Mapping[str, list[str]],
    aal: str,
    amr: tuple[str, ...],
    auth_time: int,
    until: datetime | None = None,
) -> str:
    """A signed access token, of no use from `until` on."""
    now = int(ports.clock().timestamp())
    expires = now + ACCESS_SECONDS
    if until is not None:
        expires = min(expires, int(until.timestamp()))
    claims: dict[str, Any] = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": str(account_id), "sid": str(session_id), "roles": dict(roles),
        "av": access_version, "aal": aal, "amr": list(amr), "auth_time": auth_time, "iat": now,
        "exp": expires, "jti": str(ids.new()),
    }
    if org_id is not None:
        claims["org"] = str(org_id)
    return ports.signer.sign(claims, typ=ACCESS_TYPE)


def enrolment_token(ports: Ports, account: Account, *, federated: UUID | None = None) -> dict[str, Any]:
    """The fields of an Enrolment: a token without roles; `federated` is the organisation whose provider vouched."""
    token = access_token(
        ports, account_id=account.id, session_id=ids.new(), access_version=account.access_version, org_id=federated,
        roles={}, aal=api.ENROLLING, amr=first_method(federated),
        auth_time=int(ports.clock().timestamp()),
    )
    return {"access_token": token, "expires_in": ACCESS_SECONDS}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket proves: whose password was right, which one it was, and on which trusted device."""

    account_id: UUID
    password: str
    device_id: UUID | None
    #: The organisation whose provider vouched, instead of a password.
    federated: UUID | None


def ticket(
    ports: Ports, account: Account, device_id: UUID | None = None, *, federated: UUID | None = None
) -> str:
    """Proof that the first step was right, for the second; it is worth nothing once the password was changed.

    `federated` is the organisation whose provider vouched.
    """
    expires = int(ports.clock().timestamp()) + ACCESS_SECONDS
    proven: dict[str, Any] = {"sub": str(account.id), "pwd": password_mark(account), "exp": expires}
    if device_id is not None:
        proven["dev"] = str(device_id)
    if federated is not None:
        proven["fed"] = str(federated)
    return base64.urlsafe_b64encode(ports.keyring.wrap(json.dumps(proven).encode(), context=TICKET)).decode()


def first_method(federated: UUID | None) -> tuple[str, ...]:
    """How the first step was done: by password, or by an organisation's provider."""
    return ("pwd",) if federated is None else (FEDERATED,)


def read_ticket(ports: Ports, text: str) -> Ticket | None:
    """What a ticket of ours proves, or None for anything else."""
    try:
        proven = json.loads(ports.keyring.unwrap(base64.urlsafe_b64decode(text), context=TICKET))
    except (ValueError, Undecryptable):
        return None
    if proven["exp"] <= ports.clock().timestamp():
        return None
    device_id = UUID(proven["dev"]) if "dev" in proven else None
    federated = UUID(proven["fed"]) if "fed" in proven else None
    return Ticket(UUID(proven["sub"]), proven["pwd"], device_id, federated)


def password_mark(account: Account) -> str:
    """Tells one password of an account from the next; without the hash's random salt nothing can be guessed by it."""
    return hashlib.sha256(account.password_hash.encode()).hexdigest()[:32]


def transport_of(request: Request, wanted: Transport) -> Transport:
    """How the next token comes: whose last one came as a cookie gets a cookie, so that no script ever reads any."""
    return Transport.COOKIE if api.by_cookie(request) else wanted


def deliver(response: Response, opened: Opened, transport: Transport, *, renewed: bool = False) -> Tokens:
    """The tokens in the body, or in `__Host-` cookies that no script can read.

    A session that begins also gets the cookie that our pages repeat; one that is `renewed` has it.
    """
    if transport is Transport.BODY:
        return Tokens(
            access_token=opened.access_token, token_type="Bearer", expires_in=ACCESS_SECONDS,  # noqa: S106 - the scheme
            refresh_token=opened.refresh_token, device_token=opened.device_token,
        )
    month = int(session_lifetime().total_seconds())
    _set_cookie(response, api.ACCESS_COOKIE, opened.access_token, ACCESS_SECONDS)
    _set_cookie(response, REFRESH_COOKIE, opened.refresh_token, month if opened.stays else None)
    if not renewed:
        set_csrf_cookie(response)
    if opened.device_token is not None:
        _set_cookie(response, DEVICE_COOKIE, opened.device_token, int(trust_period().total_seconds()))
    return Tokens(expires_in=ACCESS_SECONDS)


class SteppedUp(Answer):
    """A renewed access token; not in the body when it went into its cookie."""

    access_token: str | None = None
    token_type: str | None = None
    expires_in: int


def deliver_access(response: Response, token: str, transport: Transport) -> SteppedUp:
    """An access token in the body or in its cookie."""
    if transport is Transport.BODY:
        return SteppedUp(access_token=token, token_type="Bearer", expires_in=ACCESS_SECONDS)  # noqa: S106 - the scheme
    _set_cookie(response, api.ACCESS_COOKIE, token, ACCESS_SECONDS)
    return SteppedUp(expires_in=ACCESS_SECONDS)


def set_csrf_cookie(response: Response) -> None:
    """A new value for our pages to repeat; they have to read it, and it is worth nothing by itself."""
    response.set_cookie(
        api.CSRF_COOKIE, secrets.token_urlsafe(32), path="/", secure=True, httponly=False, samesite="lax"
    )


def _set_cookie(response: Response, name: str, value: str, age: int | None) -> None:
    response.set_cookie(name, value, max_age=age, path="/", secure=True, httponly=True, samesite="lax")


def forget_cookies(response: Response) -> None:
    """Take the cookies back."""
    for name in (api.ACCESS_COOKIE, REFRESH_COOKIE, api.CSRF_COOKIE):
        response.delete_cookie(
            name, path="/", secure=True, httponly=name != api.CSRF_COOKIE, samesite="lax"
        )
