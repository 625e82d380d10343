"""A subscription's rules: which messages it wants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lotpro_localcloud.servicebus.message import Parsed


class Unsupported(Exception):
    """A rule this broker does not know."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A correlation filter; with nothing set it matches everything."""

    correlation_id: str | None = None
    message_id: str | None = None
    subject: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


def load(items: Iterable[Mapping[str, Any]]) -> list[Rule]:
    """Rules from the configuration; none there means one that matches everything. Raises Unsupported."""
    found = [_rule(item.get("Properties", {})) for item in items]
    return found or [Rule()]


def _rule(properties: Mapping[str, Any]) -> Rule:
    kind = properties.get("FilterType", "Correlation")
    if kind == "Sql":
        expression = properties.get("SqlFilter", {}).get("SqlExpression", "1=1").replace(" ", "")
        if expression in ("1=1", "TRUE", "true"):
            return Rule()
        raise Unsupported(expression)
    given = properties.get("CorrelationFilter", {})
    return Rule(
        correlation_id=given.get("CorrelationId"), message_id=given.get("MessageId"), subject=given.get("Label"),
        properties=given.get("Properties", {}),
    )


def matches(rule: Rule, parsed: Parsed) -> bool:
    """Whether every condition that the rule sets holds."""
    if rule.correlation_id is not None and rule.correlation_id != parsed.correlation_id:
        return False
    if rule.message_id is not None and rule.message_id != parsed.message_id:
        return False
    if rule.subject is not None and rule.subject != parsed.subject:
        return False
    return all(parsed.application.get(name) == value for name, value in rule.properties.items())
