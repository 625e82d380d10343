"""Owns the gateway's configuration: fills envoy.yaml.in with an environment's values and the lists written once."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import yaml

HERE = Path(__file__).parent
SERVICES = ("identity", "inventory", "billing", "notifications", "privacy", "audit")

# What every environment must say for itself.
REQUIRED = frozenset(
    {
        "bind_address",
        "http_port",
        "https_port",
        "admin_address",
        "admin_port",
        "tls_certificate",
        "tls_key",
        "docs_dir",
        "jwks_uri",
        "cors_origins",
        *(f"{service}_{part}" for service in SERVICES for part in ("host", "port")),
    }
)

# What is the same everywhere unless an environment has a reason. Sizes in bytes, rates in requests; see README.md.
DEFAULTS: Mapping[str, str] = {
    "jwt_issuer": "https://lotpro.space/identity",
    "jwt_audience": "lotpro",
    "jwt_max_lifetime": "330s",
    "trusted_hops": "0",
    "max_body_bytes": "1048576",
    "max_connections": "10000",
    "global_per_second": "2000",
    "global_burst": "4000",
    "client_per_second": "100",
    "client_burst": "200",
    "idle_seconds": "60s",
}

# Envoy's own answers: status -> title, code, detail. Services answer with codes of their own.
PROBLEMS: Mapping[int, tuple[str, str, str]] = {
    400: ("Bad Request", "gateway.malformed_request", "The request is not well-formed HTTP."),
    401: ("Unauthorized", "gateway.unauthenticated", "A valid access token is needed: missing, expired or not ours."),
    403: ("Forbidden", "gateway.origin_refused", "A request with our cookies must come from our own pages."),
    404: ("Not Found", "gateway.not_found", "There is nothing at this address."),
    408: ("Request Timeout", "gateway.request_timeout", "The request was not complete in time."),
    413: ("Content Too Large", "gateway.body_too_large", "The body is larger than the gateway accepts."),
    426: ("Upgrade Required", "gateway.upgrade_required", "HTTP/1.1 or newer is needed."),
    429: ("Too Many Requests", "gateway.rate_limited", "Slow down: the limit refills every second."),
    431: ("Request Header Fields Too Large", "gateway.headers_too_large", "The headers are too large or too many."),
    502: ("Bad Gateway", "gateway.bad_answer", "The service's answer could not be read."),
    503: ("Service Unavailable", "gateway.unavailable", "The service is not ready; try again shortly."),
    504: ("Gateway Timeout", "gateway.timeout", "The service did not answer in time."),
}
NOT_READY = ("Service Unavailable", "gateway.not_ready", "At least one service is not ready.")
OTHER = ("Refused", "gateway.refused", "The gateway could not serve this request.")

# ASVS 5.0 chapter 3.4; the policy of a page that needs more than nothing is set on its route.
SECURITY_HEADERS: Mapping[str, str] = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

# Told about the software behind the door.
RESPONSE_HEADERS_REMOVED = ("server", "x-powered-by", "x-envoy-upstream-service-time", "via")

# Only the gateway or a platform may say these; a client that does is lying.
REQUEST_HEADERS_REMOVED = (
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "x-identity-header",
    "x-lotpro-org",
    "x-lotpro-user",
    "x-lotpro-roles",
    "x-lotpro-session",
    "x-envoy-external-address",
    "x-envoy-internal",
)


class MissingValues(ValueError):
    """The environment leaves out values that the configuration needs."""


class UnknownValues(ValueError):
    """The environment gives values that the configuration does not know."""


def render(values: Mapping[str, str]) -> str:
    """Envoy's configuration (YAML) for one environment.

    `values` holds all of REQUIRED and may replace any of DEFAULTS; `cors_origins` is a comma-separated list of origins,
    which may be empty. Raises MissingValues and UnknownValues, naming them.
    """
    if missing := sorted(REQUIRED - values.keys()):
        raise MissingValues(f"missing: {', '.join(missing)}")
    if unknown := sorted(values.keys() - REQUIRED - DEFAULTS.keys()):
        raise UnknownValues(f"unknown: {', '.join(unknown)}")
    given = {**DEFAULTS, **values}
    origins = [origin.strip() for origin in given.pop("cors_origins").split(",") if origin.strip()]
    lists = {
        "cors_origins": json.dumps([{"exact": origin} for origin in origins]),
        "csrf_origins": json.dumps([{"exact": urlsplit(origin).netloc} for origin in origins]),
        "problems": json.dumps(list(_problems())),
        "all_healthy": json.dumps({service: {"value": 100} for service in SERVICES}),
        "public_rules": "\n".join(f"{14 * ' '}- {json.dumps(rule)}" for rule in _public_rules()),
        "routes": "".join(Template(_text("route.yaml.in")).substitute(service=service) for service in SERVICES),
        "clusters": "".join(
            Template(_text("cluster.yaml.in")).substitute(
                service=service,
                host=given[f"{service}_host"],
                port=given[f"{service}_port"],
                idle_seconds=given["idle_seconds"],
            )
            for service in SERVICES
        ),
        "request_mutations": json.dumps(list(_request_mutations())),
        "response_mutations": json.dumps(list(_response_mutations())),
    }
    return Template(_text("envoy.yaml.in")).substitute(given, **lists)


def command(envoy: Path, config: Path, *, concurrency: int = 2) -> list[str]:
    """How Envoy is started everywhere: one process without hot restart, logs as JSON, `concurrency` worker threads."""
    return [
        str(envoy),
        *("--config-path", str(config)),
        *("--concurrency", str(concurrency)),
        "--disable-hot-restart",
        *("--log-level", "warning"),
        # Identity's keys are asked for every second until it is up: not worth a line each time, /healthz tells.
        *("--component-log-level", "jwt:critical,filter:critical"),
        *("--file-flush-interval-msec", "1000"),
    ]


def public_paths() -> list[dict[str, str]]:
    """The rows of public-paths.yaml: method, why, and either path or below."""
    rows: list[dict[str, str]] = yaml.safe_load(_text("public-paths.yaml"))
    return rows


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _public_rules() -> Iterator[dict[str, Any]]:
    for row in public_paths():
        where = {"path": row["path"]} if "path" in row else {"path_separated_prefix": row["below"]}
        yield {"match": {**where, "headers": [{"name": ":method", "string_match": {"exact": row["method"]}}]}}


def _problems() -> Iterator[dict[str, Any]]:
    """Mappers from Envoy's own answers to problems; the first that fits is used."""
    healthz = {"header_filter": {"header": {"name": ":path", "string_match": {"exact": "/healthz"}}}}
    yield _problem(NOT_READY, {"and_filter": {"filters": [_status("EQ", 503), healthz]}})
    # Envoy calls a token for another audience forbidden; to us it is no token.
    yield _problem(PROBLEMS[401], {"and_filter": {"filters": [_status("EQ", 403), _from_jwt()]}}) | {"status_code": 401}
    for status, problem in PROBLEMS.items():
        yield _problem(problem, _status("EQ", status))
    yield _problem(OTHER, _status("GE", 400))


