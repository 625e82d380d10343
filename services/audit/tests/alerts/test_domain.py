"""When an alert is raised, against an oracle that remembers everything and looks at all of it each time."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotpro_audit.alerts import domain
from lotpro_audit.alerts.domain import Alert, Group, Watch
from lotpro_audit.events import domain as event_domain
from lotpro_audit.events.leaf import Leaf

MINUTE = 60_000_000
START = 1_800_000_000_000_000
ACTORS = [str(UUID(int=number)) for number in range(1, 4)]
NOW = datetime(2027, 1, 15, tzinfo=UTC)


def alert(**chosen: Any) -> Alert:
    values: dict[str, Any] = {
        "id": UUID(int=7), "org_id": UUID(int=8), "name": "x", "action": None, "success": None, "actor_id": None,
        "subject_id": None, "store_id": None, "factor": None, "count": 3, "minutes": 5, "per": Group.ORGANISATION,
        "quiet_minutes": 10, "recipients": ["org_owner"], "raised_at": None, "version": 1, "created_at": NOW,
        "updated_at": NOW,
    }
    return Alert(**(values | chosen))


def leaf(seq: int = 0, **chosen: Any) -> Leaf:
    values: dict[str, Any] = {
        "seq": seq, "org_seq": seq + 1, "id": str(UUID(int=seq + 100)), "org_id": str(UUID(int=8)), "store_id": "",
        "occurred_us": START, "action": "identity:session:create", "success": True, "actor_id": ACTORS[0],
        "subject_id": "", "concerned_id": "", "session_id": "", "ip_index": b"", "logged_us": START,
    }
    return Leaf(**(values | chosen))


def oracle(wanted: Alert, moments: list[tuple[str, int]]) -> list[int]:
    """Which events raise it: every window of every group is looked at anew for every event."""
    raised: list[int] = []
    seen: dict[str, list[int]] = {}
    last: int | None = None
    span = wanted.minutes * MINUTE
    for number, (key, moment) in enumerate(moments):
        of_group = seen.setdefault(key, [])
        if of_group and moment < max(of_group) - span:
            crossed = wanted.count == 1
        else:
            of_group.append(moment)
            crossed = any(
                begin <= moment <= begin + span
                and sum(begin <= other <= begin + span for other in of_group) >= wanted.count
                for begin in of_group
            )
        if crossed and (last is None or moment >= last + wanted.quiet_minutes * MINUTE):
            raised.append(number)
            last = moment
    return raised


@settings(max_examples=400)
@given(
    moments=st.lists(st.tuples(st.sampled_from(ACTORS), st.integers(0, 40 * 60)), max_size=60),
    in_order=st.booleans(), count=st.integers(1, 6), minutes=st.integers(1, 12), quiet=st.integers(1, 15),
    per=st.sampled_from([Group.ORGANISATION, Group.ACTOR]), batch=st.integers(1, 7),
)
def test_it_is_raised_when_the_oracle_says_so_in_whatever_batches_it_is_looked_at(
    moments: list[tuple[str, int]], in_order: bool, count: int, minutes: int, quiet: int, per: Group, batch: int
) -> None:
    if in_order:
        moments = sorted(moments, key=lambda pair: pair[1])
    wanted = alert(count=count, minutes=minutes, quiet_minutes=quiet, per=per)
    events = [
        leaf(number, actor_id=actor, occurred_us=START + second * 1_000_000)
        for number, (actor, second) in enumerate(moments)
    ]
    windows: dict[str, list[int]] = {}
    raised, last = [], None
    for begin in range(0, len(events), batch):
        watch = Watch(wanted, {key: list(window) for key, window in windows.items()}, last)
        raised += [one.seq for event in events[begin : begin + batch] if (one := watch.see(event)) is not None]
        windows, last = watch.windows, watch.raised_us
    keyed = [(actor if per is Group.ACTOR else "", second * 1_000_000) for actor, second in moments]
    assert raised == oracle(wanted, keyed)
    assert all(len(window) <= 2 * count for window in windows.values())


def test_an_alert_on_everything_is_not_raised_by_being_raised() -> None:
    watch = Watch(alert(count=1), {}, None)
    assert watch.see(leaf(action=domain.RAISE)) is None
    assert watch.see(leaf()) is not None


@pytest.mark.parametrize(
    ("chosen", "event", "matches"),
    [
        ({"action": "identity"}, {}, True),
        ({"action": "identity:session"}, {}, True),
        ({"action": "identity:session:create"}, {}, True),
        ({"action": "identity:session:create"}, {"action": "identity:session:create_x"}, False),
        ({"action": "identity:sess"}, {}, False),
        ({"action": "ident"}, {}, False),
        ({"success": False}, {}, False),
        ({"success": False}, {"success": False}, True),
        ({"success": True}, {"success": False}, False),
        ({"actor_id": UUID(ACTORS[0])}, {}, True),
        ({"actor_id": UUID(ACTORS[1])}, {}, False),
        ({"subject_id": UUID(ACTORS[1])}, {"subject_id": ACTORS[1]}, True),
        ({"subject_id": UUID(ACTORS[1])}, {"concerned_id": ACTORS[1]}, True),
        ({"subject_id": UUID(ACTORS[1])}, {"subject_id": ACTORS[2]}, False),
        ({"store_id": UUID(ACTORS[1])}, {"store_id": ACTORS[1]}, True),
        ({"store_id": UUID(ACTORS[1])}, {}, False),
        ({"factor": "totp"}, {"factor": "totp"}, True),
        ({"factor": "totp"}, {}, False),
    ],
)
def test_what_an_alert_matches(chosen: dict[str, Any], event: dict[str, Any], matches: bool) -> None:
    assert alert(**chosen).matches(leaf(**event)) is matches


def test_what_has_no_actor_or_address_is_not_counted_by_one() -> None:
    assert Watch(alert(count=1, per=Group.ACTOR), {}, None).see(leaf(actor_id="")) is None
    assert Watch(alert(count=1, per=Group.ADDRESS), {}, None).see(leaf()) is None
    assert Watch(alert(count=1, per=Group.ADDRESS), {}, None).see(leaf(ip_index=bytes(8))) is not None


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("audit:alert:raise", "Detection Finding"), ("audit:alert:add", "Entity Management"),
        ("audit:stream:rotate", "Entity Management"), ("audit:usage:object", "Entity Management"),
        ("audit:page:view", "Web Resources Activity"),
    ],
)
def test_what_alerts_streams_and_views_log_is_of_the_class_it_is_looked_for_under(action: str, name: str) -> None:
    assert event_domain.ocsf(action).class_name == name


@settings(max_examples=1500)
@given(
    moments=st.lists(st.integers(0, 24), min_size=1, max_size=14), wanted=st.integers(1, 4), within=st.integers(1, 8)
)
def test_a_window_that_keeps_little_finds_what_one_that_keeps_everything_finds(
    moments: list[int], wanted: int, within: int
) -> None:
    window: list[int] = []
    everything: list[int] = []
    for moment in moments:
        if everything and moment < max(everything) - within:
            continue
        everything.append(moment)
        crossed, _ = domain.count(window, moment, wanted=wanted, within=within)
        assert crossed == any(
            begin <= moment <= begin + within
            and sum(begin <= other <= begin + within for other in everything) >= wanted
            for begin in everything
        )
        assert len(window) <= 2 * wanted
