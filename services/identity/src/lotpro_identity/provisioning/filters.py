"""SCIM filters (RFC 7644, 3.4.2.2) read into a tree; pure. Nothing of a filter's text ever becomes SQL."""

import json
import re
from dataclasses import dataclass

from lotpro_identity.provisioning.domain import InvalidFilter, is_storable

#: A directory asks short questions; these bounds keep the others from costing anything.
MAX_LENGTH, MAX_DEPTH, MAX_COMPARISONS = 2_000, 20, 50
URN = "urn:ietf:params:scim:schemas:core:2.0:user:"
#: What may be asked for, in lower case as names are compared, and what it is called inside.
ATTRIBUTES = {
    "id": "id", "username": "user_name", "externalid": "external_id", "active": "active",
    "displayname": "formatted_name", "name.formatted": "formatted_name", "name.givenname": "given_name",
    "name.familyname": "family_name", "emails": "email", "emails.value": "email",
}
_TEXT_OPERATORS = frozenset({"eq", "ne", "co", "sw", "ew"})
_OPERATORS = {"active": frozenset({"eq", "ne"}), "id": frozenset({"eq", "ne"})}
_TOKEN = re.compile(r'\s*(?:(?P<bracket>[()])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z][A-Za-z0-9_.:-]*))')


@dataclass(frozen=True, slots=True)
class Compare:
    """An attribute against a value; text without regard to case unless `exact`."""

    attribute: str
    operator: str
    value: str | bool

    @property
    def exact(self) -> bool:
        """Whether case matters: RFC 7643 says so of `id` and `externalId`."""
        return self.attribute in {"id", "external_id"}


@dataclass(frozen=True, slots=True)
class Present:
    """An attribute has a value."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class Both:
    """Both hold."""

    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Either:
    """One of them holds, or both."""

    left: "Node"
    right: "Node"


Node = Compare | Present | Not | Both | Either


def parse(text: str) -> Node:
    """The filter that a text spells; raises InvalidFilter for anything else, and for one that is too large."""
    if len(text) > MAX_LENGTH:
        raise InvalidFilter("The filter is too long.")
    reader = _Reader(_tokens(text))
    node = reader.either(0)
    if reader.peek() is not None:
        raise InvalidFilter("The filter goes on after its end.")
    return node


def _tokens(text: str) -> list[str]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise InvalidFilter("The filter has something in it that is no part of a filter.")
        found.append(match[match.lastgroup or 0])
        at = match.end()
    return found


class _Reader:
    """Recursive descent, `or` weakest, then `and`, then `not`; its depth is bounded."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at, self._comparisons = tokens, 0, 0

    def peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> str:
        token = self.peek()
        if token is None:
            raise InvalidFilter("The filter ends too early.")
        self._at += 1
        return token

    def _is_word(self, word: str) -> bool:
        return (self.peek() or "").lower() == word

    def either(self, depth: int) -> Node:
        node = self._both(depth)
        while self._is_word("or"):
            self._at += 1
            node = Either(node, self._both(depth))
        return node

    def _both(self, depth: int) -> Node:
        node = self._one(depth)
        while self._is_word("and"):
            self._at += 1
            node = Both(node, self._one(depth))
        return node

    def _one(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise InvalidFilter("The filter is nested too deeply.")
        if self._is_word("not"):
            self._at += 1
            if self.peek() != "(":
                raise InvalidFilter("After not comes a parenthesis.")
            return Not(self._one(depth))
        if self.peek() == "(":
            self._at += 1
            node = self.either(depth + 1)
            if self._next() != ")":
                raise InvalidFilter("A parenthesis is not closed.")
            return node
        return self._compare()

    def _compare(self) -> Node:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise InvalidFilter("The filter compares too much.")
        attribute = ATTRIBUTES.get(self._next().lower().removeprefix(URN))
        if attribute is None:
            raise InvalidFilter("The filter asks for an attribute that cannot be filtered by.")
        operator = self._next().lower()
        if operator == "pr":
            return Present(attribute)
        if operator not in _OPERATORS.get(attribute, _TEXT_OPERATORS):
            raise InvalidFilter("The filter compares in a way that this attribute cannot be compared.")
        return Compare(attribute, operator, self._value(attribute))

    def _value(self, attribute: str) -> str | bool:
        token = self._next()
        if attribute == "active":
            # Azure AD quotes its booleans.
            word = token.strip('"').lower()
            if word not in {"true", "false"}:
                raise InvalidFilter("An active user is true or false.")
            return word == "true"
        try:
            value = json.loads(token) if token.startswith('"') else None
        except ValueError:
            value = None
        if not isinstance(value, str) or not is_storable(value):
            raise InvalidFilter("A value is a text in quotes.")
        return value
