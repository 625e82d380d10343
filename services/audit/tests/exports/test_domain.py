"""What an export has, and what it must not lack, against a slow oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro_audit.exports import domain
from lotpro_audit.exports.domain import Expired, LogIncomplete, State
from lotpro_audit.verification.domain import runs_of

DAYS = ("2026-05-01", "2026-05-02")
#: What became of each number from 1 on: in the export, gone with a day, both, or taken by somebody.
FATES = st.lists(st.sampled_from(["done", *DAYS, "both", "stolen"]), max_size=30)


def told(fates: list[str]) -> tuple[list[tuple[int, int]], list[Expired], int]:
    """Runs that were exported, runs that expired, the last number."""
    numbers = {fate: [at for at, found in enumerate(fates, 1) if found == fate] for fate in {*fates, "both", "done"}}
    expired = [
        Expired(*run, day)
        for day, held in ((day, numbers.get(day, [])) for day in DAYS)
        for run in runs_of(sorted([*held, *(numbers["both"] if day == DAYS[0] else [])]))
    ]
    return runs_of(sorted(numbers["done"] + numbers["both"])), sorted(expired), len(fates)


@given(FATES)
def test_a_complete_export_has_every_number_or_says_that_it_expired(fates: list[str]) -> None:
    done, expired, last = told(fates)
    if "stolen" in fates:
        with pytest.raises(LogIncomplete):
            domain.complete_extent(done, expired, last)
        return
    extent = domain.complete_extent(done, expired, last)
    exported = [at for at, fate in enumerate(fates, 1) if fate in ("done", "both")]
    assert extent.first == (exported[0] if exported else last + 1)
    gaps = {at: gap.day for gap in extent.gaps for at in range(gap.first, gap.last + 1)}
    assert gaps == {at: fate for at, fate in enumerate(fates, 1) if at > extent.first and fate in DAYS}
    assert sum(gap.last - gap.first + 1 for gap in extent.gaps) == len(gaps)


@given(FATES, st.data())
def test_a_filtered_export_was_looked_through_from_the_first_number_that_was_there(
    fates: list[str], data: st.DataObject
) -> None:
    done, expired, last = told(fates)
    exported = [at for first, end in done for at in range(first, end + 1)]
    chosen = sorted(data.draw(st.sets(st.sampled_from(exported))) if exported else [])
    first, gaps = domain.filtered_extent(runs_of(chosen), expired, last)
    there = [at for at, fate in enumerate(fates, 1) if fate in ("done", "stolen") or at in chosen]
    assert (first, gaps) == (min([last + 1, *there]), ())


def test_runs_of_one_chunk_go_on_in_the_next() -> None:
    assert domain.joined([(1, 5), (6, 6), (8, 9), (10, 12)]) == [(1, 6), (8, 12)]
    assert domain.joined([]) == []


@pytest.mark.parametrize(
    ("events", "total", "state", "percent"),
    [
        (0, None, State.WAITING, 0), (0, 0, State.RUNNING, 0), (1, 3, State.RUNNING, 33), (3, 3, State.RUNNING, 99),
        (0, 0, State.DONE, 100), (2, 3, State.FAILED, 66),
    ],
)
def test_all_is_done_only_when_the_file_is_finished(
    events: int, total: int | None, state: State, percent: int
) -> None:
    assert domain.percent(events, total, state) == percent
