"""RFC 6962 Merkle trees: hashes, growth, tiles, inclusion and consistency proofs; pure.

A tree of `size` leaves is cut into subtrees whose leaves are a range `[begin, end)`. A subtree is *whole* when its
width is a power of two and it begins at a multiple of it; whole subtrees never change again as the tree grows. Their
hashes are kept in tiles of 256 (C2SP tlog-tiles): tile `(level, index)` holds the hashes of the whole subtrees of
`256**level` leaves from number `256 * index` on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
#: RFC 6962, 2.1: the hash of an empty list.
EMPTY_ROOT = sha256().digest()

_LEAF, _NODE = b"\x00", b"\x01"


class Range(NamedTuple):
    """Leaves `[begin, end)` of a tree: a subtree."""

    begin: int
    end: int

    @property
    def width(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, slots=True, order=True)
class TileId:
    """A tile's place."""

    level: int
    index: int


#: Hashes of a tile one after another; fewer than 256 while the tree has not filled it.
Tiles = Mapping[TileId, bytes]


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf (RFC 6962, 2.1)."""
    return sha256(_LEAF + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 6962, 2.1)."""
    return sha256(_NODE + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """What of a tree must be known to let it grow: the whole subtrees it consists of, the largest first."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Add one leaf's hash."""
        carry, number = leaf, self.size
        while number & 1:
            carry = node_hash(self.hashes.pop(), carry)
            number >>= 1
        self.hashes.append(carry)
        self.size += 1

    def root(self) -> bytes:
        """The tree's hash (RFC 6962, 2.1)."""
        return fold(self.hashes)

    def spelled(self) -> bytes:
        """The hashes one after another; the size says what they are of."""
        return b"".join(self.hashes)

    @classmethod
    def read(cls, size: int, spelled: bytes) -> "Frontier":
        """What `spelled` wrote; raises ValueError when it does not fit the size."""
        hashes = split(spelled)
        if size < 0 or len(hashes) != size.bit_count():
            raise ValueError("the frontier does not fit the tree's size")
        return cls(size, hashes)


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash of a tree that consists of these whole subtrees, the largest first."""
    if not hashes:
        return EMPTY_ROOT
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found


def root(leaves: Iterable[bytes]) -> bytes:
    """The hash of a tree with these leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def split(hashes: bytes) -> list[bytes]:
    """Hashes that stand one after another; raises ValueError for half a hash."""
    if len(hashes) % HASH_BYTES:
        raise ValueError("half a hash")
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]


def whole_parts(subtree: Range) -> Iterator[Range]:
    """The whole subtrees that a subtree consists of, from left to right; a whole one consists of itself."""
    begin, left = subtree.begin, subtree.width
    while left:
        width = 1 << (left.bit_length() - 1)
        yield Range(begin, begin + width)
        begin, left = begin + width, left - width


def _half(width: int) -> int:
    """The largest power of two below a width: where RFC 6962 cuts a tree in two."""
    return 1 << ((width - 1).bit_length() - 1)


def inclusion(index: int, size: int) -> list[Range]:
    """The subtrees whose hashes prove that leaf `index` is in the tree of a size, from the leaf up (RFC 6962, 2.1.1).

    Raises ValueError when the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError("no such leaf in this tree")
    path, tree = [], Range(0, size)
    while tree.width > 1:
        cut = tree.begin + _half(tree.width)
        left, right = Range(tree.begin, cut), Range(cut, tree.end)
        tree, other = (left, right) if index < cut else (right, left)
        path.append(other)
    return path[::-1]


def consistency(old: int, new: int) -> list[Range]:
    """The subtrees whose hashes prove that the tree of size `old` is where the one of size `new` began (2.1.2).

    Empty for equal sizes and for an empty old tree; raises ValueError when `old` is larger than `new`.
    """
    if not 0 <= old <= new:
        raise ValueError("a tree never shrinks")
    if old in (0, new):
        return []
    path, tree, whole = [], Range(0, new), True
    while old < tree.end:
        cut = tree.begin + _half(tree.width)
        left, right = Range(tree.begin, cut), Range(cut, tree.end)
        if old <= cut:
            path.append(right)
            tree = left
        else:
            path.append(left)
            tree, whole = right, False
    return path[::-1] if whole else [tree, *path[::-1]]


def way_up(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> list[bytes]:
    """The hashes that an inclusion proof leads to, from the leaf to the tree's hash.

    Raises ValueError when the tree has no such leaf, and for a path that is no proof of one in a tree of this size.
    """
    # Up to where the leaf's way joins the last leaf's there is a sibling on every level, above only on the left.
    joined = joining_level(index, size)
    if len(path) != joined + (index >> joined).bit_count():
        raise ValueError("the proof has the wrong length")
    way = [leaf]
    for level, sibling in enumerate(path):
        if len(sibling) != HASH_BYTES:
            raise ValueError("the proof has something that is no hash")
        right = level >= joined or index >> level & 1
        way.append(node_hash(sibling, way[-1]) if right else node_hash(way[-1], sibling))
    return way


def joining_level(index: int, size: int) -> int:
    """The level at which a leaf's way up joins the last leaf's; raises ValueError when the tree has no such leaf."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in this tree")
    return (index ^ (size - 1)).bit_length()


