"""The Merkle tree of RFC 9162 section 2.1: digests, roots, inclusion and consistency proofs, and their verification.

Guarantee: pure functions over SHA-256 digests, equal to the RFC's definitions for every size. A proof is computed from
the digests of *complete* subtrees, `node(level, index)`, which the caller reads from wherever it keeps them: the
subtree at (level, index) covers the leaves from `index << level` up to `(index + 1) << level`. Verification raises and
says what failed; it never answers with a boolean. It deliberately knows neither events nor storage nor signatures.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from pdms.errors import IntegrityBroken, InvalidInput

DIGEST_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves (RFC 9162 section 2.1.1)."""

NodeReader = Callable[[int, int], bytes]
"""Digest of the complete subtree at (level, index)."""


def leaf_digest(data: bytes) -> bytes:
    """Return the digest of a leaf holding `data`; the 0x00 prefix keeps leaves and nodes apart."""
    return sha256(b"\x00" + data).digest()


def node_digest(left: bytes, right: bytes) -> bytes:
    """Return the digest of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def fold(digests: bytes, levels: int) -> bytes:
    """Return the parents, `levels` floors up, of concatenated sibling digests.

    :param digests: a multiple of `2 ** levels` digests, joined; bytes, not a list, since slicing once per node is what
        makes a hundred thousand appends a second possible.
    """
    for _ in range(levels):
        digests = b"".join(
            [sha256(b"\x01" + digests[start : start + 64]).digest() for start in range(0, len(digests), 64)]
        )
    return digests


def subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """Return the complete subtrees (level, index), left to right, that make up the leaves `start..end` of a tree node.

    `start` must be a multiple of the greatest power of two below the range's length, as it is for every node of a tree.
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def range_digest(start: int, end: int, node: NodeReader) -> bytes:
    """Return the digest of the tree node over the leaves `start..end`, MTH(D[start:end])."""
    if start == end:
        return EMPTY_ROOT
    level = (end - start).bit_length() - 1
    if end - start == 1 << level:
        return node(level, start >> level)
    return join_peaks([node(level, index) for level, index in subtrees(start, end)])


def join_peaks(peaks: Sequence[bytes]) -> bytes:
    """Return the digest over complete subtrees of falling size, given left to right."""
    joined = peaks[-1]
    for peak in reversed(peaks[:-1]):
        joined = node_digest(peak, joined)
    return joined


def _split(size: int) -> int:
    """Return the greatest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the leaf ranges whose digests form the path of `index`, from leaf to root (RFC 9162 section 2.1.3.1).

    :raises InvalidInput: `index` lies outside the tree.
    """
    if not 0 <= index < size:
        raise InvalidInput("leaf index: must lie inside the tree", code="INDEX_OUTSIDE_TREE")
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    ranges.reverse()
    return ranges


def consistency_ranges(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """Return the leaf ranges that prove the first `old_size` leaves unchanged (RFC 9162 section 2.1.4.1).

    Empty when the sizes are equal or the older tree is empty: then there is nothing to prove.
    :raises InvalidInput: `old_size` is negative or greater than `new_size`.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidInput("old size: must not exceed the new size", code="SIZE_OUTSIDE_TREE")
    if old_size in (0, new_size):
        return []
    ranges: list[tuple[int, int]] = []
    start, end, whole = 0, new_size, True
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:
        ranges.append((start, end))
    ranges.reverse()
    return ranges


def inclusion_path(index: int, size: int, node: NodeReader) -> tuple[bytes, ...]:
    """Return PATH(index, D[size]), leaf side first."""
    return tuple(range_digest(start, end, node) for start, end in inclusion_ranges(index, size))


def consistency_path(old_size: int, new_size: int, node: NodeReader) -> tuple[bytes, ...]:
    """Return PROOF(old_size, D[new_size])."""
    return tuple(range_digest(start, end, node) for start, end in consistency_ranges(old_size, new_size))


def root_by_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that `path` leads to from the leaf digest `leaf` (RFC 9162 section 2.1.3.2).

    :raises IntegrityBroken: PROOF_SHAPE, the path has the wrong length or digest size, or the index is outside.
    """
    if not 0 <= index < size or any(len(step) != DIGEST_BYTES for step in (leaf, *path)):
        raise IntegrityBroken("inclusion proof: index or digest size is wrong", code="PROOF_SHAPE")
    position, last, digest = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise IntegrityBroken("inclusion proof: longer than the tree is high", code="PROOF_SHAPE")
        if position & 1 or position == last:
            digest = node_digest(step, digest)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            digest = node_digest(digest, step)
        position >>= 1
        last >>= 1
    if last:
        raise IntegrityBroken("inclusion proof: shorter than the tree is high", code="PROOF_SHAPE")
    return digest


def verify_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf digest `leaf` is at `index` of the tree of `size` leaves with `root`.

    :raises IntegrityBroken: PROOF_SHAPE or ROOT_DIFFERS.
    """
    if root_by_inclusion(leaf, index=index, size=size, path=path) != root:
        raise IntegrityBroken("inclusion proof: does not lead to the root", code="ROOT_DIFFERS")


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` leaves begins with all of the older tree's (RFC 9162 section 2.1.4.2).

    :raises IntegrityBroken: PROOF_SHAPE, or ROOT_DIFFERS naming the older or the newer root.
    """
    if not 0 <= old_size <= new_size or any(len(step) != DIGEST_BYTES for step in path):
        raise IntegrityBroken("consistency proof: sizes or digest size are wrong", code="PROOF_SHAPE")
    if old_size in (0, new_size):
        if path:
            raise IntegrityBroken("consistency proof: nothing to prove, yet not empty", code="PROOF_SHAPE")
        if old_size == 0 and old_root != EMPTY_ROOT:
            raise IntegrityBroken("consistency proof: the empty tree has another root", code="ROOT_DIFFERS")
        if old_size == new_size and old_root != new_root:
            raise IntegrityBroken("consistency proof: one size, two roots", code="ROOT_DIFFERS")
        return
    steps = list(path)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        raise IntegrityBroken("consistency proof: empty", code="PROOF_SHAPE")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise IntegrityBroken("consistency proof: longer than the tree is high", code="PROOF_SHAPE")
        if position & 1 or position == last:
            old, new = node_digest(step, old), node_digest(step, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_digest(new, step)
        position >>= 1
        last >>= 1
    if last:
        raise IntegrityBroken("consistency proof: shorter than the tree is high", code="PROOF_SHAPE")
    if old != old_root:
        raise IntegrityBroken("consistency proof: does not lead to the older root", code="ROOT_DIFFERS")
    if new != new_root:
        raise IntegrityBroken("consistency proof: does not lead to the newer root", code="ROOT_DIFFERS")


class Frontier:
    """The right edge of a growing tree: enough to know its root at every size, in memory of log(size) digests."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf digest at the right."""
        digest, carry = leaf, self.size
        while carry & 1:
            digest = node_digest(self._peaks.pop(), digest)
            carry >>= 1
        self._peaks.append(digest)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf digests in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Return the root of what was appended so far."""
        return join_peaks(self._peaks) if self._peaks else EMPTY_ROOT
