"""Filters: what they find, against an oracle in Python, and what is refused however it is dressed up."""

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lotpro_identity.provisioning import filters
from lotpro_identity.provisioning.domain import InvalidFilter
from lotpro_identity.provisioning.filters import Both, Compare, Either, Node, Not, Present
from services.identity.tests.provisioning.conftest import Directory

REFUSED = [
    "", " ", "userName", "userName eq", 'userName eq "x', 'userName eq "x" and', 'userName eq "x" garbage',
    "userName eq x", "userName eq 7", "userName eq null", 'password eq "x"', 'userName gt "x"', 'userName like "x"',
    'userName eq "x" or', 'not userName eq "x"', '(userName eq "x"', 'userName eq "x")', "()", "((((", "))))",
    'active eq "maybe"', 'active co "t"', 'id sw "0"', "userName eq 'x'", 'userName eq "x"; DROP TABLE accounts',
    'userName eq "x\\q"', 'userName eq "a\\u0000b"', 'userName eq "\\ud800"', 'emails[type eq "work"]', "🙂",
    "(" * 10_000, "(" * 10_000 + 'userName eq "x"' + ")" * 10_000, "not " * 5_000,
    "(" * 50 + 'userName eq "x"' + ")" * 50, "not (" * 50 + 'userName eq "x"' + ")" * 50,
    'userName eq "' + "x" * 60_000 + '"', " or ".join(['id eq "1"'] * 100),
]


async def test_what_is_no_filter_is_refused_and_never_breaks(directory: Directory) -> None:
    for text in REFUSED:
        answer = await directory.send("GET", "/Users", filter=text)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter"), text[:100]


async def test_a_value_is_a_value_whatever_it_spells(directory: Directory) -> None:
    await directory.created()
    spells = ["' OR 1=1 --", "'; DROP TABLE accounts; --", '\\"', "%", "_", "\\\\", "$1", ":org", "{x}", "x" * 1_900]
    for operator, value in itertools.product(("eq", "co", "sw", "ew"), spells):
        answer = await directory.send("GET", "/Users", filter=f'userName {operator} "{value}"')
        assert answer.status_code == 200, answer.text
        assert answer.json()["totalResults"] == 0


async def test_filters_find_whom_they_name(directory: Directory) -> None:
    anna = await directory.created(externalId="E-1", name={"givenName": "Anna"})
    ben = await directory.created(externalId="e-1", active=False)
    cleo = await directory.created(displayName="100%_Cleo")

    async def found(text: str) -> list[str]:
        answer = await directory.send("GET", "/Users", filter=text)
        assert answer.status_code == 200, answer.text
        return [entry["id"] for entry in answer.json()["Resources"]]

    everybody = [anna["id"], ben["id"], cleo["id"]]
    expected: dict[str, list[str]] = {
        f'userName eq "{anna["userName"].upper()}"': [anna["id"]],
        f'urn:ietf:params:scim:schemas:core:2.0:User:userName EQ "{anna["userName"]}"': [anna["id"]],
        f'emails.value eq "{ben["userName"]}"': [ben["id"]],
        'externalId eq "E-1"': [anna["id"]],
        'externalId ne "E-1"': [ben["id"], cleo["id"]],
        "externalId pr": [anna["id"], ben["id"]],
        "not (externalId pr)": [cleo["id"]],
        'not (externalId eq "E-1")': [ben["id"], cleo["id"]],
        "active eq true": [anna["id"], cleo["id"]],
        'active eq "False"': [ben["id"]],
        'active eq false or externalId eq "E-1"': [anna["id"], ben["id"]],
        'externalId pr and active eq true or displayName co "cleo"': [anna["id"], cleo["id"]],
        'externalId pr and (active eq false or displayName co "cleo")': [ben["id"]],
        'displayName sw "100%_"': [cleo["id"]],
        'displayName ew "%"': [],
        f'id eq "{ben["id"]}"': [ben["id"]],
        'id eq "nonsense"': [],
        'id ne "nonsense"': everybody,
        'name.givenName eq "ANNA"': [anna["id"]],
    }
    assert {text: await found(text) for text in expected} == expected


async def test_pages_are_as_asked_and_hold_everybody_once(directory: Directory) -> None:
    users = [(await directory.created())["id"] for _ in range(5)]

    async def page(**query: Any) -> tuple[int, int, list[str]]:
        body = (await directory.send("GET", "/Users", **query)).json()
        assert body["itemsPerPage"] == len(body["Resources"])
        return body["totalResults"], body["startIndex"], [entry["id"] for entry in body["Resources"]]

    assert await page() == (5, 1, users)
    assert await page(startIndex=1, count=2) == (5, 1, users[:2])
    assert await page(startIndex=3, count=2) == (5, 3, users[2:4])
    assert await page(startIndex=5, count=200) == (5, 5, users[4:])
    assert await page(startIndex=6) == (5, 6, [])
    assert await page(startIndex=-4, count=1) == (5, 1, users[:1])
    assert await page(count=0) == (5, 1, [])
    assert await page(count=-1) == (5, 1, [])
    assert (await page(startIndex="9" * 18))[0] == 5
    for query in ({"startIndex": "x"}, {"count": "1.5"}, {"count": "9" * 30}, {"startIndex": ""}, {"count": "٣x"}):
        answer = await directory.send("GET", "/Users", **query)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue"), query


WORDS = st.sampled_from(["a", "b", "ab", "B"])
LEAVES = st.builds(
    Compare, st.sampled_from(["user_name", "external_id"]), st.sampled_from(["eq", "ne", "co", "sw", "ew"]), WORDS
) | st.builds(Compare, st.just("active"), st.sampled_from(["eq", "ne"]), st.booleans()) | st.builds(
    Present, st.just("external_id")
)
NODES = st.recursive(
    LEAVES, lambda inner: st.builds(Not, inner) | st.builds(Both, inner, inner) | st.builds(Either, inner, inner),
    max_leaves=12,
)
NAMES = {"user_name": "userName", "external_id": "externalId", "active": "active"}


def spelled(node: Node) -> str:
    match node:
        case Both(left, right):
            return f"({spelled(left)} and {spelled(right)})"
        case Either(left, right):
            return f"({spelled(left)} or {spelled(right)})"
        case Not(part):
            return f"not ({spelled(part)})"
        case Present(attribute):
            return f"{NAMES[attribute]} pr"
        case Compare(attribute, operator, value):
            text = str(value).lower() if isinstance(value, bool) else f'"{value}"'
            return f"{NAMES[attribute]} {operator} {text}"


@given(NODES)
def test_what_is_spelled_is_read_as_it_was(node: Node) -> None:
    assert filters.parse(spelled(node)) == node


@given(st.text(max_size=200) | st.text(alphabet='()" andortequsrNm\\', max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    read: Callable[[str], Node] = filters.parse
    try:
        read(text)
    except InvalidFilter:
        return
