"""A leaf's bytes: what of an event the tree proves, as JSON with its keys in one order; pure.

The indexed keys come first and are always there, so that the database can write the same text from its columns and a
verifier can compare the two without reading JSON.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

#: Whose sequence events of no organisation are in, and whose key opens what belongs to nobody.
NOBODY = UUID(int=0)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: The indexed part of a leaf as the database writes it from a row's columns.
INDEXED_SQL = (
    "concat('{\"seq\":', seq, ',\"org_seq\":', org_seq"
    + "".join(
        f", ',\"{key}\":', {value}"
        for key, value in (
            ("org", "coalesce('\"' || org_id || '\"', 'null')"),
            ("store", "coalesce('\"' || store_id || '\"', 'null')"),
            ("at", "(extract(epoch FROM occurred_at) * 1000000)::bigint"),
            ("action", "'\"', action, '\"'"),
            ("ok", "CASE WHEN success THEN 'true' ELSE 'false' END"),
            ("actor", "coalesce('\"' || actor_id || '\"', 'null')"),
            ("subject", "coalesce('\"' || subject_id || '\"', 'null')"),
            ("concerned", "coalesce('\"' || concerned_id || '\"', 'null')"),
            ("session", "coalesce('\"' || session_id || '\"', 'null')"),
            ("ip", "coalesce('\"' || encode(ip_index, 'hex') || '\"', 'null')"),
        )
    )
    + ")"
)


class Leaf(NamedTuple):
    """An event in the log. Ids are UUIDs as text, empty where there is none; times are microseconds since 1970.

    `key` says whose data key opens `origin`, the sealed address and browser: the `actor`'s, the `org`'s or `nobody`'s.
    """

    seq: int
    org_seq: int
    id: str
    org_id: str
    store_id: str
    occurred_us: int
    action: str
    success: bool
    actor_id: str
    subject_id: str
    concerned_id: str
    session_id: str
    ip_index: bytes
    logged_us: int
    actor_kind: str = ""
    actor_name: str = ""
    subject_kind: str = ""
    concerned_kind: str = ""
    class_uid: int = 0
    activity_id: int = 0
    factor: str = ""
    feature: str = ""
    #: How long a page was looked at, in milliseconds; 0 where that is not known.
    duration_ms: int = 0
    request_id: str = ""
    trace_id: str = ""
    changed_fields: tuple[str, ...] = ()
    key: str = ""
    origin: bytes = b""
    #: What the log says of a day that went.
    expiry: Mapping[str, Any] | None = None

    @property
    def key_id(self) -> UUID:
        """Whose data key opens `origin`."""
        named = {"actor": self.actor_id, "org": self.org_id}.get(self.key)
        return UUID(named) if named else NOBODY

    @property
    def occurred_at(self) -> datetime:
        return moment(self.occurred_us)

    @property
    def logged_at(self) -> datetime:
        return moment(self.logged_us)


def microseconds(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """What `microseconds` counted."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _quoted(text: str) -> str:
    return f'"{text}"' if text else "null"


def write(leaf: Leaf) -> bytes:
    """The leaf's bytes. `action` and kinds are names of ours and need no escaping; what strangers chose is escaped."""
    indexed = (
        f'{{"seq":{leaf.seq},"org_seq":{leaf.org_seq},"org":{_quoted(leaf.org_id)},"store":{_quoted(leaf.store_id)}'
        f',"at":{leaf.occurred_us},"action":"{leaf.action}","ok":{"true" if leaf.success else "false"}'
        f',"actor":{_quoted(leaf.actor_id)},"subject":{_quoted(leaf.subject_id)}'
        f',"concerned":{_quoted(leaf.concerned_id)},"session":{_quoted(leaf.session_id)}'
        f',"ip":{_quoted(leaf.ip_index.hex())}'
        f',"id":"{leaf.id}","logged":{leaf.logged_us},"class":{leaf.class_uid}'
        f',"activity":{leaf.activity_id}'
    )
    rest = {
        name: value
        for name, value in (
            ("actor_kind", leaf.actor_kind), ("actor_name", leaf.actor_name), ("subject_kind", leaf.subject_kind),
            ("concerned_kind", leaf.concerned_kind), ("factor", leaf.factor), ("feature", leaf.feature),
            ("duration", leaf.duration_ms), ("request", leaf.request_id), ("trace", leaf.trace_id),
            ("changed", leaf.changed_fields), ("key", leaf.key),
        )
        if value
    }
    more = _dumps(rest)[1:-1]
    origin = f',"origin":"{b64encode(leaf.origin).decode()}"' if leaf.origin else ""
    expiry = f',"expiry":{_dumps(leaf.expiry)}' if leaf.expiry else ""
    return f"{indexed},{more}{origin}{expiry}}}".encode() if more else f"{indexed}{origin}{expiry}}}".encode()


_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def read(content: bytes) -> Leaf:
    """The leaf that `write` wrote; raises ValueError when it is no leaf."""
    try:
        found = json.loads(content)
        return Leaf(
            seq=found["seq"], org_seq=found["org_seq"], id=found["id"], org_id=found["org"] or "",
            store_id=found["store"] or "", occurred_us=found["at"], action=found["action"], success=found["ok"],
            actor_id=found["actor"] or "", subject_id=found["subject"] or "", concerned_id=found["concerned"] or "",
            session_id=found["session"] or "", ip_index=bytes.fromhex(found["ip"] or ""), logged_us=found["logged"],
            actor_kind=found.get("actor_kind", ""), actor_name=found.get("actor_name", ""),
            subject_kind=found.get("subject_kind", ""), concerned_kind=found.get("concerned_kind", ""),
            class_uid=found["class"], activity_id=found["activity"], factor=found.get("factor", ""),
            feature=found.get("feature", ""), duration_ms=found.get("duration", 0),
            request_id=found.get("request", ""), trace_id=found.get("trace", ""),
            changed_fields=tuple(found.get("changed", ())), key=found.get("key", ""),
            origin=b64decode(found.get("origin", "")), expiry=found.get("expiry"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("this is no leaf of the log") from error

