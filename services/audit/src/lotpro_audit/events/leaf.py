"""A leaf's bytes: what of an event the tree proves, as JSON with its keys in one order; pure.

The indexed keys come first. The log keeps them as its columns and only the rest as text, and spells the leaf from both:
what is searched and what is proven cannot differ, and nothing is stored twice. What an event does not have is left out.
"""

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import from_json

#: Whose sequence events of no organisation are in, and whose key opens what belongs to nobody.
NOBODY = UUID(int=0)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: The indexed part of a leaf as the database writes it from a row's columns. What is empty is null, and nothing that is
#: there is ever empty. Seconds in double precision are right to the microsecond, and read much faster than as numbers.
INDEXED_SQL = (
    "concat('{\"seq\":', seq, ',\"org_seq\":', org_seq, ',\"org\":\"' || org_id || '\"',"
    " ',\"store\":\"' || store_id || '\"', ',\"at\":', (date_part('epoch', occurred_at) * 1000000)::bigint,"
    " ',\"action\":\"', action, '\",\"ok\":', CASE WHEN success THEN 'true' ELSE 'false' END,"
    " ',\"actor\":\"' || actor_id || '\"', ',\"subject\":\"' || subject_id || '\"',"
    " ',\"concerned\":\"' || concerned_id || '\"', ',\"session\":\"' || session_id || '\"',"
    " ',\"ip\":\"' || encode(ip_index, 'hex') || '\"', ',\"id\":\"')"
)
#: The leaf's bytes, of a row of the log.
LEAF_SQL = f"(convert_to({INDEXED_SQL}, 'UTF8') || rest)"
#: What kind of actor a person is; it goes without saying.
PERSON = "user"


class Leaf(NamedTuple):
    """An event in the log. Ids are UUIDs as text, empty where there is none; times are microseconds since 1970.

    `origin` is the sealed address and browser; the data key of the person who acted opens it, or the organisation's.
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
    origin: bytes = b""
    #: What the log says of a day that went, or of held events that did.
    expiry: Mapping[str, Any] | None = None

    @property
    def key_owner(self) -> str:
        """Whose data key opens `origin`: the person's, so that it can be forgotten with them, or the organisation's."""
        return self.actor_id or self.org_id

    @property
    def occurred_at(self) -> datetime:
        return moment(self.occurred_us)

    @property
    def logged_at(self) -> datetime:
        return moment(self.logged_us)


def subject(text: str) -> UUID:
    """Whose something is, by their id as a leaf has it."""
    return UUID(text) if text else NOBODY


def microseconds(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """What `microseconds` counted."""
    return _EPOCH + timedelta(microseconds=microseconds)


def write(leaf: Leaf) -> bytes:
    """The leaf's bytes."""
    return b"".join(parts(leaf))


def parts(leaf: Leaf) -> tuple[bytes, bytes]:
    """The leaf's bytes in two: those that a row's columns say (INDEXED_SQL), and the rest, which begins with the id.

    Ids, kinds and `action` are spelled by us and not escaped; what others chose is escaped.
    """
    (
        seq, org_seq, event_id, org, store, occurred_us, action, success, actor, subject, concerned, session, ip,
        logged_us, actor_kind, actor_name, subject_kind, concerned_kind, class_uid, activity_id, factor, feature,
        duration, request, trace, changed, origin, expiry,
    ) = leaf
    indexed = (
        f'{{"seq":{seq},"org_seq":{org_seq}'
        + (f',"org":"{org}"' if org else "")
        + (f',"store":"{store}"' if store else "")
        + f',"at":{occurred_us},"action":"{action}","ok":{"true" if success else "false"}'
        + (f',"actor":"{actor}"' if actor else "")
        + (f',"subject":"{subject}"' if subject else "")
        + (f',"concerned":"{concerned}"' if concerned else "")
        + (f',"session":"{session}"' if session else "")
        + (f',"ip":"{ip.hex()}"' if ip else "")
        + ',"id":"'
    )
    rest = (
        f'{event_id}","lag":{logged_us - occurred_us},"ocsf":[{class_uid},{activity_id}]'
        + (f',"actor_kind":"{actor_kind}"' if actor_kind != PERSON else "")
        + (f',"actor_name":"{actor_name}"' if actor_name else "")
        + (f',"subject_kind":"{subject_kind}"' if subject_kind else "")
        + (f',"concerned_kind":"{concerned_kind}"' if concerned_kind else "")
        + (f',"factor":{_quoted(factor)}' if factor else "")
        + (f',"feature":{_quoted(feature)}' if feature else "")
        + (f',"duration":{duration}' if duration else "")
        + (f',"request":{_quoted(request)}' if request else "")
        + (f',"trace":{_quoted(trace)}' if trace else "")
        + (f',"changed":{_dumps(changed)}' if changed else "")
        + (f',"origin":"{b2a_base64(origin, newline=False).decode()}"' if origin else "")
        + (f',"expiry":{_dumps(expiry)}' if expiry else "")
        + "}"
    )
    return indexed.encode(), rest.encode()


_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def read(content: bytes) -> Leaf:
    """The leaf that `write` wrote; raises ValueError when it is no leaf."""
    try:
        found = from_json(content, cache_strings="keys")
        class_uid, activity_id = found["ocsf"]
        text, occurred_us = found.get, found["at"]
        # By place, as it is done for every event of a page: by name it takes longer.
        return Leaf(
            found["seq"], found["org_seq"], found["id"], text("org", ""), text("store", ""), occurred_us,
            found["action"], found["ok"], text("actor", ""), text("subject", ""), text("concerned", ""),
            text("session", ""), bytes.fromhex(text("ip", "")), occurred_us + found["lag"],
            text("actor_kind", PERSON), text("actor_name", ""), text("subject_kind", ""), text("concerned_kind", ""),
            class_uid, activity_id, text("factor", ""), text("feature", ""), text("duration", 0), text("request", ""),
            text("trace", ""), tuple(text("changed", ())), a2b_base64(text("origin", "")), text("expiry"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("this is no leaf of the log") from error

