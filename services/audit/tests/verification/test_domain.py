"""Which places must still have an event though their day went, against an oracle of plain sets."""

from hypothesis import given
from hypothesis import strategies as st

from lotpro_audit.verification import domain
from lotpro_audit.verification.domain import Held

PLACES = st.sets(st.integers(0, 60))


@given(st.lists(PLACES, max_size=4), PLACES, PLACES, st.integers(0, 60), st.integers(0, 60))
def test_what_was_held_and_not_erased_must_be_there(
    days: list[set[int]], erased: set[int], there: set[int], first: int, end: int
) -> None:
    """A place is of one day only; days' places stand between one another's."""
    seen: set[int] = set()
    held = []
    for places in days:
        held += domain.runs_of(sorted(places - seen))
        seen |= places
    found = Held(held, domain.runs_of(sorted(erased))).missing(first, end, there)
    assert found == sorted((seen - erased - there) & set(range(first, end)))


@given(PLACES)
def test_runs_are_counted_and_named_by_what_is_kept_of_them(places: set[int]) -> None:
    runs = domain.runs_of(sorted(places))
    assert domain.count_of(runs) == len(places)
    assert domain.count_of(domain.read_runs(domain.write_runs(runs))) == len(places)
    assert domain.digest_of(runs) != domain.digest_of([*runs, (61, 61)])
