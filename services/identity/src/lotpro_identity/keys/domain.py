"""Signing tokens with ES256 (RFC 7518) and publishing the public half as a JWKS (RFC 7517)."""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

ALGORITHM = "ES256"


class Signer:
    """Signs and reads identity's own tokens; the key is read on first use."""

    def __init__(self, key: Callable[[], str]) -> None:
        """`key` answers the private key as PEM or JWK."""
        self._source = key

    @cached_property
    def _key(self) -> ECKey:
        text = self._source()
        given = json.loads(text) if text.lstrip().startswith("{") else text
        key = ECKey.import_key(given, {"alg": ALGORITHM, "use": "sig"})
        key.ensure_kid()
        return key

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """A signed token of a type."""
        return jwt.encode(
            {"alg": ALGORITHM, "kid": self._key.kid, "typ": typ}, dict(claims), self._key, algorithms=[ALGORITHM]
        )

    def read(self, token: str, *, typ: str, now: float) -> dict[str, Any] | None:
        """The claims of a token of ours that has not expired, or None."""
        try:
            decoded = jwt.decode(token, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, KeyError, TypeError):
            return None
        right = decoded.header.get("typ") == typ and float(decoded.claims.get("exp", 0)) > now
        return dict(decoded.claims) if right else None

    @cached_property
    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        return dict(KeySet([self._key]).as_dict(private=False))
