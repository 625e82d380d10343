"""Who may use which entity: SAS tokens open everything, managed identities only what is theirs."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

AUDIENCES = ("https://servicebus.azure.net", "https://servicebus.azure.net/")
ROOT = "root"


class Denied(Exception):
    """The token does not open the entity."""


class Gatekeeper:
    """Judges tokens put to `$cbs`, and what each principal may do."""

    def __init__(self, *, sas_key: str, issuer: str, jwks: Path, services: Mapping[str, str]) -> None:
        """`services`: client id -> service name; `jwks`: file that the token issuer keeps."""
        self._sas_key, self._issuer, self._jwks, self._services = sas_key, issuer, jwks, services
        self._keys: KeySet | None = None

    def principal(self, token: str) -> tuple[str, float]:
        """Whose token it is (`root` or a service) and when it ends, seconds since 1970; raises Denied."""
        if token.startswith("SharedAccessSignature "):
            return self._from_sas(token.removeprefix("SharedAccessSignature "))
        return self._from_jwt(token)

    def _from_sas(self, token: str) -> tuple[str, float]:
        if not self._sas_key:
            raise Denied("this namespace takes no SAS tokens")
        fields = {name: values[0] for name, values in parse_qs(token, keep_blank_values=True).items()}
        raw = dict(pair.split("=", 1) for pair in token.split("&") if "=" in pair)
        try:
            expires = float(fields["se"])
            signed = f"{raw['sr']}\n{raw['se']}".encode()
            given = base64.b64decode(fields["sig"])
        except (KeyError, ValueError) as error:
            raise Denied("malformed SAS token") from error
        right = hmac.digest(self._sas_key.encode(), signed, hashlib.sha256)
        if not hmac.compare_digest(right, given) or expires < time.time():
            raise Denied("SAS token is wrong or has expired")
        return ROOT, expires

    def _from_jwt(self, token: str) -> tuple[str, float]:
        claims = self._claims(token)
        service = self._services.get(str(claims.get("azp") or claims.get("appid") or ""))
        right = (
            claims.get("iss") == self._issuer
            and claims.get("aud") in AUDIENCES
            and isinstance(claims.get("exp"), int | float)
            and float(str(claims["exp"])) > time.time()
        )
        if not right or service is None:
            raise Denied("token is not for this namespace")
        return service, float(str(claims["exp"]))

    def _claims(self, token: str) -> dict[str, object]:
        for fresh in (False, True):
            try:
                if self._keys is None or fresh:
                    self._keys = KeySet.import_key_set(json.loads(self._jwks.read_text()))
                return dict(jwt.decode(token, self._keys, algorithms=["RS256"]).claims)
            except (JoseError, ValueError, OSError, KeyError) as error:
                if fresh:
                    raise Denied("token signature is wrong") from error
        raise AssertionError

    @staticmethod
    def may_send(principal: str, path: str) -> bool:
        """A service sends to its own topic and to the security log."""
        return principal == ROOT or path.lower() in (principal, "security-events")

    @staticmethod
    def may_listen(principal: str, path: str) -> bool:
        """A service listens to the subscriptions that carry its name, dead letters included."""
        parts = path.lower().split("/")
        return principal == ROOT or (len(parts) >= 3 and parts[1] == "subscriptions" and parts[2] == principal)
