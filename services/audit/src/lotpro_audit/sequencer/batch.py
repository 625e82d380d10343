"""A batch of the log: events as leaves and rows, numbered, and what the tree becomes by them; pure."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from lotpro_audit.events import domain, leaf, origins
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.events.leaf import Leaf
from lotpro_audit.tree import service as tree_service
from lotpro_audit.tree.domain import leaf_hash
from lotpro_audit.tree.notes import SigningKey
from lotpro_audit.tree.service import Growth, Tree
from lotpro_kit.crypto import SubjectKey

#: Data keys, and the last numbers of organisations' own sequences, by whose they are as events name it.
Keys = Mapping[str, SubjectKey]
Heads = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Batch:
    """New events as they are written."""

    now: datetime
    #: The rows of each day.
    rows: Mapping[date, Sequence[tuple[object, ...]]]
    #: Each event's id, its place, and when it happened.
    claims: Sequence[tuple[UUID, int, datetime]]
    #: How far the sequence of each organisation in it is then.
    heads: Heads
    growth: Growth


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes batches of events that were checked, under the keys the log is signed and searched by."""

    ip_index: Callable[[str], bytes]
    signing_key: Callable[[], SigningKey]

    def make(
        self, events: Sequence[tuple[SecurityEvent, date]], *, tree: Tree, heads: Heads, keys: Keys, now: datetime
    ) -> Batch:
        """The batch of events, each with its day, that comes next after a tree and the organisations' heads."""
        rows: dict[date, list[tuple[object, ...]]] = defaultdict(list)
        hashes, moved, logged_us = [], dict(heads), leaf.microseconds(now)
        for seq, (event, day) in enumerate(events, tree.size):
            org_seq = moved[event.org_id] = moved[event.org_id] + 1
            made = self._leaf(event, keys, seq=seq, org_seq=org_seq, logged_us=logged_us)
            indexed, rest = leaf.parts(made)
            hashes.append(leaf_hash(indexed + rest))
            rows[day].append(_row(event, made, rest))
        claims = [(event.id, seq, event.occurred_at) for seq, (event, _) in enumerate(events, tree.size)]
        return Batch(now, rows, claims, moved, tree_service.grow(tree, hashes, self.signing_key()))

    def _leaf(self, event: SecurityEvent, keys: Keys, *, seq: int, org_seq: int, logged_us: int) -> Leaf:
        came = event.origin
        origin = origins.seal(came, keys[key_of(event)], event.id) if came.ip or came.user_agent else b""
        action, cut = event.action, domain.cut
        # By place, because this is done for every event: by name it takes twice as long.
        return Leaf(
            seq, org_seq, str(event.id), event.org_id, event.store_id, leaf.microseconds(event.occurred_at), action,
            event.success, event.actor_id, event.subject_id, event.concerned_id, event.session_id,
            self.ip_index(came.ip) if came.ip else b"", logged_us, event.actor_kind, event.actor_name,
            event.subject_kind, event.concerned_kind, domain.ocsf(action).class_uid, domain.activity(action),
            cut(event.factor), cut(event.feature), event.duration_ms, cut(event.request_id), cut(event.trace_id),
            event.changed_fields, origin, event.expiry,
        )


def key_of(event: SecurityEvent) -> str:
    """Whose key an event's origin is encrypted under: the person's, so that it can be forgotten with them."""
    return event.actor_id or event.org_id


def _row(event: SecurityEvent, made: Leaf, rest: bytes) -> tuple[object, ...]:
    return (
        event.occurred_at, made.seq, made.org_seq, event.org_id or None, event.store_id or None,
        event.actor_id or None, event.subject_id or None, event.concerned_id or None, event.session_id or None,
        made.ip_index or None, event.success, event.action, rest,
    )
