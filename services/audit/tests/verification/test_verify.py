"""Exports judged from outside: whole ones hold, and whatever somebody changes is found and named."""

import io
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotpro_audit.exports.format import CSV, JSON_LINES, Format, Gap
from lotpro_audit.tree.notes import Checkpoint
from lotpro_audit.verification import verify
from lotpro_audit.verification.verify import Report, Unusable
from services.audit.tests.samples import (
    NOBODYS,
    ORG,
    OTHER_ORG,
    SIGNER,
    STRANGER,
    Sample,
    changed,
    closed,
    first_event,
    signed,
    uuid,
)

LOG = Sample(97)
#: `ORG`'s events in it.
OWN = 49
UNPROVED = "the event is not in the signed log: its proof does not lead to the signed tree."
UNFIT = "the closing line does not fit the lines before it."
RESPELLED = "the line is not spelled as the log spells it"
#: What is found first of all when somebody says something else of an export than the log.
FORGED = "Line 1: the header is not the one that the log has signed."
FORMATS = pytest.mark.parametrize("spelling", [JSON_LINES, CSV], ids=["jsonl", "csv"])


def judged(lines: Sequence[bytes] | bytes) -> Report:
    content = lines if isinstance(lines, bytes) else b"".join(lines)
    return verify.verify(io.BytesIO(content), SIGNER.verifier)


def reasons(lines: Sequence[bytes] | bytes) -> list[str]:
    return [failure.sentence() for failure in judged(lines).failures]


@FORMATS
@pytest.mark.parametrize(("org", "count"), [(ORG, OWN), (OTHER_ORG, 24), (NOBODYS, 24)])
def test_a_whole_export_is_verified(spelling: Format, org: str, count: int) -> None:
    report = judged(LOG.export(spelling, org=org))
    assert report.verified, report.failures
    assert report.events == count
    assert report.sentence() == (
        f"{count} events are in the log as signed at size 97, none is missing between 1 and {count}."
    )


@FORMATS
@pytest.mark.parametrize("size", [*range(1, 34), 64, 65, 96])
def test_exports_of_logs_of_any_size_are_verified(spelling: Format, size: int) -> None:
    report = judged(LOG.export(spelling, size=size))
    assert report.verified, report.failures
    assert report.events == (size + 1) // 2


@FORMATS
def test_an_export_may_be_of_a_part(spelling: Format) -> None:
    report = judged(LOG.export(spelling, span=(7, 7)))
    assert report.sentence() == "1 event is in the log as signed at size 97, none is missing between 7 and 7."


@FORMATS
def test_an_export_may_be_empty(spelling: Format) -> None:
    report = judged(LOG.export(spelling, org=uuid("org", 9), span=(1, 0)))
    assert report.verified
    assert report.sentence() == "The export has no events and says that there are none; its checkpoint is signed."


@FORMATS
def test_expired_days_are_no_loss_but_are_told(spelling: Format) -> None:
    gaps = [Gap(1, 3, "2026-05-01"), Gap(6, 6, "2026-05-01"), Gap(7, 9, "2026-05-02"), Gap(48, 49, "2026-05-03")]
    report = judged(LOG.export(spelling, gaps=gaps))
    assert report.verified, report.failures
    assert report.sentence() == (
        "40 events are in the log as signed at size 97, none is missing between 1 and 49 but for 9 of 2026-05-01 to "
        "2026-05-03 that the header declares as expired."
    )


@FORMATS
def test_events_whose_keys_are_destroyed_still_prove_themselves(spelling: Format) -> None:
    report = judged(LOG.export(spelling, shredded={2, 4, 5}))
    assert report.verified, report.failures
    assert report.sealed == 3
    assert report.sentence().endswith(" Where 3 of them came from cannot be read any more.")


FILTERS: list[dict[str, Any]] = [
    {"action": "inventory:vehicle:view"},
    {"actor": uuid("person", 2), "ok": True},
    {"store": [uuid("store", 0), uuid("store", 2)]},
    {"person": uuid("person", 0)},
    {"about": uuid("vehicle", 4)},
    {"since": LOG.events[20].fields["at"], "until": LOG.events[60].fields["at"]},
    {"ip": LOG.events[8].fields["ip"]},
    {"feature": "nowhere"},
    {},
]


