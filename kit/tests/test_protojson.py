"""Our reader of flat messages says what protobuf's own one says, of anything."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from lotpro.security.v1 import events_pb2
from lotpro_kit import protojson

EVENT = events_pb2.SecurityEvent
NAMES = [name for field in EVENT.DESCRIPTOR.fields for name in (field.name, field.json_name)]
MOMENTS = st.sampled_from(["2026-11-03T12:00:00Z", "2026-11-03T12:00:00.123456+02:00", "2026-11-03", "yesterday", ""])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES: st.SearchStrategy[Any] = st.one_of(
    TEXTS, MOMENTS, st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False),
    st.lists(TEXTS, max_size=3), st.dictionaries(TEXTS, TEXTS, max_size=2),
    st.sampled_from(["OUTCOME_SUCCESS", "OUTCOME_NEW", "aGVsbG8", "_-8="]),
    st.lists(st.none(), min_size=1, max_size=2),
)


def outcome(read: Any, content: object) -> Message | None:
    """The message, or None when it is refused in a way that the bus counts as unreadable."""
    try:
        found: Message = read(content)
    except (ParseError, TypeError, ValueError, AttributeError):
        return None
    return found


@given(st.dictionaries(st.sampled_from([*NAMES, "unknown"]), VALUES, max_size=6))
def test_it_reads_and_refuses_what_protobuf_does(content: dict[str, Any]) -> None:
    theirs = outcome(lambda given: ParseDict(given, EVENT(), ignore_unknown_fields=True), content)
    assert outcome(lambda given: protojson.read(EVENT, given), content) == theirs


@given(
    st.builds(
        EVENT, action=TEXTS, actor_id=TEXTS, outcome=st.sampled_from([0, 1, 2]), sealed_origin=st.binary(max_size=90),
        changed_fields=st.lists(TEXTS, max_size=3),
    ),
    st.booleans(),
)
def test_what_is_written_is_read(event: Message, by_field_name: bool) -> None:
    content = json.loads(json.dumps(MessageToDict(event, preserving_proto_field_name=by_field_name)))
    assert protojson.read(EVENT, content) == event


def test_a_message_that_is_not_flat_is_read_too() -> None:
    from google.protobuf import struct_pb2

    assert protojson.read(struct_pb2.Struct, {"a": [1, {"b": None}]}) == ParseDict(
        {"a": [1, {"b": None}]}, struct_pb2.Struct()
    )


@pytest.mark.parametrize("content", [[], "text", 5, None])
def test_what_is_no_object_is_refused(content: object) -> None:
    with pytest.raises(ParseError):
        protojson.read(EVENT, content)
