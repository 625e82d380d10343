"""The clauses are the published text: every heading, sentence, bullet and table row of it, and nothing else."""

import hashlib
import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import lotpro_policy
from lotpro_policy import sources
from lotpro_policy.document import ClauseGivenTwice, parse_policy

SENTENCE_END = re.compile(r"(?<=[.:;]) (?=[A-Z])")
NAMES_BEFORE_A_COLON = re.compile(r"^[^.;:]+:$")


def sentences(line: str) -> list[str]:
    """The sentences of one line; a label such as "Security:" stays with the sentence that it introduces."""
    found: list[str] = []
    for part in SENTENCE_END.split(line.removeprefix("  • ").strip()):
        if found and NAMES_BEFORE_A_COLON.match(found[-1]):
            found[-1] = f"{found[-1]} {part}"
        else:
            found.append(part)
    return found


def lines() -> list[str]:
    return [line for line in lotpro_policy.policy().text.splitlines() if line.strip()]


def test_every_sentence_bullet_and_row_is_a_clause_and_nothing_is_invented() -> None:
    policy = lotpro_policy.policy()
    headings = set(policy.headings)
    expected = [sentence for line in lines() if line not in headings for sentence in sentences(line)]
    assert [clause.text for clause in policy.clauses.values()] == expected


def test_headings_and_clauses_in_the_files_order_make_the_text_again() -> None:
    file = sources.packaged_yaml("privacy-policy.yaml")
    parts = [
        part
        for section in file["sections"]
        for part in [*section["headings"], *(clause["text"] for clause in section["clauses"])]
    ]
    text = " ".join(line.removeprefix("  • ").strip() for line in lines())
    assert " ".join(parts) == text


def test_the_hash_is_that_of_the_packaged_text() -> None:
    path = Path(lotpro_policy.__file__).with_name("privacy-policy.txt")
    assert lotpro_policy.policy().sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_changed_text_is_refused_until_its_data_is_changed_too() -> None:
    file = sources.packaged_yaml("privacy-policy.yaml")
    with pytest.raises(ValidationError, match="the policy changed without its data"):
        parse_policy(file, lotpro_policy.policy().text.replace("180 days", "365 days"))


def test_an_unknown_key_is_refused() -> None:
    file = sources.packaged_yaml("privacy-policy.yaml") | {"retenton": {}}
    with pytest.raises(ValidationError, match="retenton"):
        parse_policy(file, lotpro_policy.policy().text)


def test_a_clause_id_given_twice_is_refused() -> None:
    file = sources.packaged_yaml("privacy-policy.yaml")
    file["sections"].append(file["sections"][0])
    with pytest.raises(ClauseGivenTwice):
        parse_policy(file, lotpro_policy.policy().text)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(sources.DuplicateKey):
        sources.parse_yaml("retention:\n  codes: {minutes: 10}\n  codes: {minutes: 20}\n")


def test_text_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(yaml.YAMLError):
        sources.parse_yaml("a: [")


def test_the_policy_is_read_once() -> None:
    assert lotpro_policy.policy() is lotpro_policy.policy()
