"""Who sent a request: users by lotPro's access tokens, services by their managed identity's tokens."""

import asyncio
import hashlib
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

import httpx
from azure.core.credentials_async import AsyncTokenCredential
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from lotpro_kit import telemetry
from lotpro_kit.caller import Caller
from lotpro_kit.errors import Unauthenticated
from lotpro_kit.revocations import Revocations

#: Keys are fetched again after this many seconds, or for an unknown key id, but never more often than REFETCH_SECONDS.
KEYS_TTL_SECONDS = 300
REFETCH_SECONDS = 5
CACHED_TOKENS = 20_000
#: Clocks of two machines may differ by this much (applied to `iat` and `nbf`, never to `exp`).
SKEW_SECONDS = 5

log = telemetry.logger(__name__)


class InvalidToken(Unauthenticated):
    """The token is forged, expired, or meant for somebody else."""

    code = "auth.invalid_token"
    message = "The access token is not valid (any more). Sign in again."


class Keys(Protocol):
    """Public keys that tokens are verified with."""

    async def get(self, *, fresh: bool = False) -> KeySet:
        """The key set; `fresh` asks for one that is not from memory."""
        ...


class FixedKeys:
    """A key set that never changes."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    async def get(self, *, fresh: bool = False) -> KeySet:
        return self._keys


class RemoteKeys:
    """A JWKS document behind a URL, kept in memory."""

    def __init__(self, url: str, *, ca_bundle: str = "") -> None:
        verify = ssl.create_default_context(cafile=ca_bundle) if ca_bundle else True
        self._url = url
        self._client = httpx.AsyncClient(timeout=5, verify=verify)
        self._keys: KeySet | None = None
        self._fetched = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, *, fresh: bool = False) -> KeySet:
        """The key set; raises Unauthenticated's sibling Unavailable only when none was ever fetched."""
        if self._keys is not None and not self._due(fresh):
            return self._keys
        async with self._lock:
            if self._keys is None or self._due(fresh):
                await self._fetch()
        assert self._keys is not None
        return self._keys

    def _due(self, fresh: bool) -> bool:
        age = time.monotonic() - self._fetched
        return age > (REFETCH_SECONDS if fresh else KEYS_TTL_SECONDS)

    async def _fetch(self) -> None:
        try:
            answer = await self._client.get(self._url)
            answer.raise_for_status()
            self._keys = KeySet.import_key_set(answer.json())
            self._fetched = time.monotonic()
        except (httpx.HTTPError, ValueError, JoseError) as error:
            log.warning("keys not fetched", error=type(error).__name__)
            if self._keys is None:
                raise InvalidToken("The keys to check tokens with cannot be had right now.") from error

    async def close(self) -> None:
        await self._client.aclose()


async def verified_claims(
    token: str, keys: Keys, *, algorithm: str, issuer: str, audience: str, typ: str = "", now: float | None = None
) -> dict[str, Any]:
    """The claims of a token whose signature, algorithm, type, issuer, audience and times are right (RFC 8725).

    `jku`, `jwk` and `x5u` in the header are ignored: keys come from `keys` alone. Raises InvalidToken.
    """
    for fresh in (False, True):
        try:
            decoded = jwt.decode(token, await keys.get(fresh=fresh), algorithms=[algorithm])
            break
        except (JoseError, ValueError, KeyError, TypeError) as error:
            if fresh:
                raise InvalidToken from error
    claims, now = decoded.claims, time.time() if now is None else now
    audiences = claims.get("aud")
    audiences = audiences if isinstance(audiences, list) else [audiences]
    right = (
        (not typ or str(decoded.header.get("typ", "")).lower() == typ)
        and claims.get("iss") == issuer
        and audience in audiences
        and isinstance(claims.get("exp"), int | float)
        and claims["exp"] > now
        and claims.get("nbf", now) <= now + SKEW_SECONDS
        and claims.get("iat", now) <= now + SKEW_SECONDS
    )
    if not right:
        raise InvalidToken
    return claims


class UserTokens:
    """Verifies access tokens (`typ: at+jwt`, RFC 9068) and remembers the good ones until they expire.

    `revocations` is looked at every time.
    """

    def __init__(
        self, keys: Keys, *, issuer: str, audience: str, now: Callable[[], float] = time.time
    ) -> None:
        self._keys, self._issuer, self._audience, self.now = keys, issuer, audience, now
        self.revocations = Revocations()
        self._seen: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """The caller a token stands for; raises InvalidToken and Revoked."""
        caller = await self._verified(token)
        self.revocations.check(caller)
        return caller

    async def _verified(self, token: str) -> Caller:
        digest, now = hashlib.sha256(token.encode()).digest(), self.now()
        seen = self._seen.get(digest)
        if seen is not None and seen[0] > now:
            return seen[1]
        claims = await verified_claims(
            token, self._keys, algorithm="ES256", issuer=self._issuer, audience=self._audience, typ="at+jwt", now=now,
        )
        caller = _caller(claims)
        self._seen[digest] = (float(claims["exp"]), caller)
        if len(self._seen) > CACHED_TOKENS:
            self._seen.popitem(last=False)
        return caller


def _caller(claims: dict[str, Any]) -> Caller:
    try:
        return Caller(
            kind="user",
            user_id=UUID(claims["sub"]),
            org_id=UUID(claims["org"]) if claims.get("org") else None,
            roles={store: frozenset(roles) for store, roles in claims.get("roles", {}).items()},
            session_id=UUID(claims["sid"]),
            aal=str(claims.get("aal", "")),
            amr=tuple(claims.get("amr", ())),
            auth_time=int(claims.get("auth_time", 0)),
            access_version=int(claims.get("av", 0)),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidToken from error


class ServiceTokens:
    """Verifies Entra tokens of managed identities and tells which service holds them."""

    def __init__(self, keys: Keys, *, issuer: str, audience: str, principals: dict[str, str]) -> None:
        self._keys, self._issuer, self._audience, self._principals = keys, issuer, audience, principals
        self._seen: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    async def verify(self, token: str) -> str:
        """The service a token belongs to; raises InvalidToken."""
        digest = hashlib.sha256(token.encode()).digest()
        seen = self._seen.get(digest)
        if seen is not None and seen[0] > time.time():
            return seen[1]
        claims = await verified_claims(
            token, self._keys, algorithm="RS256", issuer=self._issuer, audience=self._audience
        )
        service = self._principals.get(str(claims.get("azp") or claims.get("appid") or ""))
        if service is None:
            raise InvalidToken
        self._seen[digest] = (float(claims["exp"]), service)
        if len(self._seen) > 100:
            self._seen.popitem(last=False)
        return service


class TokenSource:
    """This service's own tokens for calling another, asked for once and kept until five minutes before they end."""

    def __init__(self, credential: AsyncTokenCredential, audience: str) -> None:
        self._credential = credential
        self._scope = f"{audience}/.default"
        self._token, self._expires = "", 0.0
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """A valid token."""
        if self._expires - 300 > time.time():
            return self._token
        async with self._lock:
            if self._expires - 300 <= time.time():
                got = await self._credential.get_token(self._scope)
                self._token, self._expires = got.token, float(got.expires_on)
        return self._token
