"""The export file's spelling."""

import csv
import io
import json
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotpro_audit.exports import format as lines
from lotpro_audit.exports.format import (
    CSV,
    JSON_LINES,
    Event,
    Format,
    Gap,
    Header,
    Held,
    Malformed,
    UnknownExport,
    Writer,
)
from services.audit.tests.samples import MADE, ORG, OTHER_ORG, Sample, changed

HEADER = Header(
    ORG, None, 1, 9, 7, MADE, "a\n2\nb\n\n— a c\n", (Gap(3, 4, "2026-05-01"),), (Held(1, 2),), "a\nexport\nb\n\n— a c\n"
)
LEAF = '{"seq":7,"org_seq":1,"at":1795000000000001,"action":"a:b:c","ok":true,"lag":7,"ocsf":[6003,1]}'
FORMATS = pytest.mark.parametrize("spelling", [JSON_LINES, CSV], ids=["jsonl", "csv"])


def test_a_header_is_spelled_as_the_design_says() -> None:
    assert JSON_LINES.spell_header(HEADER).decode() == (
        f'{{"lotpro_audit_export":2,"org":"{ORG}","filter":null,"first_org_seq":1,"last_org_seq":9,"count":7,'
        f'"made":{MADE},"checkpoint":"a\\n2\\nb\\n\\n\\u2014 a c\\n",'
        '"gaps":[{"first":3,"last":4,"day":"2026-05-01"}],"held":[{"first":1,"last":2}],'
        '"note":"a\\nexport\\nb\\n\\n\\u2014 a c\\n"}\n'
    )
    assert CSV.spell_header(HEADER) == b"# " + JSON_LINES.spell_header(HEADER)


def test_an_event_is_spelled_as_the_design_says() -> None:
    event = Event(LEAF, ["AAAA", "BBBB"], "CCCC", "203.0.113.9", 'Fire"fox é')
    assert JSON_LINES.spell_event(event).decode() == (
        '{"leaf":' + json.dumps(LEAF) + ',"proof":["AAAA","BBBB"],"origin_key":"CCCC","ip":"203.0.113.9",'
        '"user_agent":"Fire\\"fox \\u00e9","held":false}\n'
    )
    bare = JSON_LINES.spell_event(Event(LEAF, [], held=True)).decode()
    assert bare.endswith(',"proof":[],"origin_key":null,"ip":null,"user_agent":null,"held":true}\n')


def test_a_spreadsheet_shows_what_the_leaf_says() -> None:
    log = Sample(9)
    text = b"".join(log.export(CSV)).decode()
    rows = list(csv.DictReader(io.StringIO(text[text.index("\n") + 1 : text.rindex("# ")])))
    own = [event for event in log.events if event.fields.get("org") == ORG]
    assert [row["id"] for row in rows] == [event.fields["id"] for event in own]
    assert rows[0]["outcome"] == "failure"
    assert rows[1]["outcome"] == "success"
    assert rows[0]["time"] == "2026-11-18T10:50:00.000000Z"
    assert rows[1]["logged"] == "2026-11-18T10:50:02.250006Z"
    assert rows[0]["changed"] == "price stock_unit"
    assert rows[0]["concerned"] == ""
    assert [row["actor_kind"] for row in rows[:2]] == ["service", "user"]
    assert (rows[0]["class"], rows[0]["activity"]) == ("6003", "1")
    assert rows[0]["user_agent"].startswith("Mozilla/5.0 (X11; Linux")
    assert {row["proof"].count(" ") for row in rows} == {3, 0}


@FORMATS
def test_what_is_spelled_is_read_again(spelling: Format) -> None:
    assert spelling.read_header(spelling.spell_header(HEADER)) == HEADER
    filtered = replace(HEADER, filter={"action": ["=a", ",=b;@c"], "since": 5}, gaps=())
    assert spelling.read_header(spelling.spell_header(filtered)) == filtered
    event = Event(LEAF, ["+AAA", "BBBB"], "+CCC")
    assert spelling.read_event(spelling.spell_event(event)) == event
    bare = Event(LEAF, [], held=True)
    assert spelling.read_event(spelling.spell_event(bare)) == bare


def test_what_the_log_signs_of_a_header_is_all_of_it_but_the_note() -> None:
    said = HEADER.statement("a")
    assert said == replace(HEADER, note="").statement("a")
    assert said.startswith("a\nexport\n")
    others = {
        "org": OTHER_ORG, "filter": {}, "first_org_seq": 2, "last_org_seq": 8, "count": 6, "made": 0, "checkpoint": "",
        "gaps": (), "held": (),
    }
    assert {*others, "note"} == {field.name for field in fields(Header)}
    assert len({said, *(replace(HEADER, **{name: value}).statement("a") for name, value in others.items())}) == 10


