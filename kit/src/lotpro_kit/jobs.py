"""Scheduled work: every job takes `--as-of` and `--dry-run`, may run twice, and reports counts."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Run:
    """How a job is to run: as if it were `as_of` (UTC); a dry run counts and changes nothing."""

    as_of: datetime
    dry_run: bool = False


Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Job:
    """A named piece of scheduled work; `about` says what it does.

    `schedule` is its cron line in production, empty for work that somebody starts by hand.
    """

    name: str
    about: str
    schedule: str
    work: Callable[[Run], Awaitable[Counts]]
