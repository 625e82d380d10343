"""Owns the data manifest: what every service declares about each table and column it stores."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from lotpro_policy import sources
from lotpro_policy.document import policy
from lotpro_policy.record import Record

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class DataClass(StrEnum):
    """What kind of personal data a column holds."""

    IDENTIFIER = "identifier"  # tells a person apart: user id, subject pseudonym
    CONTACT = "contact"  # name, e-mail address, phone number, postal address
    PROFILE = "profile"  # job title, department, picture
    CREDENTIAL = "credential"  # password hash, second factor, token hash
    SECURITY = "security"  # IP address, user agent, login attempt, session
    DEVICE = "device"  # trusted device
    BUSINESS = "business"  # inventory and sales as far as they concern a person
    CUSTOMER = "customer"  # a dealer's own customers
    BILLING = "billing"  # subscription, invoice, payment
    COMMUNICATION = "communication"  # messages sent, support requests
    PREFERENCE = "preference"  # choices and settings
    EVIDENCE = "evidence"  # privacy cases
    TECHNICAL = "technical"  # nothing about a person


class Subject(StrEnum):
    """Whose data it is."""

    MEMBER = "member"  # a user of lotPro
    CUSTOMER = "customer"  # a dealer's customer: the dealer is the controller
    REQUESTER = "requester"  # whoever makes a privacy request
    NOBODY = "nobody"


class LawfulBasis(StrEnum):
    """GDPR Article 6(1)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    LEGITIMATE_INTERESTS = "legitimate_interests"
    NONE = "none"  # no personal data


class Column(Record):
    """What one column holds, whose it is, why, on which ground and how long."""

    data_class: DataClass = Field(alias="class")
    subject: Subject
    purpose: str
    lawful_basis: LawfulBasis
    retention: str

    @model_validator(mode="after")
    def _keys_exist(self) -> Self:
        if self.retention not in policy().retention:
            raise ValueError(f"retention {self.retention!r} is not in the policy's retention table")
        if self.purpose not in policy().purposes:
            raise ValueError(f"purpose {self.purpose!r} is not one of the policy's purposes")
        if (self.data_class is DataClass.TECHNICAL) != (self.subject is Subject.NOBODY):
            raise ValueError("a technical column is nobody's, and only a technical one is")
        if self.subject is not Subject.NOBODY and self.lawful_basis is LawfulBasis.NONE:
            raise ValueError("personal data needs a lawful basis")
        return self


class Table(Record):
    """One table: personal columns one by one, columns without personal data as a list."""

    about: str = ""
    retention: str = "operational"
    columns: Mapping[Name, Column] = Field(default_factory=dict)
    technical: tuple[Name, ...] = ()

    @property
    def declared(self) -> frozenset[str]:
        """Every column that this manifest speaks of."""
        return frozenset(self.columns) | frozenset(self.technical)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.retention not in policy().retention:
            raise ValueError(f"retention {self.retention!r} is not in the policy's retention table")
        twice = set(self.columns) & set(self.technical) | {c for c in self.technical if self.technical.count(c) > 1}
        if twice:
            raise ValueError(f"columns declared twice: {sorted(twice)}")
        return self


class Manifest(Record):
    """What one service stores."""

    service: Name
    tables: Mapping[Name, Table]

    def columns(self) -> Iterable[tuple[str, str, Column]]:
        """(table, column, declaration) of every column that holds personal data."""
        for table_name, table in self.tables.items():
            for column_name, column in table.columns.items():
                if column.data_class is not DataClass.TECHNICAL:
                    yield table_name, column_name, column


def parse_manifest(value: object) -> Manifest:
    """The manifest of a parsed YAML file; raises pydantic.ValidationError when a key is unknown or missing."""
    return Manifest.model_validate(value)


def load_manifest(path: Path) -> Manifest:
    """The manifest in this file; raises OSError, yaml.YAMLError or pydantic.ValidationError."""
    return parse_manifest(sources.yaml_file(path))


def undeclared(manifest: Manifest, metadata_tables: Mapping[str, Iterable[str]]) -> list[str]:
    """Where the manifest and the database's tables (name -> column names) disagree, sorted; empty when they agree.

    "table" and "table.column" are stored but not declared; with " (not stored)" they are declared but do not exist.
    """
    stored = {table: frozenset(columns) for table, columns in metadata_tables.items()}
    found = []
    for table, columns in stored.items():
        if table not in manifest.tables:
            found.append(table)
        else:
            declared = manifest.tables[table].declared
            found += [f"{table}.{column}" for column in columns - declared]
            found += [f"{table}.{column} (not stored)" for column in declared - columns]
    found += [f"{table} (not stored)" for table in manifest.tables.keys() - stored.keys()]
    return sorted(found)
