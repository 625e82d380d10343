"""What each process is told by its surroundings: on Azure the platform says these things, here this module does."""

import os
from collections.abc import Mapping
from pathlib import Path

from lotpro_localcloud.keys import client_id
from lotpro_localcloud.state import State
from lotpro_localcloud.topology import HOST, SERVICES

ISSUER_PATH = "/tenant/v2.0"
#: Nothing of the person's own environment reaches the stack but these: a proxy or a foreign CA would break loopback.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME")


def root() -> Path:
    """The repository this package stands in."""
    return Path(__file__).resolve().parents[3]


def base() -> dict[str, str]:
    """The environment of every process."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "PYTHONSAFEPATH": "1",
        # glibc gives each thread an arena of its own and seldom hands memory back: two arenas are enough here.
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_TRIM_THRESHOLD_": "131072",
        "GRPC_VERBOSITY": "NONE",
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }


def issuer(ports: Mapping[str, int]) -> str:
    """The OIDC issuer of the managed identities' tokens."""
    return f"https://localhost:{ports['providers_tls']}{ISSUER_PATH}"


def service(
    name: str, *, ports: Mapping[str, int], state: State, secrets: Mapping[str, str], trace_ratio: float
) -> dict[str, str]:
    """The environment of a service; its secrets are not in it but in the vault."""
    providers = f"http://{HOST}:{ports['providers']}"
    peers = {f"LOTPRO_{peer.upper()}_GRPC": f"{HOST}:{ports[f'{peer}_grpc']}" for peer in SERVICES}
    database = f"{HOST}:{ports['postgres']}/{name}"
    return base() | peers | {
        "LOTPRO_ENVIRONMENT": "development",
        "LOTPRO_HOST": HOST,
        "LOTPRO_HTTP_PORT": str(ports[f"{name}_http"]),
        "LOTPRO_GRPC_PORT": str(ports[f"{name}_grpc"]),
        "LOTPRO_DATABASE_URL": f"postgresql+asyncpg://{name}_app@{database}",
        "LOTPRO_MIGRATION_DATABASE_URL": f"postgresql+asyncpg://{name}_owner@{database}",
        "LOTPRO_SERVICEBUS_NAMESPACE": "localhost",
        "LOTPRO_SERVICEBUS_ENDPOINT": f"sb://localhost:{ports['servicebus_tls']}",
        "LOTPRO_CA_BUNDLE": str(state / "ca" / "ca.pem"),
        "LOTPRO_VAULT_URL": f"https://localhost:{ports['providers_tls']}",
        # The SDK wants the vault's challenge to name vault.azure.net's domain, which a vault on localhost cannot.
        "LOTPRO_VAULT_VERIFY_CHALLENGE": "false",
        "LOTPRO_BLOB_URL": f"https://localhost:{ports['providers_tls']}/blob",
        "LOTPRO_CLIENT_ID": client_id(name),
        "LOTPRO_ENTRA_ISSUER": issuer(ports),
        "LOTPRO_ENTRA_JWKS_URL": f"{issuer(ports).removesuffix('/v2.0')}/discovery/v2.0/keys",
        "LOTPRO_SERVICE_PRINCIPALS": ",".join(f"{peer}={client_id(peer)}" for peer in SERVICES),
        "LOTPRO_USER_TOKEN_JWKS_URL": f"http://{HOST}:{ports['identity_http']}/api/identity/v1/jwks.json",
        "LOTPRO_PUBLIC_URL": f"http://localhost:{ports['gateway']}",
        "LOTPRO_OTLP_ENDPOINT": f"{providers}/otlp",
        "LOTPRO_TRACE_RATIO": str(trace_ratio),
        "LOTPRO_AUDIT_SEALING_PUBLIC_KEY": secrets["audit-sealing-public-key"],
        "LOTPRO_STRIPE_API_URL": f"{providers}/stripe",
        "LOTPRO_SENDGRID_API_URL": f"{providers}/sendgrid",
        "LOTPRO_TWILIO_API_URL": f"{providers}/twilio",
        "LOTPRO_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "LOTPRO_TWILIO_FROM_NUMBER": "+15005550010",
        "IDENTITY_ENDPOINT": f"{providers}/msi/token",
        "IDENTITY_HEADER": secrets[f"{name}-identity-header"],
    }


def gateway(*, ports: Mapping[str, int], state: State) -> dict[str, str]:
    """The values of the gateway's configuration; gateway/render.py knows what they mean."""
    return {
        "bind_address": HOST,
        "http_port": str(ports["gateway"]),
        "https_port": str(ports["gateway_tls"]),
        "admin_address": HOST,
        "admin_port": str(ports["gateway_admin"]),
        "tls_certificate": str(state / "ca" / "server.pem"),
        "tls_key": str(state / "ca" / "server.key"),
        "docs_dir": str(state / "gateway" / "docs"),
        "jwks_uri": f"http://{HOST}:{ports['identity_http']}/api/identity/v1/jwks.json",
        "cors_origins": f"http://localhost:{ports['gateway']},https://localhost:{ports['gateway_tls']}",
        # Everybody here shares one address, the tests and the benchmarks too.
        "client_per_second": "5000",
        "client_burst": "10000",
        "global_per_second": "10000",
        "global_burst": "20000",
        **{f"{name}_host": HOST for name in SERVICES},
        **{f"{name}_port": str(ports[f"{name}_http"]) for name in SERVICES},
    }
