"""What an export is of, how long it is kept, and whether it has everything; pure."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID, uuid5

from lotpro_kit import errors

#: An export is made to be fetched; what is not is gone after a day, so that no copy of an event here outlives its
#: 180 days (policy, retention.security-logs) by more than that.
KEPT = timedelta(days=1)
#: Exports of one organisation that are kept at a time.
MOST_KEPT = 20
#: Whoever works on an export has it for so long after each step; when they die, somebody else goes on then.
LEASE = timedelta(seconds=30)
#: Workers that made no progress on an export, one after another, before it is given up.
MOST_TRIES = 5

#: First and last of the organisation's own numbers, without a gap.
Run = tuple[int, int]


class ExportUnknown(errors.NotFound):
    """There is no such export of the organisation, or not any more."""

    code = "audit.export_unknown"
    message = "There is no such export, or it has expired."


class ExportNotReady(errors.Conflict):
    """The export has no content yet, or never will have."""

    code = "audit.export_not_ready"
    message = "The export is not finished."


class TooManyExports(errors.Conflict):
    """The organisation keeps as many exports as it may."""

    code = "audit.too_many_exports"
    message = "There are too many exports. Delete one, or wait until one expires."


class LogIncomplete(Exception):
    """Events are missing that did not go with their day: somebody took them."""


class State(StrEnum):
    """How far an export is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Format(StrEnum):
    """How an export is spelled."""

    JSONL = "jsonl"
    CSV = "csv"


class Expired(NamedTuple):
    """The organisation's numbers that went with a day (UTC, ISO 8601)."""

    first: int
    last: int
    day: str


class Extent(NamedTuple):
    """What an export was looked through from, and what of it had expired."""

    first: int
    gaps: tuple[Expired, ...]


def opening_id(export_id: UUID) -> UUID:
    """The id of the event that says that an export was opened: always the same, so that it is said once."""
    return uuid5(export_id, "audit:export:open")


def percent(events: int, total: int | None, state: State) -> int:
    """How much is done; 100 only when all is."""
    if state is State.DONE:
        return 100
    return min(99, events * 100 // total) if total else 0


def joined(runs: Iterable[Run]) -> list[Run]:
    """Ascending runs, those that follow one another as one."""
    found: list[Run] = []
    for first, last in runs:
        if found and found[-1][1] == first - 1:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def complete_extent(done: Sequence[Run], expired: Sequence[Expired], last: int) -> Extent:
    """What a complete export has: every number up to `last` is done or has expired; raises LogIncomplete.

    `done` and `expired` are ascending.
    """
    gaps = [part for missing in _missing(done, last) for part in _expired_within(missing, expired)]
    if sum(part.last - part.first + 1 for part in gaps) + sum(end - begin + 1 for begin, end in done) != last:
        raise LogIncomplete
    first = done[0][0] if done else last + 1
    return Extent(first, tuple(part for part in gaps if part.first > first))


def filtered_extent(done: Sequence[Run], expired: Sequence[Expired], last: int) -> Extent:
    """What a filtered export was looked through: from the first number that has not expired, or that it has."""
    first = 1
    for run in expired:
        if run.first > first:
            break
        first = max(first, run.last + 1)
    return Extent(min([first, last + 1, *(begin for begin, _ in done)]), ())


def _missing(done: Sequence[Run], last: int) -> list[Run]:
    found, reached = [], 0
    for begin, end in [*done, (last + 1, last + 1)]:
        if begin > reached + 1:
            found.append((reached + 1, begin - 1))
        reached = end
    return found


def _expired_within(missing: Run, expired: Sequence[Expired]) -> list[Expired]:
    """The parts of expired runs within a stretch."""
    return [
        Expired(max(run.first, missing[0]), min(run.last, missing[1]), run.day)
        for run in expired
        if run.first <= missing[1] and run.last >= missing[0]
    ]
