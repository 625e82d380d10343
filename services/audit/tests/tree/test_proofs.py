"""Proofs of many leaves at once: the same that one by one would be."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro_audit.tree import domain
from lotpro_audit.tree.domain import TileId
from lotpro_audit.tree.proofs import Prover

LEAVES = [sha256(number.to_bytes(4)).digest() for number in range(70_000)]
TILES = domain.grow_tiles(0, LEAVES, {})
ROOT = domain.root(LEAVES)
EDGES = (1, 2, 255, 256, 257, 511, 513, 65_535, 65_536, 65_537, 66_000, 69_999)
SIZES = st.one_of(st.integers(1, 70_000), st.sampled_from(EDGES))


@given(SIZES, st.lists(st.lists(st.floats(0, 1, exclude_max=True), max_size=6), max_size=3))
def test_proofs_are_those_of_the_leaves_one_by_one(size: int, batches: list[list[float]]) -> None:
    prover = Prover(size)
    for batch in batches:
        indexes = [int(part * size) for part in batch]
        prover.give({place: TILES[place] for place in prover.wanted(indexes)})
        for index in indexes:
            assert prover.path(index) == [domain.hash_of(part, TILES) for part in domain.inclusion(index, size)]


def test_a_tile_is_asked_for_once_while_it_is_needed() -> None:
    prover = Prover(70_000)
    first = prover.wanted([1000])
    prover.give({place: TILES[place] for place in first})
    assert {TileId(0, 3), TileId(1, 0)} <= first
    prover.path(1000)
    assert prover.wanted([1001, 1030]) == {TileId(0, 4)}


def test_more_tiles_than_are_kept_hashed_are_no_trouble() -> None:
    prover, indexes = Prover(70_000), [*range(0, 70_000, 256), 5]
    prover.give({place: TILES[place] for place in prover.wanted(indexes)})
    for index in indexes:
        path = prover.path(index)
        assert domain.root_of_inclusion(index, 70_000, LEAVES[index], path) == ROOT


@pytest.mark.parametrize("index", [-1, 100, 70_000])
def test_a_leaf_outside_of_the_tree_is_refused(index: int) -> None:
    for ask in (lambda: Prover(100).wanted([index]), lambda: Prover(100).path(index)):
        with pytest.raises(ValueError, match="no such leaf"):
            ask()


def test_tiles_that_are_missing_or_too_short_prove_nothing() -> None:
    prover = Prover(300)
    with pytest.raises(KeyError):
        prover.path(0)
    prover.give({TileId(0, 0): TILES[TileId(0, 0)][:-32], TileId(0, 1): TILES[TileId(0, 1)]})
    with pytest.raises((IndexError, ValueError)):
        prover.path(0)
