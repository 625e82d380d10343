"""How events look to other systems, and what signs them."""

import hmac
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro_audit.events.leaf import Leaf
from lotpro_audit.streams import cef, domain, ocsf
from lotpro_kit.caller import Origin

ORIGIN = Origin(ip="203.0.113.9", user_agent="Firefox/150 (a=b|c\\d)")


def leaf(**chosen: Any) -> Leaf:
    values: dict[str, Any] = {
        "seq": 41, "org_seq": 7, "id": str(UUID(int=1)), "org_id": str(UUID(int=2)), "store_id": "",
        "occurred_us": 1_800_000_000_123_456, "action": "identity:session:create", "success": True,
        "actor_id": str(UUID(int=3)), "subject_id": "", "concerned_id": "", "session_id": "", "ip_index": b"",
        "logged_us": 1_800_000_001_000_000, "actor_kind": "user", "class_uid": 3002, "activity_id": 1,
    }
    return Leaf(**(values | chosen))


def test_an_event_has_the_shape_of_ocsf() -> None:
    assert ocsf.event(leaf(factor="totp"), None) == {
        "metadata": {
            "version": "1.3.0", "product": {"name": "lotPro", "vendor_name": "lotPro", "feature": {"name": "audit"}},
            "uid": str(UUID(int=1)), "sequence": 7, "event_code": "identity:session:create",
            "logged_time": 1_800_000_001_000, "tenant_uid": str(UUID(int=2)),
        },
        "time": 1_800_000_000_123, "category_uid": 3, "class_uid": 3002, "class_name": "Authentication",
        "activity_id": 1, "type_uid": 300201, "severity_id": 1, "status_id": 1, "status": "Success",
        "actor": {"user": {"uid": str(UUID(int=3))}},
        "unmapped": {"actor_kind": "user", "factor": "totp", "seq": 41},
    }


def test_where_an_act_came_from_is_there_only_when_it_is_given() -> None:
    for text in (str(ocsf.event(leaf(), None)), cef.line(leaf(), None)):
        assert "203.0.113.9" not in text
        assert "Firefox" not in text
    shown = ocsf.event(leaf(), ORIGIN)
    assert shown["src_endpoint"] == {"ip": "203.0.113.9"}
    assert shown["http_request"] == {"user_agent": ORIGIN.user_agent}


def test_what_failed_and_what_is_a_finding_is_more_severe() -> None:
    finding = leaf(action="identity:session:suspicious", class_uid=2004)
    several = (leaf(), leaf(success=False), finding)
    assert [ocsf.severity(one) for one in several] == [1, 2, 4]
    starts = [cef.frame(one, None).partition(b" ")[2].partition(b">")[0] for one in several]
    # Facility 13 * 8 and severities 6, 4 and 1.
    assert starts == [b"<110", b"<108", b"<105"]


def test_a_message_is_cef_in_syslog_with_its_length_before_it() -> None:
    frame = cef.frame(leaf(factor="totp", changed_fields=("price", "state")), ORIGIN)
    length, _, message = frame.partition(b" ")
    assert int(length) == len(message)
    assert message.decode() == (
        "<110>1 2027-01-15T08:00:00.123Z lotpro.space audit - - - "
        "CEF:0|lotPro|audit|1|identity:session:create|Authentication|3|"
        f"rt=1800000000123 externalId={UUID(int=1)} act=identity:session:create outcome=success suid={UUID(int=3)} "
        "src=203.0.113.9 requestClientApplication=Firefox/150 (a\\=b|c\\\\d) cn1Label=sequence cn1=7 "
        f"cs1Label=organisation cs1={UUID(int=2)} cs4Label=factor cs4=totp "
        "flexString1Label=changedFields flexString1=price,state"
    )


def unescape(text: str) -> str:
    """CEF's extension value as a reader reads it."""
    found, rest = "", iter(text)
    for character in rest:
        found += {"n": "\n", "r": "\r"}.get(after := next(rest), after) if character == "\\" else character
    return found


@given(st.text(alphabet=st.sampled_from('ab=|\\ \n\r"é'), max_size=20))
def test_whatever_a_browser_calls_itself_stays_one_line_and_reads_as_it_was(name: str) -> None:
    line = cef.line(leaf(), Origin(ip="203.0.113.9", user_agent=name))
    assert "\n" not in line
    assert "\r" not in line
    value = line.partition("requestClientApplication=")[2].partition(" cn1Label=")[0]
    assert unescape(value) == name
    frame = cef.frame(leaf(), Origin(user_agent=name))
    length, _, message = frame.partition(b" ")
    assert int(length) == len(message)


def test_a_signature_is_of_the_time_and_the_body_under_each_secret() -> None:
    at = datetime(2027, 1, 15, 8, 0, 0, 999, UTC)
    made = domain.signature(b"[1]", ["new", "old"], at=at)
    expected = [hmac.digest(secret, b"1800000000.[1]", "sha256").hex() for secret in (b"new", b"old")]
    assert made == f"t=1800000000,v1={expected[0]},v1={expected[1]}"


@pytest.mark.parametrize(("attempts", "cap"), [(1, 2), (2, 4), (5, 32), (11, 2048), (12, 3600), (1000, 3600)])
def test_the_backoff_doubles_up_to_an_hour_with_full_jitter(attempts: int, cap: float) -> None:
    assert domain.backoff_cap(attempts) == cap
    now = datetime(2027, 1, 15, tzinfo=UTC)
    waits = [(domain.next_attempt(attempts, now=now) - now).total_seconds() for _ in range(200)]
    assert all(0 <= wait <= cap for wait in waits)
    assert max(waits) > cap / 2 > min(waits)
