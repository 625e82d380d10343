"""A subscription's rules: which messages it wants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lotpro_localcloud.servicebus import sql
from lotpro_localcloud.servicebus.message import Parsed
from lotpro_localcloud.servicebus.sql import Unsupported


@dataclass(frozen=True, slots=True)
class Rule:
    """A correlation filter or an SQL one; with nothing set it matches everything."""

    correlation_id: str | None = None
    message_id: str | None = None
    subject: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    predicate: sql.Predicate | None = None


def load(items: Iterable[Mapping[str, Any]]) -> list[Rule]:
    """Rules from the configuration; none there means one that matches everything. Raises Unsupported."""
    found = [_rule(item.get("Properties", {})) for item in items]
    return found or [Rule()]


def _rule(properties: Mapping[str, Any]) -> Rule:
    kind = properties.get("FilterType", "Correlation")
    if kind == "Sql":
        expression = properties.get("SqlFilter", {}).get("SqlExpression", "1=1")
        # The filter that nearly every subscription has is not worth asking about each message.
        everything = expression.replace(" ", "").lower() in ("1=1", "true")
        return Rule() if everything else Rule(predicate=sql.compile_filter(expression))
    if kind != "Correlation":
        raise Unsupported(f"filter type {kind!r}")
    given = dict(properties.get("CorrelationFilter", {}))
    rule = Rule(
        correlation_id=given.pop("CorrelationId", None), message_id=given.pop("MessageId", None),
        subject=given.pop("Label", None), properties=given.pop("Properties", {}),
    )
    if unknown := [name for name, value in given.items() if value]:
        raise Unsupported(f"correlation by {', '.join(sorted(unknown))}")
    return rule


def matches(rule: Rule, parsed: Parsed) -> bool:
    """Whether every condition that the rule sets holds; "unknown" is not enough."""
    if rule.predicate is not None:
        return rule.predicate(parsed) is True
    if rule.correlation_id is not None and rule.correlation_id != parsed.correlation_id:
        return False
    if rule.message_id is not None and rule.message_id != parsed.message_id:
        return False
    if rule.subject is not None and rule.subject != parsed.subject:
        return False
    return all(parsed.application.get(name) == value for name, value in rule.properties.items())
