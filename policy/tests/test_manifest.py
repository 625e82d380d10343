"""The data manifest: strict when read, and compared with the database's tables."""

from pathlib import Path

import pytest
from pydantic import ValidationError

import lotpro_policy
from lotpro_policy.manifest import DataClass

MANIFEST = """
service: identity
tables:
  accounts:
    about: People who sign in.
    columns:
      id: {class: identifier, subject: member, purpose: billing, lawful_basis: contract, retention: sessions}
      email: {class: contact, subject: member, purpose: billing, lawful_basis: contract, retention: sessions}
    technical: [version, created_at]
  outbox:
    technical: [id, body]
"""


@pytest.fixture
def manifest(tmp_path: Path) -> lotpro_policy.Manifest:
    path = tmp_path / "manifest.yaml"
    path.write_text(MANIFEST)
    return lotpro_policy.load_manifest(path)


def test_a_manifest_lists_its_personal_columns(manifest: lotpro_policy.Manifest) -> None:
    assert [(table, column, row.data_class) for table, column, row in manifest.columns()] == [
        ("accounts", "id", DataClass.IDENTIFIER),
        ("accounts", "email", DataClass.CONTACT),
    ]


def test_a_manifest_that_matches_the_tables_has_nothing_undeclared(manifest: lotpro_policy.Manifest) -> None:
    tables = {"accounts": ["id", "email", "version", "created_at"], "outbox": ["id", "body"]}
    assert lotpro_policy.undeclared(manifest, tables) == []


def test_undeclared_tables_and_columns_and_declared_ghosts_are_named(manifest: lotpro_policy.Manifest) -> None:
    tables = {"accounts": ["id", "version", "created_at", "phone"], "invitations": ["id"]}
    assert lotpro_policy.undeclared(manifest, tables) == [
        "accounts.email (not stored)",
        "accounts.phone",
        "invitations",
        "outbox (not stored)",
    ]


COLUMN = {
    "class": "contact",
    "subject": "member",
    "purpose": "security",
    "lawful_basis": "contract",
    "retention": "security_logs",
}


@pytest.mark.parametrize(
    "change",
    [
        {"class": "gossip"},
        {"retention": "forever"},
        {"purpose": "curiosity"},
        {"lawful_basis": "none"},
        {"lawful_basis": "because"},
        {"subject": "nobody"},
        {"note": "unknown key"},
    ],
)
def test_a_malformed_declaration_is_refused(change: dict[str, str]) -> None:
    table = {"columns": {"email": COLUMN | change}}
    with pytest.raises(ValidationError):
        lotpro_policy.parse_manifest({"service": "identity", "tables": {"accounts": table}})


def test_a_column_declared_twice_is_refused() -> None:
    table = {"columns": {"email": COLUMN}, "technical": ["email"]}
    with pytest.raises(ValidationError, match="declared twice"):
        lotpro_policy.parse_manifest({"service": "identity", "tables": {"accounts": table}})
