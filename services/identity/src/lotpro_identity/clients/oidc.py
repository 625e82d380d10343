"""OpenID providers: discovery, the way there, the code's exchange, and whose signature a token has."""

import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from lotpro_kit import telemetry
from lotpro_kit.web import Fetched, Unreachable, Web

#: Fetched again after this many seconds, or for an unknown key, but never more often than REFETCH_SECONDS.
TTL_SECONDS, REFETCH_SECONDS = 300, 5
CACHED_PROVIDERS = 500
#: Signatures by keys that are published. `none` and HMAC, for which anybody has the key, are not among them.
ALGORITHMS = ["ES256", "RS256", "PS256"]
MAX_TOKEN = 16_384

log = telemetry.logger(__name__)


class ProviderUnavailable(Exception):
    """The provider does not answer, or says what no OpenID provider says."""


class CodeRefused(Exception):
    """The provider does not take the code."""


class Unsigned(Exception):
    """The token is not signed by the provider, or not by an algorithm that means anything."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    #: Whether its answers name it (RFC 9207).
    names_itself: bool
    auth_method: str


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at a provider."""

    client_id: str
    client_secret: str
    redirect_uri: str


class Providers:
    """OpenID providers, what they say kept for some minutes."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._kept: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    async def metadata(self, issuer: str, *, fresh: bool = False) -> Metadata:
        """What the provider says of itself; raises ProviderUnavailable, also when it says it is another."""
        url = issuer.rstrip("/") + "/.well-known/openid-configuration"
        said = await self._json(url, max_age=0 if fresh else TTL_SECONDS)
        endpoints = [said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if said.get("issuer") != issuer:
            raise ProviderUnavailable("The provider calls itself otherwise.")
        if not all(isinstance(entry, str) and self._web.is_allowed(entry) for entry in endpoints):
            raise ProviderUnavailable("The provider has no endpoints that we use.")
        methods = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        auth_method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        names_itself = said.get("authorization_response_iss_parameter_supported") is True
        authorization, token, keys = map(str, endpoints)
        return Metadata(issuer, authorization, token, keys, names_itself, auth_method)

    def authorization_url(
        self, metadata: Metadata, client: Client, *, state: str, nonce: str, verifier: str, fresh: bool, hint: str
    ) -> str:
        """Where the browser goes: code flow with PKCE (RFC 7636, S256); `fresh` asks for a new proof of who it is."""
        url: str = prepare_grant_uri(
            metadata.authorization_endpoint, client.client_id, "code", redirect_uri=client.redirect_uri,
            scope="openid email profile", state=state, nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier), code_challenge_method="S256",
            prompt="login" if fresh else None, max_age="0" if fresh else None, login_hint=hint or None,
        )
        return url

    async def exchange(self, metadata: Metadata, client: Client, *, code: str, verifier: str) -> str:
        """The ID token for a code; raises CodeRefused and ProviderUnavailable."""
        body = prepare_token_request(
            "authorization_code", redirect_uri=client.redirect_uri, code=code, code_verifier=verifier
        )
        auth = ClientAuth(client.client_id, client.client_secret, metadata.auth_method)
        url, headers, form = auth.prepare("POST", metadata.token_endpoint, {}, body)
        try:
            answer = await self._web.post(url, form, headers)
        except Unreachable as error:
            raise ProviderUnavailable from error
        if answer.status >= 500:
            raise ProviderUnavailable
        token = _object(answer).get("id_token") if answer.status == 200 else None
        if not isinstance(token, str):
            raise CodeRefused
        return token

    async def signed(self, metadata: Metadata, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A token's header and claims, when the provider signed it; raises Unsigned and ProviderUnavailable.

        Keys come from the provider's published ones alone; what the header says about others is not looked at.
        """
        if len(token) > MAX_TOKEN:
            raise Unsigned
        for max_age in (TTL_SECONDS, REFETCH_SECONDS):
            published = await self._json(metadata.jwks_uri, max_age=max_age)
            try:
                decoded = jwt.decode(token, _keys(published), algorithms=ALGORITHMS)
                return dict(decoded.header), dict(decoded.claims)
            except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                if max_age == REFETCH_SECONDS:
                    raise Unsigned from error
        raise Unsigned

    async def _json(self, url: str, *, max_age: float) -> dict[str, Any]:
        now = time.monotonic()
        fetched, said = self._kept.get(url, (float("-inf"), None))
        if said is not None and now - fetched < max_age:
            return dict(said)
        if not self._web.is_allowed(url):
            raise ProviderUnavailable
        try:
            answer = await self._web.get(url)
        except Unreachable as error:
            raise ProviderUnavailable from error
        if answer.status != 200:
            raise ProviderUnavailable
        said = _object(answer)
        self._kept[url] = (now, said)
        self._kept.move_to_end(url)
        if len(self._kept) > CACHED_PROVIDERS:
            self._kept.popitem(last=False)
        return said


def _keys(published: dict[str, Any]) -> KeySet:
    """The keys that may sign: public ones, of kinds we take; others are passed over, they are none of our business."""
    entries = published.get("keys")
    usable = [
        entry for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("kty") in ("EC", "RSA") and entry.get("use", "sig") == "sig"
    ]
    return KeySet.import_key_set({"keys": usable})


def _object(answer: Fetched) -> dict[str, Any]:
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise ProviderUnavailable from error
    if not isinstance(said, dict):
        raise ProviderUnavailable
    return said
