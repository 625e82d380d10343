"""Events in the Common Event Format, as syslog messages (RFC 5424) with their length before them (RFC 6587); pure."""

from lotpro_audit.events import domain
from lotpro_audit.events.leaf import Leaf
from lotpro_audit.streams import ocsf
from lotpro_kit.caller import Origin

#: RFC 5424: facility 13 (log audit), severity 6 (informational), 4 (warning) and 1 (alert).
_FACILITY = 13
_SYSLOG = {1: 6, 2: 4, 4: 1}
#: CEF's severity (0 to 10) by OCSF's.
_CEF = {1: 3, 2: 5, 4: 8}
_HOST, _APP = "lotpro.space", "audit"
_MILLISECOND = 1000


def frame(leaf: Leaf, origin: Origin | None) -> bytes:
    """One message; where the act came from is left out unless it is given."""
    severity = ocsf.severity(leaf)
    at = leaf.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = f"<{_FACILITY * 8 + _SYSLOG[severity]}>1 {at} {_HOST} {_APP} - - - {line(leaf, origin)}".encode()
    return str(len(message)).encode() + b" " + message


def line(leaf: Leaf, origin: Origin | None) -> str:
    """An event as CEF."""
    header = ("CEF:0", "lotPro", "audit", "1", leaf.action, domain.ocsf(leaf.action).class_name)
    severity = _CEF[ocsf.severity(leaf)]
    extension = " ".join(f"{name}={_extension(value)}" for name, value in _fields(leaf, origin) if value)
    return "|".join(_header(part) for part in header) + f"|{severity}|{extension}"


def _fields(leaf: Leaf, origin: Origin | None) -> list[tuple[str, str]]:
    named: list[tuple[str, str]] = [
        ("rt", str(leaf.occurred_us // _MILLISECOND)), ("externalId", leaf.id), ("act", leaf.action),
        ("outcome", "success" if leaf.success else "failure"), ("suid", leaf.actor_id), ("sproc", leaf.actor_name),
        ("requestContext", leaf.feature),
    ]
    if origin is not None:
        named += [("src", origin.ip), ("requestClientApplication", origin.user_agent)]
    labelled = (
        ("cn1", "sequence", str(leaf.org_seq)), ("cs1", "organisation", leaf.org_id), ("cs2", "store", leaf.store_id),
        ("cs3", "session", leaf.session_id), ("cs4", "factor", leaf.factor),
        ("cs5", "subject", _party(leaf.subject_kind, leaf.subject_id)),
        ("cs6", "concerned", _party(leaf.concerned_kind, leaf.concerned_id)),
        ("flexString1", "changedFields", ",".join(leaf.changed_fields)),
    )
    for name, label, value in labelled:
        if value:
            named += [(f"{name}Label", label), (name, value)]
    return named


def _party(kind: str, party_id: str) -> str:
    return f"{kind}:{party_id}" if kind else ""


def _header(text: str) -> str:
    """CEF: in the header backslash and pipe are escaped; it is one line."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")


def _extension(text: str) -> str:
    """CEF: in a value backslash, equals sign and line breaks are escaped; pipes are not."""
    escaped = text.replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\r", "\\r").replace("\n", "\\n")
