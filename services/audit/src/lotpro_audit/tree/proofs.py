"""Inclusion proofs of many leaves of one tree, by its tiles; pure.

A tile that is used is hashed up to its top once, and what leaves have in common is not worked out again: a proof costs
a hash or two where leaves stand close together, and the 255 of one tile where they stand alone.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from hashlib import sha256

from lotpro_audit.tree import domain
from lotpro_audit.tree.domain import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, Range, TileId

#: Tiles that are kept hashed to their top, 32 kB each: the edge of the tree, and what neighbours share.
_KEPT = 64

#: Hashes of whole subtrees, those of one width a row, the tile's own first.
_Levels = list[list[bytes]]


class Prover:
    """Proves leaves of the tree of one size: ask for the tiles it wants, give them, take the paths.

    Memory is bounded by the tiles of the leaves that are proved at once.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._peaks = list(domain.whole_parts(Range(0, size)))
        self._above: dict[Range, list[bytes]] = {}
        self._tiles: dict[TileId, bytes] = {}
        self._levels: OrderedDict[TileId, _Levels] = OrderedDict()

    def wanted(self, indexes: Iterable[int]) -> set[TileId]:
        """The tiles that are missing to prove these leaves next; others are forgotten. Raises ValueError."""
        places: set[TileId] = set()
        for index in indexes:
            peak = self._peak(index)
            if peak not in self._above:
                places |= domain.tiles_of(self._path_above(peak))
            for level in range(0, peak.width.bit_length() - 1, TILE_HEIGHT):
                places.add(TileId(level // TILE_HEIGHT, index >> (level + TILE_HEIGHT)))
        self._tiles = {place: tile for place, tile in self._tiles.items() if place in places}
        return places - self._tiles.keys()

    def give(self, tiles: Mapping[TileId, bytes]) -> None:
        """The tiles that were wanted."""
        self._tiles |= tiles

    def path(self, index: int) -> list[bytes]:
        """The hashes that prove a leaf, from the leaf up (RFC 6962, 2.1.1).

        Raises KeyError, IndexError and ValueError when tiles are missing or do not reach so far, and ValueError when
        the tree has no such leaf.
        """
        peak = self._peak(index)
        path: list[bytes] = []
        height = peak.width.bit_length() - 1
        for level in range(0, height, TILE_HEIGHT):
            place = TileId(level // TILE_HEIGHT, index >> (level + TILE_HEIGHT))
            number = index >> level & (TILE_WIDTH - 1)
            # A sibling is in the tile that the way up goes through, also at its top.
            rows = self._levels_of(place)[: height - level]
            path += [row[number >> up ^ 1] for up, row in enumerate(rows)]
        if peak not in self._above:
            self._above[peak] = [domain.hash_of(part, self._tiles) for part in self._path_above(peak)]
        return path + self._above[peak]

    def _peak(self, index: int) -> Range:
        """The whole subtree at the tree's edge that a leaf is in."""
        for peak in self._peaks:
            if peak.begin <= index < peak.end:
                return peak
        raise ValueError("no such leaf in this tree")

    def _path_above(self, peak: Range) -> list[Range]:
        """What proves a whole subtree at the edge: the same for all of its leaves."""
        return domain.inclusion(peak.begin, self.size)[peak.width.bit_length() - 1 :]

    def _levels_of(self, place: TileId) -> _Levels:
        found = self._levels.get(place)
        if found is None:
            found = self._levels[place] = _hash_up(self._tiles[place])
            if len(self._levels) > _KEPT:
                self._levels.popitem(last=False)
        else:
            self._levels.move_to_end(place)
        return found


def _hash_up(tile: bytes) -> _Levels:
    """All hashes of whole subtrees in a tile, as far as it is filled."""
    levels = [domain.split(tile)]
    while len(tile) >= 2 * HASH_BYTES and len(levels) < TILE_HEIGHT:
        pairs = range(0, len(tile) - HASH_BYTES, 2 * HASH_BYTES)
        hashes = [sha256(b"\x01" + tile[at : at + 2 * HASH_BYTES]).digest() for at in pairs]
        levels.append(hashes)
        tile = b"".join(hashes)
    return levels

