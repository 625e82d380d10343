"""Which messages a subscription's rules let through, and which rules are refused."""

from typing import Any

import pytest

from lotpro_localcloud.servicebus import rules
from lotpro_localcloud.servicebus.message import Parsed

MESSAGE = Parsed(
    time_to_live=None, annotations={}, message_id="id-1", subject="sale", correlation_id=None,
    application={"store": "north", "price": 19900, "rate": 0.5, "demo": True, "o'brien": "it's", "two words": "x"},
    rest=b"",
)


def let_through(expression: str) -> bool:
    (rule,) = rules.load([{"Properties": {"FilterType": "Sql", "SqlFilter": {"SqlExpression": expression}}}])
    return rules.matches(rule, MESSAGE)


@pytest.mark.parametrize("expression", [
    "1=1", "1 = 1", "TRUE", "store = 'north'", "user.store='north'", "store <> 'south'", "store != 'south'",
    "price < 20000", "price > 19899", "price >= 19900 AND price <= 19900", "price > 19899.5", "rate = 0.5",
    "demo", "demo = TRUE", "NOT demo = false", "price > -1",
    "store = 'south' OR price = 19900", "store = 'south' AND missing = 1 OR TRUE", "TRUE OR missing = 1",
    "NOT (store = 'south' AND price = 19900)", "NOT NOT demo",
    "store IN ('south', 'north')", "store NOT IN ('south', 'west')", "price IN (1, 19900)",
    "missing IS NULL", "store IS NOT NULL", "sys.CorrelationId IS NULL",
    "store LIKE 'nor%'", "store LIKE 'n_rth'", "store NOT LIKE 'x%'", "store like '%'",
    "sys.Label = 'sale'", "SYS.label = 'sale'", "sys.MessageId LIKE 'id-%'",
    "[two words] = 'x'", "\"two words\" = 'x'", "[o'brien] = 'it''s'", "user.[two words] IN ('x')",
    "\n store\t=\n'north' ",
])
def test_what_holds_lets_the_message_through(expression: str) -> None:
    assert let_through(expression)


@pytest.mark.parametrize("expression", [
    "1=2", "FALSE", "store = 'North'", "store = 'south'", "price > 19900", "NOT demo", "store LIKE 'orth'",
    "store LIKE 'nor.h'", "store IN ('south')", "store NOT IN ('north')", "store IS NULL", "missing IS NOT NULL",
    "store = 'north' AND price = 1", "sys.Label <> 'sale'",
])
def test_what_does_not_hold_keeps_the_message_out(expression: str) -> None:
    assert not let_through(expression)


@pytest.mark.parametrize("expression", [
    "missing = 'x'", "missing <> 'x'", "NOT missing = 'x'", "missing LIKE '%'", "missing NOT LIKE '%'",
    "missing IN ('x')", "missing NOT IN ('x')", "missing", "NOT missing", "TRUE AND missing = 1",
    "FALSE OR missing = 1", "store = 1", "store <> 1", "price = '19900'", "demo = 1", "demo <> 1", "price LIKE '1%'",
])
def test_what_is_unknown_keeps_the_message_out_also_when_it_is_negated(expression: str) -> None:
    assert not let_through(expression)


@pytest.mark.parametrize("expression", [
    "", "store =", "store = 'north' AND", "(store = 'north'", "store = 'north')", "store LIKE store",
    "store IS 'north'",
    "EXISTS(store)", "price + 1 = 2", "price % 2 = 0", "store LIKE 'a!%' ESCAPE '!'", "sys.EnqueuedTimeUtc = 1",
    "store IN ()", "store IN 'x'", "store == 'x'", "'north", "a b", "newid() = '1'", "store = @x", "price = 1.2.3",
    "price = 1x", "store NOT 'x'", "1=1; DROP TABLE messages", "AND", "other.store = 'x'",
    "(" * 100 + "1=1" + ")" * 100,
])
def test_what_the_broker_does_not_know_is_refused_at_its_start(expression: str) -> None:
    with pytest.raises(rules.Unsupported):
        let_through(expression)


@pytest.mark.parametrize("properties", [
    {"FilterType": "Correlation", "CorrelationFilter": {"SessionId": "x"}}, {"FilterType": "Xpath"},
])
def test_a_filter_that_would_be_ignored_is_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(rules.Unsupported):
        rules.load([{"Properties": properties}])


def test_one_rule_of_several_is_enough() -> None:
    found = rules.load([
        {"Properties": {"FilterType": "Sql", "SqlFilter": {"SqlExpression": "store = 'south'"}}},
        {"Properties": {"FilterType": "Correlation", "CorrelationFilter": {"Label": "sale", "CorrelationId": None}}},
    ])
    assert [rules.matches(rule, MESSAGE) for rule in found] == [False, True]
