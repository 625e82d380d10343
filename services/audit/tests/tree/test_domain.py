"""Merkle trees: RFC 6962's published vectors, a slow oracle, and proofs that must not hold."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotpro_audit.tree import domain
from lotpro_audit.tree.domain import Frontier, Range, TileId


def _hashes(*spelled: str) -> list[bytes]:
    return [bytes.fromhex(one) for one in spelled]


#: The leaves that the reference implementations of certificate transparency are tested with, and what they publish.
LEAVES = [
    domain.leaf_hash(bytes.fromhex(content))
    for content in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = _hashes(
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSIONS = [
    (0, 1, []),
    (
        0,
        8,
        _hashes(
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        5,
        8,
        _hashes(
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (2, 3, _hashes("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125")),
    (
        1,
        5,
        _hashes(
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
    ),
]
CONSISTENCIES = [
    (1, 1, []),
    (
        1,
        8,
        _hashes(
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        6,
        8,
        _hashes(
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (
        2,
        5,
        _hashes(
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
    ),
]

#: The slow oracle: RFC 6962, 2.1, word for word.
Leaves = Sequence[bytes]


def _cut(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def slow_root(leaves: Leaves) -> bytes:
    if not leaves:
        return domain.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    cut = _cut(len(leaves))
    return domain.node_hash(slow_root(leaves[:cut]), slow_root(leaves[cut:]))


def slow_path(index: int, leaves: Leaves) -> list[bytes]:
    if len(leaves) == 1:
        return []
    cut = _cut(len(leaves))
    if index < cut:
        return [*slow_path(index, leaves[:cut]), slow_root(leaves[cut:])]
    return [*slow_path(index - cut, leaves[cut:]), slow_root(leaves[:cut])]


def slow_proof(old: int, leaves: Leaves) -> list[bytes]:
    return _slow_subproof(old, leaves, known=True) if old else []


def _slow_subproof(old: int, leaves: Leaves, *, known: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if known else [slow_root(leaves)]
    cut = _cut(len(leaves))
    if old <= cut:
        return [*_slow_subproof(old, leaves[:cut], known=known), slow_root(leaves[cut:])]
    return [*_slow_subproof(old - cut, leaves[cut:], known=False), slow_root(leaves[:cut])]


def some(count: int) -> list[bytes]:
    return [domain.leaf_hash(number.to_bytes(4)) for number in range(count)]


def grown(batches: Sequence[int], leaves: Leaves) -> dict[TileId, bytes]:
    """All tiles of a tree that grew in batches, handed only the tiles at its edge, as a database would."""
    tiles: dict[TileId, bytes] = {}
    size = 0
    for batch in batches:
        edge = {place: tile for place, tile in tiles.items() if not domain.is_full(tile)}
        tiles |= domain.grow_tiles(size, leaves[size : size + batch], edge)
        size += batch
    return tiles


def by_tiles(subtrees: Sequence[Range], tiles: dict[TileId, bytes]) -> list[bytes]:
    """Hashes of subtrees, reading no other tiles than those that are said to be needed."""
    return [
        domain.hash_of(subtree, {place: tiles[place] for place in domain.tiles_of([subtree])}) for subtree in subtrees
    ]


SIZES = st.integers(0, 600)
#: Around what a tile holds, and around two levels of tiles.
EDGES = (1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513)


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert domain.root(LEAVES[:size]) == ROOTS[size]
    assert slow_root(LEAVES[:size]) == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSIONS)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int, path: list[bytes]) -> None:
    tiles = domain.grow_tiles(0, LEAVES, {})
    assert by_tiles(domain.inclusion(index, size), tiles) == path
    assert domain.root_of_inclusion(index, size, LEAVES[index], path) == ROOTS[size]


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCIES)
def test_consistency_proofs_are_the_published_ones(old: int, new: int, path: list[bytes]) -> None:
    tiles = domain.grow_tiles(0, LEAVES, {})
    assert by_tiles(domain.consistency(old, new), tiles) == path
    assert domain.proves_consistency(old, ROOTS[old], new, ROOTS[new], path)


@settings(max_examples=100, deadline=None)
@given(size=SIZES)
def test_the_root_is_the_oracles(size: int) -> None:
    assert domain.root(some(size)) == slow_root(some(size))


@settings(max_examples=100, deadline=None)
@given(size=SIZES, more=st.integers(0, 40))
def test_a_saved_frontier_goes_on_as_if_it_had_never_stopped(size: int, more: int) -> None:
    leaves = some(size + more)
    frontier = Frontier()
    for leaf in leaves[:size]:
        frontier.append(leaf)
    again = Frontier.read(size, frontier.spelled())
    assert again.root() == slow_root(leaves[:size])
    for leaf in leaves[size:]:
        again.append(leaf)
    assert (again.size, again.root()) == (size + more, slow_root(leaves))


@pytest.mark.parametrize(
    ("size", "spelled"),
    [(3, bytes(32)), (3, bytes(96)), (3, bytes(63)), (0, bytes(32)), (-1, bytes(32)), (-3, bytes(64))],
)
def test_a_frontier_that_does_not_fit_its_size_is_refused(size: int, spelled: bytes) -> None:
    with pytest.raises(ValueError):
        Frontier.read(size, spelled)


@settings(max_examples=100, deadline=None)
@given(batches=st.lists(st.integers(0, 300), max_size=6))
def test_tiles_are_the_same_in_whatever_batches_a_tree_grows(batches: list[int]) -> None:
    leaves = some(sum(batches))
    tiles = grown(batches, leaves)
    assert tiles == (domain.grow_tiles(0, leaves, {}) if leaves else {})
    assert domain.hash_of(Range(0, len(leaves)), tiles) == slow_root(leaves)


def test_tiles_have_levels() -> None:
    leaves = some(65_536 + 300)
    tiles = grown([65_000, 535, 1, 1, 299], leaves)
    assert {place.level: len(tile) for place, tile in tiles.items() if place.index == 0} == {
        0: 8192, 1: 8192, 2: 32,
    }
    assert tiles[TileId(0, 256)] == b"".join(leaves[65_536:65_792])
    assert tiles[TileId(1, 1)] == domain.root(leaves[65_536:65_792])
    assert tiles[TileId(2, 0)] == domain.root(leaves[:65_536])
    root = domain.root(leaves)
    assert domain.hash_of(Range(0, len(leaves)), tiles) == root
    for index in (0, 255, 256, 65_535, 65_536, 65_791, 65_792, len(leaves) - 1):
        path = by_tiles(domain.inclusion(index, len(leaves)), tiles)
        assert domain.root_of_inclusion(index, len(leaves), leaves[index], path) == root
    for old in (1, 256, 65_535, 65_536, 65_537, 65_792, 65_835):
        path = by_tiles(domain.consistency(old, len(leaves)), tiles)
        assert domain.proves_consistency(old, domain.root(leaves[:old]), len(leaves), root, path)


@pytest.mark.parametrize("edge", [{}, {TileId(0, 1): bytes(32)}, {TileId(0, 1): bytes(96)}, {TileId(0, 1): bytes(65)}])
def test_a_tree_does_not_grow_over_an_edge_that_does_not_fit_its_size(edge: dict[TileId, bytes]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        domain.grow_tiles(258, some(1), edge)


def test_a_hash_is_not_made_of_tiles_that_are_missing_or_too_short() -> None:
    tiles = domain.grow_tiles(0, some(300), {})
    with pytest.raises(KeyError):
        domain.hash_of(Range(0, 300), {TileId(0, 1): tiles[TileId(0, 1)]})
    with pytest.raises(ValueError, match="reach"):
        domain.hash_of(Range(0, 300), tiles | {TileId(0, 1): tiles[TileId(0, 1)][:-32]})


@settings(max_examples=100, deadline=None)
@given(data=st.data(), size=st.one_of(st.integers(1, 600), st.sampled_from(EDGES)))
def test_every_leaf_has_the_oracles_proof(data: st.DataObject, size: int) -> None:
    leaves, index = some(size), data.draw(st.integers(0, size - 1))
    path = by_tiles(domain.inclusion(index, size), domain.grow_tiles(0, leaves, {}))
    assert path == slow_path(index, leaves)
    assert domain.root_of_inclusion(index, size, leaves[index], path) == slow_root(leaves)
    assert domain.way_up(index, size, leaves[index], path)[0] == leaves[index]


def test_all_proofs_of_small_trees_hold_and_are_the_oracles() -> None:
    leaves = some(33)
    tiles = domain.grow_tiles(0, leaves, {})
    roots = [slow_root(leaves[:size]) for size in range(34)]
    for size in range(1, 34):
        for index in range(size):
            path = by_tiles(domain.inclusion(index, size), tiles)
            assert path == slow_path(index, leaves[:size])
            assert domain.root_of_inclusion(index, size, leaves[index], path) == roots[size]
        for old in range(size + 1):
            path = by_tiles(domain.consistency(old, size), tiles)
            assert path == slow_proof(old, leaves[:size])
            assert domain.proves_consistency(old, roots[old], size, roots[size], path)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), new=st.one_of(st.integers(1, 600), st.sampled_from(EDGES)))
def test_every_older_tree_has_the_oracles_proof(data: st.DataObject, new: int) -> None:
    leaves, old = some(new), data.draw(st.integers(0, new))
    path = by_tiles(domain.consistency(old, new), domain.grow_tiles(0, leaves, {}))
    assert path == slow_proof(old, leaves)
    assert domain.proves_consistency(old, slow_root(leaves[:old]), new, slow_root(leaves), path)


def _flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _leads_to(root: bytes, index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    try:
        return domain.root_of_inclusion(index, size, leaf, path) == root
    except ValueError:
        return False


def test_no_changed_bit_of_an_inclusion_proof_gets_through() -> None:
    leaves, index = some(13), 6
    root, path = slow_root(leaves), slow_path(6, leaves)
    assert _leads_to(root, index, 13, leaves[index], path)
    for bit in range(256):
        assert not _leads_to(root, index, 13, _flipped(leaves[index], bit), path)
        assert not _leads_to(_flipped(root, bit), index, 13, leaves[index], path)
        for at in range(len(path)):
            assert not _leads_to(root, index, 13, leaves[index], [*path[:at], _flipped(path[at], bit), *path[at + 1 :]])


@settings(max_examples=100, deadline=None)
@given(data=st.data(), size=st.integers(1, 80))
def test_an_inclusion_proof_holds_for_no_other_leaf(data: st.DataObject, size: int) -> None:
    leaves, index = some(size), data.draw(st.integers(0, size - 1))
    path, other = slow_path(index, leaves), data.draw(st.integers(-3, 2 * size))
    if other != index:
        assert not _leads_to(slow_root(leaves), other, size, leaves[index], path)


def test_an_inclusion_proof_holds_for_no_other_size_that_gives_the_leaf_another_way() -> None:
    leaves = some(21)
    for size in range(1, 22):
        for index in range(size):
            path = slow_path(index, leaves[:size])
            for other in range(21):
                same_way = index < other and [
                    subtree.begin < index for subtree in domain.inclusion(index, size)
                ] == [subtree.begin < index for subtree in domain.inclusion(index, other)]
                assert _leads_to(slow_root(leaves[:size]), index, other, leaves[index], path) == same_way


@settings(max_examples=100, deadline=None)
@given(data=st.data(), size=st.integers(1, 80))
def test_an_inclusion_proof_of_the_wrong_length_is_refused(data: st.DataObject, size: int) -> None:
    leaves, index = some(size), data.draw(st.integers(0, size - 1))
    path = slow_path(index, leaves)
    for wrong in ([*path, bytes(32)], [bytes(32), *path], path[:-1], path[1:]):
        if len(wrong) != len(path):
            with pytest.raises(ValueError, match="length"):
                domain.root_of_inclusion(index, size, leaves[index], wrong)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 4), (4, 4), (5, 4), (0, -1)])
def test_a_leaf_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        domain.inclusion(index, size)
    with pytest.raises(ValueError, match="no such leaf"):
        domain.root_of_inclusion(index, size, bytes(32), [])


def test_what_is_no_hash_is_no_part_of_a_proof() -> None:
    leaves = some(7)
    path = slow_path(2, leaves)
    for part in (b"", path[1][:-1], path[1] + b"\0"):
        with pytest.raises(ValueError, match="no hash"):
            domain.root_of_inclusion(2, 7, leaves[2], [path[0], part, *path[2:]])
    # Two halves that are cut elsewhere hash to the same node: this would prove another old root.
    old, (right, *above) = slow_root(leaves[:2]), slow_proof(2, leaves)
    assert domain.proves_consistency(2, old, 7, slow_root(leaves), [right, *above])
    assert not domain.proves_consistency(2, old + right[:1], 7, slow_root(leaves), [right[1:], *above])


def test_no_changed_bit_of_a_consistency_proof_gets_through() -> None:
    leaves = some(13)
    roots = [slow_root(leaves[:size]) for size in range(14)]
    for old in (1, 4, 6, 7, 8, 12):
        path = slow_proof(old, leaves)
        assert domain.proves_consistency(old, roots[old], 13, roots[13], path)
        for bit in range(0, 256, 5):
            assert not domain.proves_consistency(old, _flipped(roots[old], bit), 13, roots[13], path)
            assert not domain.proves_consistency(old, roots[old], 13, _flipped(roots[13], bit), path)
            for at in range(len(path)):
                changed = [*path[:at], _flipped(path[at], bit), *path[at + 1 :]]
                assert not domain.proves_consistency(old, roots[old], 13, roots[13], changed)


def test_a_consistency_proof_holds_for_no_other_sizes() -> None:
    leaves = some(20)
    roots = [slow_root(leaves[:size]) for size in range(21)]
    for old in range(1, 20):
        path = slow_proof(old, leaves)
        for other in range(21):
            if other != old:
                assert not domain.proves_consistency(other, roots[old], 20, roots[20], path)
        assert not domain.proves_consistency(old, roots[20], 20, roots[old], path)
        for wrong in ([*path, bytes(32)], [bytes(32), *path], path[:-1]):
            assert not domain.proves_consistency(old, roots[old], 20, roots[20], wrong)


def test_nothing_is_consistent_with_a_tree_that_shrank() -> None:
    leaves = some(8)
    assert not domain.proves_consistency(8, slow_root(leaves), 5, slow_root(leaves[:5]), [])
    assert not domain.proves_consistency(-1, domain.EMPTY_ROOT, 8, slow_root(leaves), [])
    for old, new in ((8, 5), (-1, 5), (-2, -1)):
        with pytest.raises(ValueError, match="shrinks"):
            domain.consistency(old, new)


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    for size in (0, 1, 2, 3, 8):
        root, other = slow_root(some(size)), domain.leaf_hash(b"another")
        assert domain.proves_consistency(size, root, size, root, [])
        assert not domain.proves_consistency(size, root, size, other, [])
        assert not domain.proves_consistency(size, other, size, root, [])
        assert not domain.proves_consistency(size, root, size, root, [root])
    assert not domain.proves_consistency(0, other, 0, other, [])


def test_every_tree_began_empty_and_an_empty_tree_has_one_root() -> None:
    root = slow_root(some(5))
    assert domain.proves_consistency(0, domain.EMPTY_ROOT, 5, root, [])
    assert not domain.proves_consistency(0, root, 5, root, [])
    assert not domain.proves_consistency(0, domain.EMPTY_ROOT, 5, root, [root])


def test_leaves_and_nodes_never_hash_alike() -> None:
    left, right = some(2)
    assert domain.leaf_hash(left + right) != domain.node_hash(left, right)