@FORMATS
@pytest.mark.parametrize("asked", FILTERS, ids=str)
def test_a_filtered_export_has_what_its_filter_asks_for(spelling: Format, asked: dict[str, Any]) -> None:
    report = judged(LOG.export(spelling, filter=asked))
    assert report.verified, report.failures
    assert report.sentence().split(" Where ")[0].endswith("and fit the filter, as many as the log says it found.")


def test_time_filters_include_their_beginning_and_not_their_end() -> None:
    first, end = LOG.events[20].fields, LOG.events[24].fields
    found = LOG.export(JSON_LINES, filter={"since": first["at"], "until": end["at"]})
    assert [JSON_LINES.read_event(line).fields["seq"] for line in found[1:-1]] == [20, 22]


@FORMATS
def test_an_event_that_the_filter_does_not_ask_for_is_named(spelling: Format) -> None:
    whole = LOG.export(spelling)
    for asked in FILTERS[:-1]:
        lines = LOG.export(spelling, filter=asked)
        asked_for = set(lines)
        other = next(line for line in whole[first_event(spelling) + 30 :] if line not in asked_for)
        header = spelling.read_header(lines[0])
        own = lines[first_event(spelling) : -1]
        numbers = {spelling.read_event(line).fields["org_seq"]: line for line in [*own, other]}
        body = [numbers[number] for number in sorted(numbers)]
        first = spelling.spell_header(signed(replace(header, count=len(body))))
        forged = closed(spelling, [first, *lines[1 : first_event(spelling)], *body])
        at = forged.index(other) + 1
        assert reasons(forged) == [f"Line {at}: the event is not one that the filter asks for."], asked


@FORMATS
@pytest.mark.parametrize("at", [1, 20, OWN])
def test_an_edited_event_is_named_though_the_closing_line_fits(spelling: Format, at: int) -> None:
    lines = LOG.export(spelling)[:-1]
    where = first_event(spelling) + at - 1
    leaf = spelling.read_event(lines[where]).leaf
    for old, new in (
        ('"action":"inventory', '"action":"inventori'), ('"ok":', '"ok": '), ('"price"', '"pride"'),
        (f'"org_seq":{at},', f'"org_seq":{at + 1},'),
    ):
        assert old in leaf
        lines[where] = changed(spelling, lines[where], leaf=leaf.replace(old, new))
        found = reasons(closed(spelling, lines))
        assert found[0] == f"Line {where + 1}: {UNPROVED}"
        assert found[1].endswith(f"event {at} is missing before {'the end' if at == OWN else 'this line'}.")
        assert len(found) == 2


@FORMATS
def test_an_edit_without_a_new_closing_line_is_found_twice(spelling: Format) -> None:
    lines = LOG.export(spelling)
    where = first_event(spelling) + 2
    leaf = spelling.read_event(lines[where]).leaf
    lines[where] = changed(spelling, lines[where], leaf=leaf.replace('"ok":true', '"ok":false'))
    assert reasons(lines) == [
        f"Line {where + 1}: {UNPROVED}", f"Line {where + 2}: event 3 is missing before this line.",
        f"Line {len(lines)}: {UNFIT}",
    ]


@FORMATS
@pytest.mark.parametrize(("at", "place"), [(1, "this line"), (2, "this line"), (25, "this line"), (OWN, "the end")])
def test_a_dropped_event_is_missed(spelling: Format, at: int, place: str) -> None:
    lines = LOG.export(spelling)[:-1]
    where = first_event(spelling) + at - 1
    del lines[where]
    line, count = where + 1, OWN - 1
    found = reasons(closed(spelling, lines))
    assert found[0] == f"Line {line}: event {at} is missing before {place}."
    assert found[1].endswith(f"the header says that there are {OWN} events, there are {count}.")
    # Somebody may change the header as well.
    lines[0] = spelling.spell_header(replace(spelling.read_header(lines[0]), count=count))
    assert reasons(closed(spelling, lines)) == [FORGED, f"Line {line}: event {at} is missing before {place}."]


