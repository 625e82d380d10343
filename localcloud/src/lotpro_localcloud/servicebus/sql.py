"""SQL filters of rules, the part of Azure's grammar without arithmetic, EXISTS and ESCAPE, in three-valued logic."""

import operator
import re
from collections.abc import Callable
from typing import Any

from lotpro_localcloud.servicebus.message import Parsed

#: True, False, or None for "unknown": what a comparison with a property that is not there gives.
Predicate = Callable[[Parsed], bool | None]
_Operand = Callable[[Parsed], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    | (?P<name>(?:(?:sys|user)\.)?(?:[A-Za-z_]\w*|\[[^\]]+\]|"[^"]+"))
    | (?P<sign><>|!=|<=|>=|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}
_WORDS = {"and", "or", "not", "in", "is", "null", "like", "true", "false", "exists", "escape"}
_SYSTEM: dict[str, _Operand] = {
    "messageid": lambda parsed: parsed.message_id or None,
    "label": lambda parsed: parsed.subject,
    "correlationid": lambda parsed: parsed.correlation_id,
}
_MAX_DEPTH = 50


class Unsupported(Exception):
    """An expression outside the grammar that this broker knows."""


def compile_filter(expression: str) -> Predicate:
    """The predicate that an expression states; raises Unsupported."""
    parser = _Parser(expression, _tokens(expression))
    predicate = parser.either(0)
    parser.end()
    return predicate


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, at, text = [], 0, expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise Unsupported(f"{expression!r} at {at}")
        kind, value = match.lastgroup, match[match.lastgroup]
        is_word = kind == "name" and value.lower() in _WORDS
        found.append(("word", value.lower()) if is_word else (kind, value))
        at = match.end()
    return found


class _Parser:
    """Recursive descent: OR over AND over NOT over one predicate."""

    def __init__(self, expression: str, tokens: list[tuple[str, str]]) -> None:
        self._expression, self._tokens, self._at = expression, tokens, 0

    def either(self, depth: int) -> Predicate:
        left = self._both(depth)
        while self._taken("word", "or"):
            left = _or(left, self._both(depth))
        return left

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise self._unsupported()

    def _both(self, depth: int) -> Predicate:
        left = self._negation(depth)
        while self._taken("word", "and"):
            left = _and(left, self._negation(depth))
        return left

    def _negation(self, depth: int) -> Predicate:
        if depth > _MAX_DEPTH:
            raise self._unsupported()
        if self._taken("word", "not"):
            return _not(self._negation(depth + 1))
        if self._taken("sign", "("):
            inner = self.either(depth + 1)
            self._expect("sign", ")")
            return inner
        return self._predicate()

    def _predicate(self) -> Predicate:
        left = self._operand()
        kind, value = self._peek()
        if kind == "sign" and value in _COMPARISONS:
            self._at += 1
            return _compare(_COMPARISONS[value], left, self._operand())
        if self._taken("word", "is"):
            absent = not self._taken("word", "not")
            self._expect("word", "null")
            return lambda parsed: (left(parsed) is None) is absent
        negated = self._taken("word", "not")
        if self._taken("word", "in"):
            found = self._among(left)
        elif self._taken("word", "like"):
            found = _like(left, self._pattern())
        elif negated:
            raise self._unsupported()
        else:
            return _truth(left)
        return _not(found) if negated else found

    def _among(self, left: _Operand) -> Predicate:
        self._expect("sign", "(")
        found = _compare(operator.eq, left, self._operand())
        while self._taken("sign", ","):
            found = _or(found, _compare(operator.eq, left, self._operand()))
        self._expect("sign", ")")
        return found

    def _pattern(self) -> "re.Pattern[str]":
        kind, value = self._next()
        if kind != "text":
            raise self._unsupported()
        parts = {"%": ".*", "_": "."}
        return re.compile("".join(parts.get(letter, re.escape(letter)) for letter in _unquoted(value)), re.DOTALL)

    def _operand(self) -> _Operand:
        kind, value = self._next()
        if kind == "text":
            text = _unquoted(value)
            return lambda _: text
        if kind == "number":
            number = float(value) if "." in value else int(value)
            return lambda _: number
        if kind == "word" and value in ("true", "false"):
            return lambda _: value == "true"
        if kind == "name":
            return self._property(value)
        raise self._unsupported()

    def _property(self, value: str) -> _Operand:
        scope, dot, name = value.partition(".") if value[0] not in '["' else ("", "", value)
        name = name if dot or not scope else scope
        name = name[1:-1] if name[0] in '["' else name
        if dot and scope.lower() == "sys":
            if name.lower() not in _SYSTEM:
                raise self._unsupported()
            return _SYSTEM[name.lower()]
        return lambda parsed: parsed.application.get(name)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _taken(self, kind: str, value: str) -> bool:
        if self._peek() != (kind, value):
            return False
        self._at += 1
        return True

    def _expect(self, kind: str, value: str) -> None:
        if not self._taken(kind, value):
            raise self._unsupported()

    def _unsupported(self) -> Unsupported:
        return Unsupported(f"{self._expression!r} near {self._peek()[1]!r}")


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")


def _compare(compare: Callable[[Any, Any], bool], left: _Operand, right: _Operand) -> Predicate:
    def predicate(parsed: Parsed) -> bool | None:
        one, other = left(parsed), right(parsed)
        return compare(one, other) if _kind(one) == _kind(other) != "" else None

    return predicate


def _kind(value: Any) -> str:
    """Values of one kind can be compared; those of none cannot."""
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else ""


def _like(left: _Operand, pattern: "re.Pattern[str]") -> Predicate:
    def predicate(parsed: Parsed) -> bool | None:
        value = left(parsed)
        return pattern.fullmatch(value) is not None if isinstance(value, str) else None

    return predicate


def _truth(operand: _Operand) -> Predicate:
    def predicate(parsed: Parsed) -> bool | None:
        value = operand(parsed)
        return value if isinstance(value, bool) else None

    return predicate


def _not(inner: Predicate) -> Predicate:
    def predicate(parsed: Parsed) -> bool | None:
        found = inner(parsed)
        return None if found is None else not found

    return predicate


def _and(left: Predicate, right: Predicate) -> Predicate:
    def predicate(parsed: Parsed) -> bool | None:
        one, other = left(parsed), right(parsed)
        if one is False or other is False:
            return False
        return None if one is None or other is None else True

    return predicate


def _or(left: Predicate, right: Predicate) -> Predicate:
    def predicate(parsed: Parsed) -> bool | None:
        one, other = left(parsed), right(parsed)
        if one or other:
            return True
        return None if one is None or other is None else False

    return predicate
