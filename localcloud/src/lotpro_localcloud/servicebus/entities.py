"""Queues, topics and subscriptions: what is ready, locked, scheduled, deferred and dead."""

import asyncio
import heapq
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid4

from lotpro_localcloud.servicebus import message, rules, store

DEAD_LETTERS = "/$deadletterqueue"
#: The SDK's lock renewer cannot keep up with shorter locks.
SHORTEST_LOCK = 5.0


class Receiver(Protocol):
    """A link that takes messages while it has credit."""

    credit: int
    settles_on_send: bool

    def deliver(self, entry: "Entry") -> None:
        """Send a message over the link; the caller has already locked it."""


@dataclass(slots=True)
class Entry:
    """A message in a queue."""

    sequence: int
    rest: bytes
    enqueued: float
    expires: float | None = None
    time_to_live: int | None = None
    delivery_count: int = 0
    deferred: bool = False
    dead_letter_source: str | None = None
    due: float = 0.0
    token: UUID | None = None
    locked_until: float = 0.0

    def encoded(self, *, state: int = 0) -> bytes:
        """The bytes a receiver gets."""
        return message.delivered(
            self.rest, delivery_count=self.delivery_count, time_to_live=self.time_to_live, sequence=self.sequence,
            enqueued=self.enqueued, locked_until=self.locked_until if self.token else None, state=state,
            dead_letter_source=self.dead_letter_source,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What an entity allows; seconds."""

    lock: float = 60.0
    max_deliveries: int = 10
    time_to_live: float = 14 * 86400.0
    dead_letter_expired: bool = True
    duplicate_window: float = 0.0


class Queue:
    """Messages in order of arrival, each with one receiver at a time. A subscription is a queue too."""

    def __init__(self, name: str, journal: store.Journal, sequences: "itertools.count[int]", limits: Limits) -> None:
        self.name, self._journal, self._sequences, self.limits = name, journal, sequences, limits
        self._ready: list[tuple[int, Entry]] = []
        self._scheduled: list[tuple[float, int, Entry]] = []
        self._locked: dict[UUID, Entry] = {}
        self._expiring: list[tuple[float, int]] = []
        self.entries: OrderedDict[int, Entry] = OrderedDict()
        self.receivers: deque[Receiver] = deque()
        self.dead_letters: Queue | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._seen: OrderedDict[str, float] = OrderedDict()

    def restore(self, row: store.Row) -> None:
        """Take a message from the journal at start."""
        entry = Entry(
            row.sequence, row.body, row.enqueued, row.expires, row.time_to_live, row.delivery_count,
            bool(row.deferred), row.dead_letter_source, row.due,
        )
        self._place(entry)

    def restore_seen(self, message_id: str, at: float) -> None:
        """Take a duplicate-detection entry from the journal at start."""
        self._seen[message_id] = at

    def is_duplicate(self, message_id: str) -> bool:
        """Whether the id came before within the window; remembers it otherwise."""
        window = self.limits.duplicate_window
        if not window or not message_id:
            return False
        now = time.time()
        while self._seen and next(iter(self._seen.values())) < now - window:
            self._seen.popitem(last=False)
        if message_id in self._seen:
            return True
        self._seen[message_id] = now
        self._journal.write(store.SEEN, (self.name, message_id, now))
        return False

    def put(self, parsed: message.Parsed, *, due: float | None = None) -> int:
        """Add a message to the journal's next commit and to the queue; answers its sequence number.

        Call `settle` after the commit: only then may a receiver see it.
        """
        now = time.time()
        due = due or parsed.scheduled or now
        living = min(parsed.time_to_live / 1000 if parsed.time_to_live else float("inf"), self.limits.time_to_live)
        entry = Entry(
            next(self._sequences), parsed.rest, max(now, due), max(now, due) + living, parsed.time_to_live, due=due
        )
        self._insert(entry)
        self._place(entry)
        return entry.sequence

    def _insert(self, entry: Entry) -> None:
        self._journal.write(
            store.INSERT,
            (entry.sequence, self.name, entry.rest, entry.enqueued, entry.due, entry.expires, entry.time_to_live,
             entry.delivery_count, int(entry.deferred), entry.dead_letter_source),
        )

    def _place(self, entry: Entry) -> None:
        self.entries[entry.sequence] = entry
        if entry.deferred:
            return
        if entry.due > time.time():
            heapq.heappush(self._scheduled, (entry.due, entry.sequence, entry))
            self._wake_at(entry.due)
        else:
            heapq.heappush(self._ready, (entry.sequence, entry))
        if entry.expires is not None:
            heapq.heappush(self._expiring, (entry.expires, entry.sequence))
            self._wake_at(entry.expires)

    def pump(self) -> None:
        """Give ready messages to receivers that have credit, in turn."""
        while self._ready and (receiver := self._next_receiver()):
            _, entry = heapq.heappop(self._ready)
            if entry.sequence not in self.entries or entry.token or entry.deferred:
                continue
            if self._is_expired(entry):
                self._expire(entry)
                continue
            if receiver.settles_on_send:
                receiver.deliver(entry)
                self._remove(entry)
            else:
                self.lock(entry)
                receiver.deliver(entry)

    def _next_receiver(self) -> Receiver | None:
        for _ in range(len(self.receivers)):
            receiver = self.receivers[0]
            self.receivers.rotate(-1)
            if receiver.credit > 0:
                return receiver
        return None

    def lock(self, entry: Entry) -> None:
        """Lock a message for one receiver."""
        entry.token = uuid4()
        entry.locked_until = time.time() + self.limits.lock
        self._locked[entry.token] = entry
        self._wake_at(entry.locked_until)

    def locked(self, token: UUID) -> Entry | None:
        """The message under a lock that still holds."""
        entry = self._locked.get(token)
        return entry if entry is not None and entry.locked_until > time.time() else None

    def renew(self, token: UUID) -> float | None:
        """Lengthen a lock; answers until when, or None when it was lost."""
        entry = self.locked(token)
        if entry is None:
            return None
        entry.locked_until = time.time() + self.limits.lock
        return entry.locked_until

    def complete(self, token: UUID) -> bool:
        """Done with a message; False when the lock was lost."""
        entry = self._unlock(token)
        if entry is None:
            return False
        self._remove(entry)
        return True

    def abandon(self, token: UUID) -> bool:
        """Give a message back, one delivery older; False when the lock was lost."""
        entry = self._unlock(token)
        if entry is None:
            return False
        self._give_back(entry)
        return True

    def defer(self, token: UUID) -> bool:
        """Set a message aside until it is asked for by its number; False when the lock was lost."""
        entry = self._unlock(token)
        if entry is None:
            return False
        entry.deferred = True
        self._journal.write(store.COUNT, (entry.delivery_count, 1, entry.sequence))
        return True

    def bury(self, token: UUID, reason: str, description: str) -> bool:
        """Move a message to the dead letters; False when the lock was lost."""
        entry = self._unlock(token)
        if entry is None:
            return False
        self._bury(entry, reason, description)
        return True

    def cancel(self, sequence: int) -> bool:
        """Take back a message that is not due yet."""
        entry = self.entries.get(sequence)
        if entry is None or entry.due <= time.time():
            return False
        self._remove(entry)
        return True

    def take_deferred(self, sequence: int) -> Entry | None:
        """Lock a deferred message."""
        entry = self.entries.get(sequence)
        if entry is None or not entry.deferred or entry.token:
            return None
        self.lock(entry)
        return entry

    def _unlock(self, token: UUID) -> Entry | None:
        entry = self.locked(token)
        if entry is not None:
            del self._locked[token]
            entry.token = None
        return entry

    def _give_back(self, entry: Entry) -> None:
        entry.delivery_count += 1
        if entry.delivery_count >= self.limits.max_deliveries and self.dead_letters is not None:
            self._bury(
                entry, "MaxDeliveryCountExceeded",
                f"Message could not be consumed after {entry.delivery_count} delivery attempts.",
            )
            return
        if self._is_expired(entry):
            self._expire(entry)
            return
        self._journal.write(store.COUNT, (entry.delivery_count, int(entry.deferred), entry.sequence))
        if not entry.deferred:
            heapq.heappush(self._ready, (entry.sequence, entry))

    def _bury(self, entry: Entry, reason: str, description: str) -> None:
        self._remove(entry)
        if self.dead_letters is None:
            return
        more = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
        dead = Entry(
            next(self._sequences), message.with_application(entry.rest, more), entry.enqueued,
            delivery_count=entry.delivery_count, dead_letter_source=self.name, due=time.time(),
        )
        self.dead_letters.take(dead)

    def take(self, entry: Entry) -> None:
        """A dead message arrives."""
        self._insert(entry)
        self._place(entry)

    def _remove(self, entry: Entry) -> None:
        self.entries.pop(entry.sequence, None)
        self._journal.write(store.DELETE, (entry.sequence,))

    def _is_expired(self, entry: Entry) -> bool:
        return entry.expires is not None and entry.expires <= time.time()

    def _expire(self, entry: Entry) -> None:
        if self.limits.dead_letter_expired:
            self._bury(entry, "TTLExpiredException", "The message expired and was dead lettered.")
        else:
            self._remove(entry)

    def _wake_at(self, moment: float) -> None:
        if moment >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._timer_at = moment
        self._timer = loop.call_later(max(0.0, moment - time.time()) + 0.001, self._tick)

    def _tick(self) -> None:
        """A lock, a schedule or a time to live has come to its end."""
        self._timer, self._timer_at = None, float("inf")
        now = time.time()
        while self._scheduled and self._scheduled[0][0] <= now:
            _, _, entry = heapq.heappop(self._scheduled)
            if entry.sequence in self.entries:
                heapq.heappush(self._ready, (entry.sequence, entry))
        for token, entry in [(t, e) for t, e in self._locked.items() if e.locked_until <= now]:
            del self._locked[token]
            entry.token = None
            self._give_back(entry)
        while self._expiring and self._expiring[0][0] <= now:
            _, sequence = heapq.heappop(self._expiring)
            expired = self.entries.get(sequence)
            # What is locked may still be completed; it ends when it is given back.
            if expired is not None and expired.token is None:
                self._expire(expired)
        while self._expiring and self._expiring[0][1] not in self.entries:
            heapq.heappop(self._expiring)
        moments = [entry.locked_until for entry in self._locked.values()]
        moments += [self._scheduled[0][0]] if self._scheduled else []
        moments += [self._expiring[0][0]] if self._expiring else []
        if moments:
            self._wake_at(min(moments))
        asyncio.ensure_future(self._journal.committed()).add_done_callback(lambda _: self._pump_all())

    def _pump_all(self) -> None:
        self.pump()
        if self.dead_letters is not None:
            self.dead_letters.pump()


class Topic:
    """Copies each message to the subscriptions whose rules match."""

    def __init__(self, name: str, gate: Queue) -> None:
        self.name = name
        self.gate = gate
        self.subscriptions: dict[str, tuple[Queue, list[rules.Rule]]] = {}

    def put(self, parsed: message.Parsed, *, due: float | None = None) -> int:
        """Add to every matching subscription."""
        sequence = 0
        for queue, filters in self.subscriptions.values():
            if any(rules.matches(rule, parsed) for rule in filters):
                sequence = queue.put(parsed, due=due)
        return sequence

    def pump(self) -> None:
        for queue, _ in self.subscriptions.values():
            queue.pump()

    def cancel(self, sequence: int) -> bool:
        cancelled = [queue.cancel(sequence) for queue, _ in self.subscriptions.values()]
        return any(cancelled)


@dataclass(slots=True)
class Namespace:
    """All entities by lower-case path."""

    queues: dict[str, Queue] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)

    def target(self, path: str) -> Queue | Topic | None:
        """Where a sender's messages go: subscriptions and dead letters, whose paths have a slash, take none."""
        return None if "/" in path else self.topics.get(path.lower()) or self.queues.get(path.lower())

    def source(self, path: str) -> Queue | None:
        """Where a receiver's messages come from."""
        return self.queues.get(path.lower())


def build(config: Mapping[str, Any], journal: store.Journal) -> Namespace:
    """The entities of a configuration in the layout of Microsoft's emulator, with the journal's messages in them."""
    rows = list(journal.rows())
    sequences = itertools.count(max((row.sequence for row in rows), default=0) + 1)
    namespace = Namespace()

    def queue(name: str, limits: Limits, *, dead: bool = True) -> Queue:
        made = Queue(name, journal, sequences, limits)
        namespace.queues[name.lower()] = made
        if dead:
            made.dead_letters = queue(name + DEAD_LETTERS, Limits(lock=limits.lock, max_deliveries=2**31), dead=False)
        return made

    for space in config["UserConfig"]["Namespaces"]:
        for item in space.get("Queues", ()):
            queue(item["Name"], _limits(item.get("Properties", {})))
        for item in space.get("Topics", ()):
            name, own = item["Name"], _limits(item.get("Properties", {}))
            topic = Topic(name, Queue(name, journal, sequences, own))
            namespace.topics[name.lower()] = topic
            for subscription in item.get("Subscriptions", ()):
                limits = _limits(subscription.get("Properties", {}))
                made = queue(f"{name}/Subscriptions/{subscription['Name']}", limits)
                topic.subscriptions[subscription["Name"].lower()] = (made, rules.load(subscription.get("Rules", ())))
    known: dict[str, Callable[[str, float], None]] = {}
    known |= {topic.gate.name: topic.gate.restore_seen for topic in namespace.topics.values()}
    known |= {q.name: q.restore_seen for q in namespace.queues.values()}
    for entity, message_id, at in journal.seen():
        if entity in known:
            known[entity](message_id, at)
    for row in rows:
        if (home := namespace.queues.get(row.entity.lower())) is not None:
            home.restore(row)
    return namespace


def _limits(properties: Mapping[str, Any]) -> Limits:
    return Limits(
        lock=max(SHORTEST_LOCK, _seconds(properties.get("LockDuration", "PT1M"))),
        max_deliveries=int(properties.get("MaxDeliveryCount", 10)),
        time_to_live=_seconds(properties.get("DefaultMessageTimeToLive", "P14D")),
        dead_letter_expired=bool(properties.get("DeadLetteringOnMessageExpiration", True)),
        duplicate_window=_seconds(properties.get("DuplicateDetectionHistoryTimeWindow", "PT10M"))
        if properties.get("RequiresDuplicateDetection") else 0.0,
    )


def _seconds(duration: str) -> float:
    """An ISO 8601 duration of days, hours, minutes and seconds."""
    date, _, clock = duration.removeprefix("P").partition("T")
    total, number = 0.0, ""
    units = {"D": 86400, "H": 3600, "M": 60, "S": 1}
    for letter in date + clock:
        if letter in units:
            total += float(number) * units[letter]
            number = ""
        else:
            number += letter
    return total
