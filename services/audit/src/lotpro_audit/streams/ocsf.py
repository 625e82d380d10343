"""Events in the shape of the Open Cybersecurity Schema Framework 1.x; pure."""

from typing import Any

from lotpro_audit.events import domain
from lotpro_audit.events.leaf import Leaf
from lotpro_kit.caller import Origin

VERSION = "1.3.0"
PRODUCT = {"name": "lotPro", "vendor_name": "lotPro", "feature": {"name": "audit"}}
#: severity_id: Informational, Low, High.
_INFORMATIONAL, _LOW, _HIGH = 1, 2, 4
_FINDINGS = 2
_USER, _MILLISECOND = "user", 1000


def severity(leaf: Leaf) -> int:
    """High for what somebody ought to look at, Low for what failed."""
    if leaf.class_uid // 1000 == _FINDINGS:
        return _HIGH
    return _INFORMATIONAL if leaf.success else _LOW


def event(leaf: Leaf, origin: Origin | None) -> dict[str, Any]:
    """An event; where the act came from is left out unless it is given."""
    found: dict[str, Any] = {
        "metadata": {
            "version": VERSION, "product": PRODUCT, "uid": leaf.id, "sequence": leaf.org_seq,
            "event_code": leaf.action, "logged_time": leaf.logged_us // _MILLISECOND, "tenant_uid": leaf.org_id,
            **({"correlation_uid": leaf.trace_id} if leaf.trace_id else {}),
        },
        "time": leaf.occurred_us // _MILLISECOND,
        "category_uid": leaf.class_uid // 1000,
        "class_uid": leaf.class_uid,
        "class_name": domain.ocsf(leaf.action).class_name,
        "activity_id": leaf.activity_id,
        "type_uid": leaf.class_uid * 100 + leaf.activity_id,
        "severity_id": severity(leaf),
        "status_id": 1 if leaf.success else 2,
        "status": "Success" if leaf.success else "Failure",
        "actor": _actor(leaf),
        "unmapped": _unmapped(leaf),
    }
    if origin is not None and origin.ip:
        found["src_endpoint"] = {"ip": origin.ip}
    if origin is not None and origin.user_agent:
        found["http_request"] = {"user_agent": origin.user_agent}
    return found


def _actor(leaf: Leaf) -> dict[str, Any]:
    who: dict[str, Any] = {"user": {"uid": leaf.actor_id}} if leaf.actor_id else {"app_name": leaf.actor_name}
    return who | ({"session": {"uid": leaf.session_id}} if leaf.session_id else {})


def _unmapped(leaf: Leaf) -> dict[str, Any]:
    """What the schema has no place for, by the names of our own API; what is empty is left out."""
    named = {
        "actor_kind": leaf.actor_kind, "subject_kind": leaf.subject_kind, "subject_id": leaf.subject_id,
        "concerned_kind": leaf.concerned_kind, "concerned_id": leaf.concerned_id, "store_id": leaf.store_id,
        "factor": leaf.factor, "feature": leaf.feature, "request_id": leaf.request_id,
        "changed_fields": list(leaf.changed_fields), "seq": leaf.seq,
    }
    return {name: value for name, value in named.items() if value not in ("", [])}
