"""The secrets of this machine's stack: made once at random, kept in the state, given out by the local Key Vault."""

import base64
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path

from lotpro_localcloud.state import read_json, write_json
from lotpro_localcloud.topology import SERVICES


def client_id(service: str) -> str:
    """The client id of a service's managed identity: the same on every machine, so that configuration can name it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"lotpro:{service}"))


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _password() -> str:
    return secrets.token_urlsafe(24)


def _signing_key() -> str:
    from joserfc.jwk import ECKey

    key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"})
    key.ensure_kid()
    return key.as_pem(private=True).decode()


def _provider_key(prefix: str) -> Callable[[], str]:
    """A key as a provider would give it out: its prefix tells people and scanners what it is."""
    return lambda: f"{prefix}{secrets.token_hex(16)}"


#: What every service has in its vault, and what some have besides.
_EVERY: dict[str, Callable[[], str]] = {
    "database-password": _password,
    "migration-database-password": _password,
    "cursor-key": _key,
    "data-key-encryption-key": _key,
    "blind-index-key": _key,
}
_OWN: dict[str, dict[str, Callable[[], str]]] = {
    "identity": {"code-key": _key, "pepper": _key, "signing-key": _signing_key},
    "audit": {"sealing-key": _key, "checkpoint-key": _key},
    "billing": {
        "stripe-api-key": _provider_key("sk_test_"), "stripe-webhook-secret": _provider_key("whsec_"),
    },
    "notifications": {
        "sendgrid-api-key": _provider_key("SG."),
        "twilio-account-sid": _provider_key("AC"),
        "twilio-auth-token": _provider_key(""),
        # Twilio's own number for tests; it belongs to nobody.
        "twilio-from-number": lambda: "+15005550006",
    },
}

#: Secrets that a service renews by itself.
RENEWED = {"identity": ("identity-signing-key",)}


def ensure(file: Path) -> dict[str, str]:
    """Every secret by its name in the vault; makes those that are not there yet and keeps the others as they are."""
    known: dict[str, str] = read_json(file)
    missing = {name: make for name, make in _wanted().items() if name not in known}
    if missing:
        known |= {name: make() for name, make in missing.items()}
        known["audit-sealing-public-key"] = _public_key(known["audit-sealing-key"])
        write_json(file, known)
    return known


def _wanted() -> dict[str, Callable[[], str]]:
    """How each secret is made."""
    wanted: dict[str, Callable[[], str]] = {"servicebus-sas-key": _key}
    for service in SERVICES:
        own = {**_EVERY, **_OWN.get(service, {}), "identity-header": _password}
        wanted |= {f"{service}-{name}": make for name, make in own.items()}
    return wanted


def _public_key(private: str) -> str:
    from lotpro_kit.crypto import sealing_public_key

    return sealing_public_key(private)
