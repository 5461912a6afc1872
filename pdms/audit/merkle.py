"""The Merkle tree of RFC 9162 section 2.1: the making of roots, inclusion and consistency proofs.

Guarantee: pure functions over SHA-256 digests, equal to the RFC's definitions for every size. A proof is computed from
the digests of *complete* subtrees, `node(level, index)`, which the caller reads from wherever it keeps them: the
subtree at (level, index) covers the leaves from `index << level` up to `(index + 1) << level`. Verification is
`verifier`'s; it raises and says what failed, and never answers with a boolean. No events, storage or signatures here.
"""

from collections.abc import Callable
from hashlib import sha256

from pdms.audit import verifier
from pdms.audit.families import in_families
from pdms.audit.verifier import DIGEST_BYTES, EMPTY_ROOT, Frontier, join_peaks, leaf_digest, node_digest
from pdms.errors import InvalidInput

__all__ = [
    "DIGEST_BYTES",
    "EMPTY_ROOT",
    "Frontier",
    "NodeReader",
    "consistency_path",
    "consistency_ranges",
    "fold",
    "inclusion_path",
    "inclusion_ranges",
    "join_peaks",
    "leaf_digest",
    "node_digest",
    "range_digest",
    "subtrees",
    "verify_consistency",
    "verify_inclusion",
]

NodeReader = Callable[[int, int], bytes]
"""Digest of the complete subtree at (level, index)."""


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


verify_inclusion = in_families()(verifier.verify_inclusion)
verify_consistency = in_families()(verifier.verify_consistency)