def _problem(problem: tuple[str, str, str], applies: dict[str, Any]) -> dict[str, Any]:
    title, code, detail = problem
    headers = dict(SECURITY_HEADERS)
    if code == "gateway.unauthenticated":
        headers |= {"www-authenticate": "Bearer"}
    if code == "gateway.rate_limited":
        # The buckets refill every second, so that a refused client has none left and gets some within one.
        headers |= {"retry-after": "1", "ratelimit": '"gateway";r=0;t=1'}
    if code in ("gateway.unavailable", "gateway.not_ready"):
        headers |= {"retry-after": "1"}
    return {
        "filter": applies,
        "headers_to_add": [_header(key, value) for key, value in headers.items()],
        "body_format_override": {
            "content_type": "application/problem+json",
            "json_format": {
                "type": "about:blank",
                "title": title,
                "status": "%RESPONSE_CODE%",
                "code": code,
                "detail": detail,
                "errors": [],
                "trace_id": "%STREAM_ID%",
            },
        },
    }


def _status(comparison: str, status: int) -> dict[str, Any]:
    return {
        "status_code_filter": {
            "comparison": {"op": comparison, "value": {"default_value": status, "runtime_key": "gateway.unused"}}
        }
    }


def _from_jwt() -> dict[str, Any]:
    return {
        "extension_filter": {
            "name": "cel",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": "response.code_details.startsWith('jwt_authn')",
            },
        }
    }


def _header(key: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> dict[str, Any]:
    return {"header": {"key": key, "value": value}, "append_action": action}


def _request_mutations() -> Iterator[dict[str, Any]]:
    for name in REQUEST_HEADERS_REMOVED:
        yield {"remove": name}
    # Services see one address, the client's as the gateway knows it, and never what the client claims.
    yield {"append": _header("x-forwarded-for", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")}


def _response_mutations() -> Iterator[dict[str, Any]]:
    for name in RESPONSE_HEADERS_REMOVED:
        yield {"remove": name}
    for key, value in SECURITY_HEADERS.items():
        own = "ADD_IF_ABSENT" if key == "content-security-policy" else "OVERWRITE_IF_EXISTS_OR_ADD"
        yield {"append": _header(key, value, own)}


def main(arguments: list[str] | None = None) -> int:
    """`python gateway/render.py --set key=value ... -o FILE`; exit status 2 when values are missing or unknown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="values")
    parser.add_argument("-o", metavar="FILE", required=True, type=Path, dest="output")
    options = parser.parse_args(arguments)
    pairs = [pair.partition("=") for pair in options.values]
    try:
        text = render({key: value for key, _, value in pairs})
    except (MissingValues, UnknownValues) as error:
        parser.error(str(error))
    options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
