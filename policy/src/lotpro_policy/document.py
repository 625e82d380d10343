"""Owns the privacy policy as data: its clauses, tables and deadlines, checked against the published text."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from lotpro_policy import sources
from lotpro_policy.clocks import Clocks
from lotpro_policy.period import Period
from lotpro_policy.record import Record

ClauseId = Annotated[str, StringConstraints(pattern=r"^[a-z]+\.[a-z0-9-]+$")]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
ServiceName = Literal["identity", "inventory", "billing", "notifications", "privacy", "audit"]
Owner = Literal[
    "identity", "inventory", "billing", "notifications", "privacy", "audit", "gateway", "web", "infra", "company"
]


class ProofKind(StrEnum):
    """How a promise is shown to be kept."""

    BEHAVIOUR = "behaviour"  # a test drives the running suite and sees it
    MANIFEST = "manifest"  # the services' data manifests declare it, and the build compares them with the schema
    RETENTION = "retention"  # a retention job deletes it on time
    CONFIGURATION = "configuration"  # the gateway's, cloud's or pipeline's configuration is inspected
    PAGE = "page"  # the published page or client shows it
    ORGANISATION = "organisation"  # contracts, people and notices; nothing a program can show
    STATEMENT = "statement"  # introduces other clauses and promises nothing by itself


class Proof(Record):
    """What shows that a clause is kept, and who answers for it."""

    kind: ProofKind
    owners: tuple[Owner, ...] = ()
    shown_by: str = ""

    @model_validator(mode="after")
    def _a_promise_has_an_owner(self) -> Self:
        if self.kind is not ProofKind.STATEMENT and not (self.owners and self.shown_by):
            raise ValueError(f"a {self.kind} proof names its owners and what shows it")
        return self


class Clause(Record):
    """One sentence, bullet or table row of the policy, word for word."""

    id: ClauseId
    section: str
    text: str
    proof: Proof


class Trigger(StrEnum):
    """The event from which a retention period runs."""

    RECORDED = "recorded"
    ISSUED = "issued"
    LAST_USED = "last_used"
    LAST_ACTIVE = "last_active"
    DELETION_REQUESTED = "deletion_requested"
    ACCOUNT_ENDED = "account_ended"
    INVOICE_ISSUED = "invoice_issued"
    CASE_CLOSED = "case_closed"
    SETTLED = "settled"  # a technical row has done its work


class AtEnd(StrEnum):
    """What happens when the period has run."""

    DELETE = "delete"
    ANONYMISE = "anonymise"


class Retention(Record):
    """How long one kind of data is kept: `period` after `trigger`, then `at_end`.

    `stated` is the policy's own wording, or the reason when the policy does not list it (then `clause` is None).
    """

    data: str
    stated: str
    clause: ClauseId | None = None
    period: Period
    trigger: Trigger
    at_end: AtEnd = AtEnd.DELETE

    @property
    def duration(self) -> timedelta:
        """The exact length; raises period.NoFixedLength for the calendar years and months of some rows."""
        return self.period.length

    def expires_at(self, triggered_at: datetime) -> datetime:
        """When data whose trigger happened then must be gone."""
        return self.period.after(triggered_at)

    def cutoff(self, as_of: datetime) -> datetime:
        """Data whose trigger happened before this moment has outlived its period at `as_of`."""
        return self.period.before(as_of)


class CookieName(Record):
    """One cookie that is set, and for how long: None is until the browser closes."""

    name: str
    max_age: Period | None
    about: str


class CookieType(Record):
    """One row of the cookie table, with the cookies that are set under it."""

    clause: ClauseId
    purpose: str
    duration: str
    max_age: Period | None
    can_be_disabled: bool
    cookies: tuple[CookieName, ...]

    @model_validator(mode="after")
    def _no_cookie_outlives_its_type(self) -> Self:
        for cookie in self.cookies:
            if cookie.max_age is not None and (self.max_age is None or cookie.max_age.length > self.max_age.length):
                raise ValueError(f"cookie {cookie.name} would outlive the policy's {self.duration!r}")
        return self


class Right(Record):
    """One right of a data subject."""

    clause: ClauseId
    title: str
    law: str
    about: str


class Processor(Record):
    """A provider that processes data for lotPro."""

    clause: ClauseId
    name: str
    purpose: str
    services: tuple[ServiceName, ...]
    data: tuple[Key, ...]


class Purpose(Record):
    """Why data is used; every column in a data manifest names one."""

    clause: ClauseId
    about: str


class DataCategory(Record):
    """A kind of data that lotPro collects and the services that keep it."""

    clause: ClauseId
    about: str
    collected: Literal["provided", "automatically"]
    services: tuple[ServiceName, ...]
    retention: tuple[Key, ...]


class Contacts(Record):
    """The addresses that the policy publishes."""

    privacy_email: str


class Policy(Record):
    """The policy of this release."""

    version: str
    last_updated: str
    sha256: str
    text: str
    headings: tuple[str, ...]
    clauses: Mapping[ClauseId, Clause]
    retention: Mapping[Key, Retention]
    cookies: Mapping[Key, CookieType]
    rights: Mapping[Key, Right]
    processors: Mapping[Key, Processor]
    purposes: Mapping[Key, Purpose]
    data_categories: Mapping[Key, DataCategory]
    contacts: Contacts
    clocks: Clocks

    @model_validator(mode="after")
    def _is_the_published_text(self) -> Self:
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        if digest != self.sha256:
            raise ValueError(f"the text's sha256 is {digest}, not {self.sha256}: the policy changed without its data")
        return self

    @model_validator(mode="after")
    def _every_reference_exists(self) -> Self:
        rows: list[Retention | CookieType | Right | Processor | Purpose | DataCategory] = [
            *self.retention.values(),
            *self.cookies.values(),
            *self.rights.values(),
            *self.processors.values(),
            *self.purposes.values(),
            *self.data_categories.values(),
        ]
        missing = {row.clause for row in rows if row.clause is not None} - set(self.clauses)
        if missing:
            raise ValueError(f"clauses that do not exist: {sorted(missing)}")
        keys = {key for row in self.data_categories.values() for key in row.retention} - set(self.retention)
        if keys:
            raise ValueError(f"retention keys that do not exist: {sorted(keys)}")
        categories = {key for row in self.processors.values() for key in row.data} - set(self.data_categories)
        if categories:
            raise ValueError(f"data categories that do not exist: {sorted(categories)}")
        return self


class _ClauseRow(Record):
    id: ClauseId
    text: str
    proof: Proof


class _Section(Record):
    """A run of the text: its headings as printed, then its clauses in order."""

    section: str
    headings: tuple[str, ...]
    clauses: tuple[_ClauseRow, ...] = ()


class _File(Record):
    version: str
    last_updated: str
    sha256: str
    sections: tuple[_Section, ...]
    retention: dict[Key, Retention]
    cookies: dict[Key, CookieType]
    rights: dict[Key, Right]
    processors: dict[Key, Processor]
    purposes: dict[Key, Purpose]
    data_categories: dict[Key, DataCategory]
    contacts: Contacts
    clocks: Clocks


class ClauseGivenTwice(ValueError):
    """Two clauses have one id."""


def _clauses(sections: tuple[_Section, ...]) -> Iterator[Clause]:
    for section in sections:
        for row in section.clauses:
            yield Clause(id=row.id, section=section.section, text=row.text, proof=row.proof)


def parse_policy(value: object, text: str) -> Policy:
    """The policy of a parsed privacy-policy.yaml and its text.

    Raises pydantic.ValidationError when the file is malformed or does not belong to the text, ClauseGivenTwice.
    """
    file = _File.model_validate(value)
    clauses: dict[ClauseId, Clause] = {}
    for clause in _clauses(file.sections):
        if clause.id in clauses:
            raise ClauseGivenTwice(clause.id)
        clauses[clause.id] = clause
    return Policy(
        text=text,
        headings=tuple(heading for section in file.sections for heading in section.headings),
        clauses=clauses,
        **{name: getattr(file, name) for name in _File.model_fields if name != "sections"},
    )


@cache
def policy() -> Policy:
    """The policy of this release, read and checked once."""
    return parse_policy(sources.packaged_yaml("privacy-policy.yaml"), sources.packaged_text("privacy-policy.txt"))
