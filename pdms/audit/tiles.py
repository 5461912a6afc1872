"""How the tree is stored: tiles of up to sixteen digests, so that proofs stay cheap and an append touches few rows.

Guarantee: tile (level, index) holds, joined in order, the digests of the complete subtrees of `16 ** level` leaves
whose positions are `16 * index` to `16 * index + 15`; level 0 holds the leaf digests themselves. Floors in between are
recomputed when they are asked for (at most seven digests each), which is cheaper than storing them: one row for sixteen
leaves instead of sixteen. The layout follows C2SP tlog-tiles with height 4 instead of 8, because here a tile is a row
that is rewritten while it fills, not a file served by a web server. Reading and writing rows is the service's part.
"""

from collections.abc import Callable, Iterable

from pdms.audit.merkle import DIGEST_BYTES, EMPTY_ROOT, fold, join_peaks, subtrees
from pdms.errors import IntegrityBroken

HEIGHT = 4
WIDTH = 1 << HEIGHT
FULL_BYTES = WIDTH * DIGEST_BYTES

TileKey = tuple[int, int]
"""(tile level, tile index)."""
TileReader = Callable[[TileKey], bytes]


def tile_of(level: int, index: int) -> tuple[TileKey, int, int]:
    """Return the tile that holds the complete subtree (level, index), its first digest there, and how many it spans."""
    floors = level % HEIGHT
    span = 1 << floors
    first = index << floors
    return (level // HEIGHT, first // WIDTH), first % WIDTH, span


def node_in_tile(tile: bytes, first: int, span: int) -> bytes:
    """Return the digest over `span` digests of `tile` from `first` on.

    :raises IntegrityBroken: TILE_SHORT, the tile does not hold them.
    """
    part = tile[first * DIGEST_BYTES : (first + span) * DIGEST_BYTES]
    if len(part) != span * DIGEST_BYTES:
        raise IntegrityBroken("audit tree: a tile holds fewer digests than the tree needs", code="TILE_SHORT")
    return part if span == 1 else fold(part, span.bit_length() - 1)


def tiles_for(ranges: Iterable[tuple[int, int]]) -> set[TileKey]:
    """Return the tiles needed for the digests of the leaf ranges."""
    return {tile_of(level, index)[0] for start, end in ranges for level, index in subtrees(start, end)}


def node_reader(tile: TileReader) -> Callable[[int, int], bytes]:
    """Return a reader of complete subtrees over a reader of tiles."""

    def node(level: int, index: int) -> bytes:
        key, first, span = tile_of(level, index)
        return node_in_tile(tile(key), first, span)

    return node


def edge_keys(size: int) -> list[TileKey]:
    """Return the keys of the partly filled tiles at the right edge of a tree of `size` leaves, lowest level first."""
    keys = []
    level, count = 0, size
    while count:
        if count % WIDTH:
            keys.append((level, count // WIDTH))
        level, count = level + 1, count // WIDTH
    return keys


class Edge:
    """The partly filled tiles at the right edge of a stored tree; appending yields the rows that change."""

    def __init__(self, size: int, tiles: dict[TileKey, bytes]) -> None:
        """Take over the tiles named by `edge_keys(size)`.

        :raises IntegrityBroken: TILE_SHORT, a stored tile does not hold what a tree of `size` leaves has.
        """
        self.size = size
        self._partial: list[bytes] = []
        level, count = 0, size
        while count:
            digests = tiles.get((level, count // WIDTH), b"")
            if len(digests) != (count % WIDTH) * DIGEST_BYTES:
                raise IntegrityBroken("audit tree: the right edge does not match its size", code="TILE_SHORT")
            self._partial.append(digests)
            level, count = level + 1, count // WIDTH

    def append(self, leaves: bytes) -> dict[TileKey, bytes]:
        """Add joined leaf digests; return the new contents of every tile that changed."""
        changed: dict[TileKey, bytes] = {}
        count, fresh, level = self.size, leaves, 0
        self.size += len(leaves) // DIGEST_BYTES
        while fresh:
            if level == len(self._partial):
                self._partial.append(b"")
            pending = self._partial[level] + fresh
            first = count // WIDTH
            for offset in range(0, len(pending), FULL_BYTES):
                changed[level, first + offset // FULL_BYTES] = pending[offset : offset + FULL_BYTES]
            whole = len(pending) - len(pending) % FULL_BYTES
            self._partial[level] = pending[whole:]
            fresh = fold(pending[:whole], HEIGHT)
            level, count = level + 1, first
        return changed

    def partial(self) -> dict[TileKey, bytes]:
        """Return the tiles that are still filling."""
        return {
            (level, self.size // WIDTH ** (level + 1)): digests
            for level, digests in enumerate(self._partial)
            if digests
        }

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        peaks: list[bytes] = []
        for digests in reversed(self._partial):
            count = len(digests) // DIGEST_BYTES
            for level, index in subtrees(0, count):
                first = index << level
                peaks.append(fold(digests[first * DIGEST_BYTES : (first + (1 << level)) * DIGEST_BYTES], level))
        return join_peaks(peaks) if peaks else EMPTY_ROOT