@FORMATS
def test_what_is_cut_off_with_its_header_changed_is_found(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    header = spelling.read_header(lines[0])
    begin = first_event(spelling)
    lines[0] = spelling.spell_header(replace(header, first_org_seq=3, last_org_seq=OWN - 1, count=OWN - 3))
    assert reasons(closed(spelling, [*lines[:begin], *lines[begin + 2 : -1]])) == [FORGED]


@FORMATS
@pytest.mark.parametrize("dropped", [slice(0, 1), slice(4, 6), slice(-1, None), slice(-3, None)])
def test_a_filtered_export_that_was_shortened_is_found(spelling: Format, dropped: slice) -> None:
    """Nothing but the signed count knows how many events a filter found."""
    lines = LOG.export(spelling, filter={"action": "inventory:vehicle:view"})[:-1]
    begin = first_event(spelling)
    events = lines[begin:]
    found = len(events)
    del events[dropped]
    shortened = closed(spelling, [*lines[:begin], *events])
    count = f"the header says that there are {found} events, there are {len(events)}."
    assert reasons(shortened) == [f"Line {len(shortened)}: {count}"]
    lines[0] = spelling.spell_header(replace(spelling.read_header(lines[0]), count=len(events)))
    assert reasons(closed(spelling, [*lines[:begin], *events])) == [FORGED]


@FORMATS
def test_a_header_that_nobody_or_somebody_else_signed_is_refused(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    header = spelling.read_header(lines[0])
    for note in ("", header.checkpoint, SIGNER.sign_text("another statement\n"), signed(header, STRANGER).note):
        lines[0] = spelling.spell_header(replace(header, note=note))
        [reason] = reasons(closed(spelling, lines))
        assert reason.startswith(("Line 1: the log has not signed the header: ", FORGED)), note


@FORMATS
def test_a_statement_on_another_export_does_not_fit(spelling: Format) -> None:
    """Each header has its own: one of a smaller or filtered export proves no other."""
    lines = LOG.export(spelling)[:-1]
    other = spelling.read_header(LOG.export(spelling, filter={})[0])
    lines[0] = spelling.spell_header(replace(spelling.read_header(lines[0]), note=other.note))
    assert reasons(closed(spelling, lines)) == [FORGED]


@FORMATS
def test_events_that_only_a_hold_keeps_are_counted_and_marked(spelling: Format) -> None:
    lines = LOG.export(spelling, gaps=[Gap(1, 1, "2026-05-01"), Gap(3, 4, "2026-05-01")], held={2, 5})
    report = judged(lines)
    assert report.verified, report.failures
    assert report.held == 2
    assert report.sentence().endswith("2 of them are kept only by a legal hold.")
    begin = first_event(spelling)
    for at, held in ((begin, False), (begin + 2, True)):
        forged = [*lines[:at], changed(spelling, lines[at], held=held), *lines[at + 1 : -1]]
        assert reasons(closed(spelling, forged)) == [
            f"Line {at + 1}: the header says otherwise of whether only a legal hold keeps the event."
        ]
    unmarked = spelling.spell_header(replace(spelling.read_header(lines[0]), held=()))
    assert reasons(closed(spelling, [unmarked, *lines[1:-1]]))[0] == FORGED


@FORMATS
def test_many_missing_events_are_named_as_ranges(spelling: Format) -> None:
    lines = LOG.export(spelling, gaps=[Gap(10, 12, "2026-05-01"), Gap(15, 15, "2026-05-01")])[:-1]
    begin = first_event(spelling)
    kept = [line for line in lines[begin:] if not 9 <= spelling.read_event(line).fields["org_seq"] <= 20]
    found = reasons(closed(spelling, [*lines[:begin], *kept]))
    assert found[0] == f"Line {begin + 9}: events 9, 13 to 14, 16 to 20 are missing before this line."


@FORMATS
def test_an_event_in_a_declared_gap_is_named(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    lines[0] = spelling.spell_header(signed(replace(spelling.read_header(lines[0]), gaps=(Gap(4, 5, "2026-05-01"),))))
    begin = first_event(spelling)
    assert reasons(closed(spelling, lines)) == [
        f"Line {begin + 4}: event 4 is there, and the header declares it as expired.",
        f"Line {begin + 5}: event 5 is there, and the header declares it as expired.",
    ]


@FORMATS
def test_reordered_and_repeated_events_are_named(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    at = first_event(spelling) + 4
    swapped = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
    assert reasons(closed(spelling, swapped)) == [
        f"Line {at + 1}: event 5 is missing before this line.",
        f"Line {at + 2}: event 5 stands after event 6.",
    ]
    repeated = [*lines[: at + 1], lines[at], *lines[at + 1 :]]
    found = reasons(closed(spelling, repeated))
    assert found[0] == f"Line {at + 2}: event 5 is there twice."
    instead = [*lines[: at + 1], lines[at], *lines[at + 2 :]]
    assert reasons(closed(spelling, instead)) == [
        f"Line {at + 2}: event 5 is there twice.",
        f"Line {at + 3}: event 6 is missing before this line.",
    ]


@FORMATS
def test_a_log_that_numbered_events_against_their_order_is_found(spelling: Format) -> None:
    lines = Sample(24, swapped=(4, 6)).export(spelling)
    at = first_event(spelling)
    reason = "the event came into the log before the one above it."
    assert reasons(lines) == [f"Line {at + 5}: {reason}", f"Line {at + 6}: {reason}"]


@FORMATS
def test_swapped_proofs_are_named(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    at = first_event(spelling) + 4
    one, other = (spelling.read_event(lines[where]).proof for where in (at, at + 1))
    lines[at], lines[at + 1] = changed(spelling, lines[at], proof=other), changed(spelling, lines[at + 1], proof=one)
    assert reasons(closed(spelling, lines))[:2] == [f"Line {at + 1}: {UNPROVED}", f"Line {at + 2}: {UNPROVED}"]


@FORMATS
def test_every_changed_part_of_every_proof_is_named(spelling: Format) -> None:
    lines = LOG.export(spelling, size=23)[:-1]
    for where in range(first_event(spelling), len(lines)):
        proof = list(spelling.read_event(lines[where]).proof)
        for at, part in enumerate(proof):
            for wrong in (b64encode(bytes(32)).decode(), part[:-4], "", part[1:]):
                forged = changed(spelling, lines[where], proof=[*proof[:at], wrong, *proof[at + 1 :]])
                found = reasons(closed(spelling, [*lines[:where], forged, *lines[where + 1 :]]))
                assert found[0].startswith(f"Line {where + 1}: the event is not in the signed log: ")
        for wrong_proof in (proof[:-1], proof[1:], [*proof, proof[0]]):
            forged = changed(spelling, lines[where], proof=wrong_proof)
            found = reasons(closed(spelling, [*lines[:where], forged, *lines[where + 1 :]]))
            assert found[0].startswith(f"Line {where + 1}: the event is not in the signed log: ")


@FORMATS
def test_another_organisations_event_is_named(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    at = first_event(spelling) + 4
    for org in (OTHER_ORG, NOBODYS):
        others = LOG.export(spelling, org=org)
        forged = closed(spelling, [*lines[:at], others[at], *lines[at + 1 :]])
        assert reasons(forged)[0] == f"Line {at + 1}: the event is another organisation's."


@FORMATS
def test_another_organisations_name_in_the_header_is_found(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    lines[0] = spelling.spell_header(signed(replace(spelling.read_header(lines[0]), org=OTHER_ORG)))
    report = judged(closed(spelling, lines))
    assert (len(report.failures), report.failures[0].reason) == (OWN + 1, "the event is another organisation's")


@FORMATS
def test_a_strangers_signature_is_refused(spelling: Format) -> None:
    lines = LOG.export(spelling, signer=STRANGER)
    assert reasons(lines) == ["Line 1: the note is not signed by this key."]
    # The same name and key id, so that only the signature itself differs.
    note = STRANGER.sign(LOG.checkpoint()).splitlines()[-1].split(" ")[-1]
    own = SIGNER.sign(LOG.checkpoint())
    forged = own.replace(own.splitlines()[-1].split(" ")[-1][:5], note[:5])
    header = replace(spelling.read_header(lines[0]), checkpoint=forged)
    assert reasons(closed(spelling, [spelling.spell_header(header), *lines[1:-1]]))[0].startswith("Line 1: the note")


@FORMATS
def test_another_checkpoint_does_not_prove_the_events(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    header = spelling.read_header(lines[0])
    for size in (0, 1, 40, 96):
        lines[0] = spelling.spell_header(signed(replace(header, checkpoint=SIGNER.sign(LOG.checkpoint(size)))))
        report = judged(closed(spelling, lines))
        assert not report.verified
        assert report.failures[0].reason.startswith("the event is not in the signed log: "), size
    lines[0] = spelling.spell_header(signed(replace(header, checkpoint=SIGNER.sign(LOG.checkpoint(4)))))
    found = reasons(closed(spelling, lines))
    assert found[-1].startswith("Line ")
    assert any("no such leaf in this tree" in reason for reason in found)


@FORMATS
def test_a_log_that_was_written_anew_does_not_prove_the_events(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    header = spelling.read_header(lines[0])
    anew = replace(LOG.checkpoint(), root=bytes(32))
    lines[0] = spelling.spell_header(signed(replace(header, checkpoint=SIGNER.sign(anew))))
    assert reasons(closed(spelling, lines))[0] == f"Line {first_event(spelling) + 1}: {UNPROVED}"


@FORMATS
@pytest.mark.parametrize("cut", [1, 2, 150, 20_000])
def test_a_truncated_file_is_found(spelling: Format, cut: int) -> None:
    whole = b"".join(LOG.export(spelling))
    assert any("the file ends in the middle of this line" in reason for reason in reasons(whole[:-cut]))


@FORMATS
def test_a_file_without_its_closing_line_is_found(spelling: Format) -> None:
    lines = LOG.export(spelling)
    gone = f"Line {len(lines) - 1}: the file ends here without its closing line: its end is missing."
    assert reasons(lines[:-1]) == [gone]
    assert reasons(lines[:-5])[-1].endswith("its end is missing.")
    assert reasons(lines[:1])[-1].endswith("its end is missing.")


@FORMATS
def test_a_wrong_closing_line_is_found(spelling: Format) -> None:
    *lines, end = LOG.export(spelling)
    last = f"Line {len(lines) + 1}: "
    assert reasons([*lines, end.replace(b'"sha256":"', b'"sha256":"0')]) == [last + UNFIT]
    assert reasons(closed(spelling, lines, count=OWN + 1)) == [last + UNFIT]
    assert reasons([*lines, end.rstrip(b"\n")]) == [last + "the file ends in the middle of this line."]
    assert reasons([*lines, end, b"\n"]) == [f"Line {len(lines) + 2}: there is something after the closing line."]
    assert reasons([*lines, end, lines[-1]]) == [f"Line {len(lines) + 2}: there is something after the closing line."]


@FORMATS
@pytest.mark.parametrize("name", ["ip", "user_agent"])
def test_a_changed_origin_is_named(spelling: Format, name: str) -> None:
    lines = LOG.export(spelling)[:-1]
    at = first_event(spelling) + 1
    lines[at] = changed(spelling, lines[at], **{name: "198.51.100.7"})
    assert reasons(closed(spelling, lines)) == [f"Line {at + 1}: {name} is not what the log holds."]
    lines[at] = changed(spelling, lines[at], **{name: ""})
    assert reasons(closed(spelling, lines)) == [f"Line {at + 1}: {name} is not what the log holds."]


@FORMATS
def test_a_wrong_key_to_an_origin_is_named(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    at = first_event(spelling) + 1
    other = spelling.read_event(lines[at + 1]).origin_key
    for wrong in (other, b64encode(bytes(31)).decode(), "no base64"):
        forged = changed(spelling, lines[at], ip=None, user_agent=None)
        forged = spelling.spell_event(replace(spelling.read_event(forged), origin_key=wrong))
        found = reasons(closed(spelling, [*lines[:at], forged, *lines[at + 1 :]]))
        assert found == [f"Line {at + 1}: origin_key does not open the event's origin."], wrong


@FORMATS
def test_an_origin_that_nothing_proves_is_named(spelling: Format) -> None:
    lines = LOG.export(spelling)[:-1]
    at = first_event(spelling) + 1
    lines[at] = changed(spelling, lines[at], origin_key=None)
    assert reasons(closed(spelling, lines)) == [f"Line {at + 1}: ip is not what the log holds."]
    bare = next(where for where, line in enumerate(lines[first_event(spelling) :], first_event(spelling))
                if "origin" not in spelling.read_event(line).fields)
    lines = LOG.export(spelling)[:-1]
    lines[bare] = changed(spelling, lines[bare], ip="198.51.100.7")
    assert reasons(closed(spelling, lines)) == [f"Line {bare + 1}: ip is not what the log holds."]
    lines = LOG.export(spelling)[:-1]
    event = spelling.read_event(lines[bare])
    lines[bare] = spelling.spell_event(replace(event, origin_key=b64encode(bytes(32)).decode()))
    assert reasons(closed(spelling, lines)) == [
        f"Line {bare + 1}: there is a key to an origin, and the event has none."
    ]


def test_every_cell_of_a_spreadsheet_is_compared() -> None:
    lines = LOG.export(CSV)[:-1]
    names = lines[1].decode().strip().strip('"').split('","')
    cells = lines[3].decode().strip()[1:-1].split('","')
    for at, name in enumerate(names):
        if name in ("leaf", "proof", "origin_key"):
            continue
        forged = [*cells[:at], cells[at] + "x", *cells[at + 1 :]]
        line = ('"' + '","'.join(forged) + '"\n').encode()
        assert reasons(closed(CSV, [*lines[:3], line, *lines[4:]])) == [f"Line 4: {name} is not what the log holds."]
    lines[1] = lines[1].replace(b'"actor"', b'"acted"')
    assert reasons(closed(CSV, lines)) == ["Line 2: these are not the columns' names."]


@FORMATS
def test_what_an_editor_changes_is_named(spelling: Format) -> None:
    lines = LOG.export(spelling)
    assert reasons([b"\xef\xbb\xbf", *lines]) == [
        "Line 1: the file begins with a byte order mark, which the log does not write."
    ]
    assert reasons([line.replace(b"\n", b"\r\n") for line in lines]) == [
        "Line 1: the line ends with a carriage return, which the log does not write."
    ]
    at = first_event(spelling)
    found = reasons([*lines[:at], lines[at].replace(b"\n", b"\r\n"), *lines[at + 1 :]])
    assert found[0] == f"Line {at + 1}: the line ends with a carriage return, which the log does not write."


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (lambda line: line.replace(b'","proof"', b'", "proof"'), RESPELLED),
        (lambda line: line.replace(b'"leaf":"{', b'"leaf":"\\u007b'), RESPELLED),
        (lambda line: line.replace(b'"ip":', b'"ip":"198.51.100.7","ip":'), RESPELLED),
        (lambda line: line.replace(b'"ip":', b'"leaf":"{}","ip":'), "leaf is not what the log holds"),
        (lambda line: line.replace(b'"ip":', b'"more":1,"ip":'), "more is not what the log holds"),
        (lambda line: b"{}\n", "the line is no event"),
        (lambda line: b"[" * 100_000 + b"\n", "the line is no JSON"),
        (lambda line: b"\n", "the line is no JSON"),
        (lambda line: b"\xff\n", "the line is no JSON"),
        (lambda line: line.replace(b'"leaf":"{', b'"leaf":"'), "the leaf is no leaf"),
        (lambda line: line.replace(b'"leaf":"{', b'"leaf":"\\ud800{'), "no event"),
        (lambda line: line.replace(b'{\\"seq\\":', b'{\\"seq\\":-'), "no such leaf"),
        (lambda line: line.replace(b'{\\"seq\\":', b'{\\"seq\\":1e0'), "no leaf"),
        (lambda line: line.replace(b'"origin_key":"', b'"origin_key":["').replace(b'","ip"', b'"],"ip"'), "no event"),
    ],
)
def test_a_line_that_is_spelled_in_another_way_is_named(forge: Any, reason: str) -> None:
    lines = LOG.export(JSON_LINES)[:-1]
    forged = forge(lines[3])
    assert forged != lines[3]
    found = judged(closed(JSON_LINES, [*lines[:3], forged, *lines[4:]])).failures[0]
    assert found.line == 4
    assert reason in found.reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"count":49', '"count":"49"', "a number in the header is none"),
        ('"count":49', '"count":-1', "a number in the header is none"),
        ('"count":49', '"count":true', "a number in the header is none"),
        ('"count":49', '"count":49,"count":49', "not spelled"),
        ('"count":49', '"kount":49', "does not have what a header has"),
        ('"count":49,', "", "does not have what a header has"),
        ('"first_org_seq":1', '"first_org_seq":0', "first and last event do not fit"),
        ('"first_org_seq":1', '"first_org_seq":51', "first and last event do not fit"),
        ('"filter":null', '"filter":[]', "the filter is none"),
        ('"filter":null', '"filter":{"since":"yesterday"}', "the filter's times are none"),
        ('"gaps":[]', '"gaps":null', "does not have what a header has"),
        ('"gaps":[]', '"gaps":[{"first":2,"last":1,"day":"2026-05-01"}]', "gaps do not fit"),
        ('"gaps":[]', '"gaps":[{"first":2,"last":50,"day":"2026-05-01"}]', "gaps do not fit"),
        ('"gaps":[]', '"gaps":[{"first":2,"last":3,"day":"yesterday"}]', "a gap in the header is none"),
        (
            '"gaps":[]',
            '"gaps":[{"first":2,"last":3,"day":"2026-05-01"},{"first":3,"last":4,"day":"2026-05-02"}]',
            "gaps do not fit",
        ),
        ('"gaps":[]', '"gaps":[{"first":2}]', "does not have what a header has"),
        ('"gaps":[]', '"gaps":[{"first":"2","last":3,"day":"2026-05-01"}]', "gaps are none"),
        ('"held":[]', '"held":[{"first":2,"last":50}]', "held events do not fit"),
        ('"held":[]', '"held":[{"first":2,"last":true}]', "held events are none"),
        ('"held":[]', '"held":[{"first":2}]', "does not have what a header has"),
        ('"note":"', '"note":7,"more":"', "does not have what a header has"),
        ('"org":"', '"org":"x', "does not have what a header has"),
        ("\\n97\\n", "\\n097\\n", "signature is wrong"),
        ("{", "{ ", "nothing"),
    ],
)
def test_a_wrong_header_is_named(old: str, new: str, reason: str) -> None:
    lines = LOG.export(JSON_LINES)[:-1]
    forged = lines[0].decode().replace(old, new, 1).encode()
    assert forged != lines[0]
    if reason == "nothing":
        with pytest.raises(Unusable, match="no export"):
            judged(closed(JSON_LINES, [forged, *lines[1:]]))
        return
    found = judged(closed(JSON_LINES, [forged, *lines[1:]])).failures
    assert [failure.line for failure in found] == [1]
    assert reason in found[0].reason


def test_a_filtered_export_declares_no_gaps() -> None:
    lines = LOG.export(JSON_LINES)[:-1]
    forged = replace(JSON_LINES.read_header(lines[0]), filter={}, gaps=(Gap(1, 1, "2026-05-01"),))
    assert reasons([JSON_LINES.spell_header(forged), *lines[1:]]) == ["Line 1: a filtered export has no gaps."]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no export"),
        (b"\n", "no export"),
        (b"{}\n", "no export"),
        (b'{"lotpro_audit_export":1}\n', "version"),
        (b'{"lotpro_audit_export":3}\n', "version"),
        (b"seq,org_seq\n1,1\n", "no export"),
        (bytes(100), "no export"),
    ],
)
def test_what_is_no_export_is_not_judged(content: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        judged(content)


def test_a_filter_of_a_later_version_is_not_judged() -> None:
    lines = LOG.export(JSON_LINES, filter={})
    with pytest.raises(Unusable, match="does not know: colour"):
        judged(lines[0].replace(b'"filter":{}', b'"filter":{"colour":"red"}'))


def test_failures_without_end_are_counted() -> None:
    log = Sample(300)
    lines = log.export(JSON_LINES)[:-1]
    header = signed(replace(JSON_LINES.read_header(lines[0]), org=OTHER_ORG))
    report = judged(closed(JSON_LINES, [JSON_LINES.spell_header(header), *lines[1:]]))
    assert (len(report.failures), report.more) == (100, 51)
    assert report.sentence() == "The export is not what the log holds: 151 failures."


class Streamed(io.RawIOBase):
    """A file that gives lines, and nothing to those who would read it all at once."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = iter(lines)

    def readline(self, size: int | None = -1, /) -> bytes:
        return next(self._lines, b"")

    def read(self, size: int = -1, /) -> bytes:
        raise AssertionError("an export is read line by line")


def test_an_export_is_read_line_by_line() -> None:
    report = verify.verify(Streamed(LOG.export(JSON_LINES)), SIGNER.verifier)
    assert report.verified


def test_long_files_tell_how_far_they_are() -> None:
    told: list[int] = []
    verify.verify(Streamed(LOG.export(JSON_LINES)), SIGNER.verifier, progress=told.append, step=20)
    assert told == [20, 40]


@cache
def _short(spelling: Format, *, action: str | None = None, gap: bool = False) -> tuple[bytes, ...]:
    """A short export with a bit of everything."""
    asked = None if action is None else {"action": action}
    gaps = [Gap(3, 4, "2026-05-01")] if gap else []
    return tuple(LOG.export(spelling, size=24, filter=asked, gaps=gaps, shredded={7}))


@FORMATS
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_changed_byte_gets_through(spelling: Format, data: st.DataObject) -> None:
    lines = _short(spelling, gap=True)
    whole = bytearray(b"".join(lines))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    try:
        assert not judged(bytes(whole)).verified
    except Unusable:
        assert at < len(lines[0])


@FORMATS
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_changed_byte_gets_through_by_closing_the_file_anew(spelling: Format, data: st.DataObject) -> None:
    asked = data.draw(st.sampled_from([None, "inventory:vehicle:sell"]))
    lines = list(_short(spelling, action=asked)[:-1])
    # Events are longer than headers: choose the line first.
    line = data.draw(st.integers(0, len(lines) - 1))
    forged = bytearray(lines[line])
    at = data.draw(st.integers(0, len(forged) - 2))
    kind = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    byte = data.draw(st.one_of(st.integers(0, 255), st.sampled_from(list(b'"\\0123 ,:{}[]=;'))))
    if kind == "insert":
        forged.insert(at, byte)
    elif kind == "delete":
        del forged[at]
    else:
        forged[at] = byte
    if bytes(forged) == lines[line]:
        return
    again = closed(spelling, [*lines[:line], bytes(forged), *lines[line + 1 :]])
    try:
        report = judged(again)
    except Unusable:
        assert line == 0
        return
    assert not report.verified


KEPT = pytest.mark.parametrize("kept", [1, 2, 31, 32, 33, 64, 95, 96])


@KEPT
def test_an_older_checkpoint_is_where_the_log_began(kept: int) -> None:
    proof = LOG.consistency(kept, 97)
    assert verify.continues(LOG.checkpoint(kept), LOG.checkpoint(), proof)
    # A checkpoint that was made after the export is as good.
    assert verify.continues(LOG.checkpoint(), LOG.checkpoint(kept), proof)


@KEPT
def test_a_log_that_was_rolled_back_or_written_anew_is_no_continuation(kept: int) -> None:
    proof = LOG.consistency(kept, 97)
    old, new = LOG.checkpoint(kept), LOG.checkpoint()
    assert not verify.continues(replace(old, root=bytes(32)), new, proof)
    assert not verify.continues(old, replace(new, root=bytes(32)), proof)
    for at in range(len(proof["path"])):
        wrong = [*proof["path"][:at], b64encode(bytes(32)).decode(), *proof["path"][at + 1 :]]
        assert not verify.continues(old, new, proof | {"path": wrong})
    assert not verify.continues(old, new, proof | {"path": [*proof["path"], b64encode(bytes(32)).decode()]})
    assert not verify.continues(old, new, proof | {"path": proof["path"][:-1]})


def test_equal_and_empty_checkpoints_need_no_proof() -> None:
    assert verify.continues(LOG.checkpoint(), LOG.checkpoint(), None)
    assert verify.continues(LOG.checkpoint(0), LOG.checkpoint(), None)
    assert not verify.continues(replace(LOG.checkpoint(), root=bytes(32)), LOG.checkpoint(), None)


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (None, "needs a consistency proof from size 40 to size 97"),
        ([], "none from size 40 to size 97"),
        ({"old": 39, "new": 97, "path": []}, "none from size 40 to size 97"),
        ({"old": 40, "new": 98, "path": []}, "none from size 40 to size 97"),
        ({"old": 40, "new": 97}, "proof is none"),
        ({"old": 40, "new": 97, "path": None}, "proof is none"),
        ({"old": 40, "new": 97, "path": [7]}, "proof is none"),
        ({"old": 40, "new": 97, "path": ["no base64"]}, "proof is none"),
    ],
)
def test_what_is_no_proof_is_not_judged(proof: Any, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        verify.continues(LOG.checkpoint(40), LOG.checkpoint(), proof)


def test_a_proof_is_read_as_the_api_writes_it() -> None:
    proof = json.loads(json.dumps(LOG.consistency(40, 97)))
    assert verify.continues(LOG.checkpoint(40), Checkpoint("lotpro.space/audit", 97, LOG.checkpoint().root), proof)
