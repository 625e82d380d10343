"""Signing tokens with ES256 (RFC 7518) and publishing the public halves as a JWKS (RFC 7517); keys follow one another.

The secret holds one private key as PEM or JWK, or a JWKS of private keys in which `nbf` says from when each one signs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

ALGORITHM = "ES256"
#: Whoever verifies tokens asks for the keys again after this many seconds, and so does each process of identity.
CACHE_SECONDS = 60
#: A key is published this long before it signs: longer than all caches together, with room for a vault that is away.
PUBLISHED_BEFORE = timedelta(minutes=10)
#: A key is still published this long after the next one began: longer than any token it signed.
PUBLISHED_AFTER = timedelta(hours=1)
#: How long a key signs (NIST SP 800-57: months at most for one that signs this often).
SIGNS_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the second from which it signs."""

    key: ECKey
    begins: int = 0


def read_keys(text: str) -> list[SigningKey]:
    """The keys of the secret, in the order in which they sign; raises ValueError for anything else."""
    if not text.lstrip().startswith("{"):
        return [SigningKey(_imported(text))]
    given = json.loads(text)
    entries = given.get("keys", [given])
    if not entries:
        raise ValueError("there is no key to sign with")
    keys = [SigningKey(_imported({**entry, "nbf": None}), int(entry.get("nbf") or 0)) for entry in entries]
    return sorted(keys, key=lambda one: one.begins)


def write_keys(keys: Sequence[SigningKey]) -> str:
    """The secret's value for these keys."""
    return json.dumps({"keys": [{**one.key.as_dict(private=True), "nbf": one.begins} for one in keys]})


def rotated(keys: Sequence[SigningKey], *, now: int) -> list[SigningKey] | None:
    """The keys with the next one, without those that signed nothing that is still good; None: nothing is due."""
    kept = [
        one for one, following in zip(keys, [*keys[1:], None], strict=True)
        if following is None or following.begins + PUBLISHED_AFTER.total_seconds() > now
    ]
    begins = kept[-1].begins + int(SIGNS_FOR.total_seconds())
    if now + PUBLISHED_BEFORE.total_seconds() >= begins:
        kept.append(SigningKey(_new(), now + int(PUBLISHED_BEFORE.total_seconds())))
    return kept if [one.key.kid for one in kept] != [one.key.kid for one in keys] else None


def replaced(*, now: int) -> list[SigningKey]:
    """One new key at once and no other: every token given before is of no use any more."""
    return [SigningKey(_new(), now)]


def _new() -> ECKey:
    key = ECKey.generate_key("P-256", {"alg": ALGORITHM, "use": "sig"}, private=True)
    key.ensure_kid()
    return key


def _imported(given: Any) -> ECKey:
    if isinstance(given, dict):
        given = {name: value for name, value in given.items() if value is not None}
    key = ECKey.import_key(given, {"alg": ALGORITHM, "use": "sig"})
    key.ensure_kid()
    return key


class Signer:
    """Signs identity's tokens; the keys are read on first use and may be replaced later."""

    def __init__(self, source: Callable[[], str]) -> None:
        """`source` answers what the secret held when the process began."""
        self._source = source

    def replace(self, text: str) -> None:
        """Go on with what the secret holds now; raises ValueError and keeps what there was."""
        self._keys = read_keys(text)

    @cached_property
    def _keys(self) -> list[SigningKey]:
        return read_keys(self._source())

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """A signed token of a type, by the key whose time it is at the claims' `iat`."""
        begun = [one for one in self._keys if one.begins <= claims["iat"]]
        key = (begun or self._keys[:1])[-1].key
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": typ}, dict(claims), key, algorithms=[ALGORITHM])

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys: of what signs now, what signed before, and what will sign next."""
        return dict(KeySet([one.key for one in self._keys]).as_dict(private=False))