@settings(max_examples=100, deadline=None)
@given(leaf=st.text(), proof=st.lists(st.text("ABC+/=", min_size=1)), key=st.none() | st.text("ABC+/=", min_size=1),
       ip=st.none() | st.text(), agent=st.none() | st.text())
def test_any_event_is_read_again_from_json(
    leaf: str, proof: list[str], key: str | None, ip: str | None, agent: str | None
) -> None:
    event = Event(leaf, proof, key, ip, agent)
    line = JSON_LINES.spell_event(event)
    assert line.count(b"\n") == 1
    assert JSON_LINES.read_event(line) == event


DANGEROUS = "=+-@＝＋－＠"


@pytest.mark.parametrize("sign", DANGEROUS)
@pytest.mark.parametrize(
    "before", ["", " ", "\t", "\r\n", '"', "a;", "a,", "a; ", 'a;"', "a|", "a\t;", "\x00", "\u2028"]
)
def test_no_cell_calculates(sign: str, before: str) -> None:
    shown = lines.defused(f"{before}{sign}1+1")
    assert f"'{sign}1+1" in shown
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["", "2026-11-18", "a=b", "1+1", "Mozilla/5.0 (X11; Linux x86_64)", "it's", "a - b"])
def test_harmless_cells_stay_as_they_are(text: str) -> None:
    assert lines.defused(text) == text


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("=+-@,;|\" '\t\nab1é"), max_size=12))
def test_a_cell_calculates_in_no_program_that_cuts_lines_elsewhere(text: str) -> None:
    row = f'"{lines.defused(text).replace(chr(34), chr(34) * 2)}"'
    for cut in ",;|\t":
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            for cell in next(csv.reader([row], delimiter=cut, quoting=quoting)):
                assert cell.strip(' "')[:1] not in ("=", "+", "-", "@")


def test_neither_do_the_first_and_last_line() -> None:
    header = replace(HEADER, filter={"action": ["=a", ",=b", ";+c", "; @d", ',"=e']}, gaps=())
    text = CSV.spell_header(header).decode() + CSV.spell_end(1, "0").decode()
    for cut in ",;|\t":
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            for cells in csv.reader(io.StringIO(text), delimiter=cut, quoting=quoting):
                assert not [cell for cell in cells if cell.strip(' "')[:1] in ("=", "+", "-", "@")]


@FORMATS
def test_a_writer_keeps_the_headers_promise(spelling: Format) -> None:
    writer = Writer(spelling, replace(HEADER, count=1, gaps=()))
    writer.begin()
    with pytest.raises(ValueError, match="as many"):
        writer.end()
    writer.event(Event(LEAF, []))
    assert writer.end().startswith(spelling.comment + b'{"end":true,"count":1,"sha256":"')
    writer.event(Event(LEAF, []))
    with pytest.raises(ValueError, match="as many"):
        writer.end()


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b'"a"\n', b'"unfinished\n', b"\xff\n", b"," * 28 + b"\n", b"x" * 200_000 + b"\n"],
)
def test_what_is_no_row_is_malformed(line: bytes) -> None:
    with pytest.raises(Malformed):
        CSV.read_event(line)


def test_formats_are_told_apart_by_the_first_line() -> None:
    assert lines.recognised(JSON_LINES.spell_header(HEADER)) is JSON_LINES
    assert lines.recognised(CSV.spell_header(HEADER)) is CSV
    with pytest.raises(UnknownExport):
        lines.recognised(b"")


def test_the_sample_can_forge_a_cell() -> None:
    # The verifier's tests rely on it: an unchanged event stays the same line.
    for spelling in (JSON_LINES, CSV):
        for line in Sample(40).export(spelling)[2 if spelling is CSV else 1 : -1]:
            assert changed(spelling, line) == line


@pytest.mark.parametrize(
    "leaf",
    [
        *(event.leaf for event in Sample(24).events),
        LEAF,
        '{"org":"x","seq":1,"org_seq":2,"at":3,"origin":"AAAA","expiry":{"day":"2026-05-01"}}',
        '{"seq":1,"org_seq":2,"at":3,"feature":",\\"origin\\":\\"AAAA\\"}"}',
        '{ "seq":1,"org_seq":2,"at":3}',
    ],
)
def test_what_is_read_quickly_of_a_leaf_is_what_its_json_says(leaf: str) -> None:
    quick, slow = Event(leaf, []), Event(leaf, [])
    fields = slow.fields
    assert quick.place == slow.place == (fields["seq"], fields["org_seq"], fields.get("org"))
    assert quick.sealed == slow.sealed == fields.get("origin")