def root_of_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The tree's hash that an inclusion proof leads to; raises ValueError as `way_up` does."""
    return way_up(index, size, leaf, path)[-1]


def proves_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether a consistency proof shows that the tree of `old_root` is where the one of `new_root` began.

    An empty tree is where every tree began; no tree began where a larger one stands.
    """
    if not 0 <= old <= new or any(len(part) != HASH_BYTES for part in path):
        return False
    subtrees = consistency(old, new)
    if len(subtrees) != len(path):
        return False
    if old == 0:
        return old_root == EMPTY_ROOT and (new > 0 or new_root == EMPTY_ROOT)
    if old == new:
        return old_root == new_root
    known = dict(zip(subtrees, path, strict=True))
    if old & (old - 1) == 0:
        # A whole old tree stands in the new one as it is; its hash is not repeated in the proof.
        known[Range(0, old)] = old_root
    return _hash_by(known, Range(0, old)) == old_root and _hash_by(known, Range(0, new)) == new_root


def _hash_by(known: Mapping[Range, bytes], tree: Range) -> bytes:
    """The hash of a tree by the hashes that are known of its subtrees."""
    if tree in known:
        return known[tree]
    cut = tree.begin + _half(tree.width)
    return node_hash(_hash_by(known, Range(tree.begin, cut)), _hash_by(known, Range(cut, tree.end)))


def tiles_of(subtrees: Iterable[Range]) -> set[TileId]:
    """The tiles in which the hashes of subtrees are."""
    return {_place(part)[0] for subtree in subtrees for part in whole_parts(subtree)}


def hash_of(subtree: Range, tiles: Tiles) -> bytes:
    """A subtree's hash by its tiles; raises KeyError when one is missing and ValueError when one is too short."""
    return fold([_hash_of_whole(part, tiles) for part in whole_parts(subtree)])


def _place(whole: Range) -> tuple[TileId, int, int]:
    """A whole subtree's tile, and which of its hashes the subtree consists of: the first, and how many."""
    level = (whole.width.bit_length() - 1) // TILE_HEIGHT
    unit = 1 << (TILE_HEIGHT * level)
    number = whole.begin // unit
    return TileId(level, number // TILE_WIDTH), number % TILE_WIDTH, whole.width // unit


def _hash_of_whole(whole: Range, tiles: Tiles) -> bytes:
    place, first, count = _place(whole)
    hashes = split(tiles[place][first * HASH_BYTES : (first + count) * HASH_BYTES])
    if len(hashes) != count:
        raise ValueError("the tile does not reach so far")
    return _pair_up(hashes)


def _pair_up(hashes: Sequence[bytes]) -> bytes:
    """The hash of a subtree over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def grow_tiles(size: int, leaves: Sequence[bytes], edge: Tiles) -> dict[TileId, bytes]:
    """The tiles that change when a tree of a size gets these leaf hashes, with what they hold then.

    `edge` has the tiles at the tree's right edge that are not full: one a level at most. Raises ValueError when one
    that changes does not fit the size: what would be written then would prove nothing.
    """
    changed: dict[TileId, bytes] = {}
    level, fresh = 0, list(leaves)
    while fresh:
        full: list[bytes] = []
        number = size >> (TILE_HEIGHT * level)
        while fresh:
            place, held = TileId(level, number // TILE_WIDTH), number % TILE_WIDTH
            before = edge.get(place, b"")
            if len(before) != held * HASH_BYTES:
                raise ValueError("a tile does not fit the tree's size")
            taken, fresh = fresh[: TILE_WIDTH - held], fresh[TILE_WIDTH - held :]
            changed[place] = before + b"".join(taken)
            number += len(taken)
            if is_full(changed[place]):
                full.append(_pair_up(split(changed[place])))
        level, fresh = level + 1, full
    return changed


def is_full(tile: bytes) -> bool:
    """Whether a tile will not change any more."""
    return len(tile) == TILE_WIDTH * HASH_BYTES
