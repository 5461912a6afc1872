"""Hierarchies and tuples as flat arrays, in the form that the compiled loops read.

A leaf is encoded as the path from the root to it, a fixed number of bits a step, root end highest; the tuple is the
paths side by side in 63-bit words. Generalising a tuple to a lattice node is then one AND with the node's mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.hierarchies import Hierarchy
from pdms.anonymize.loss import node_losses
from pdms.errors import InvalidInput

WORD_BITS = 63


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Flat tables for m attributes of at most h levels over all leaves.

    `height`: int64 [m]. `offset`: int64 [m, h]: where the leaves of (attribute, level) begin in `node` and `loss`.
    `node`: int32 [...]: node above each leaf. `loss`: float64 [...]: weighted NCP of that node, weights averaging 1.
    `packed`: int64 [words, tuples]: path codes. `masks`: int64 [m, h, words]: bits that a level keeps.
    """

    height: NDArray[np.int64]
    offset: NDArray[np.int64]
    node: NDArray[np.int32]
    loss: NDArray[np.float64]
    packed: NDArray[np.int64]
    masks: NDArray[np.int64]


def weights_of(weights: Sequence[float] | None, attributes: int) -> NDArray[np.float64]:
    """Return attribute weights scaled to average 1; raises InvalidInput unless each is positive and finite."""
    if weights is None:
        return np.ones(attributes)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (attributes,) or not np.all(np.isfinite(given)) or np.any(given <= 0):
        raise InvalidInput("weights: one positive number is needed for each attribute")
    scaled: NDArray[np.float64] = given / given.mean()
    return scaled


def flatten(
    hierarchies: Sequence[Hierarchy], codes: NDArray[np.int32], *, weights: Sequence[float] | None = None
) -> Arrays:
    """Lay out hierarchies and tuples (`codes`: int32 [tuples, m]) for the compiled loops."""
    attributes, tallest = len(hierarchies), max(hierarchy.height for hierarchy in hierarchies)
    scale = weights_of(weights, attributes)
    offset = np.zeros((attributes, tallest), dtype=np.int64)
    nodes, losses = [], []
    begin = 0
    for column, hierarchy in enumerate(hierarchies):
        per_level = node_losses(hierarchy, codes[:, column])
        for level in range(hierarchy.height):
            offset[column, level] = begin
            begin += len(hierarchy.leaves)
            nodes.append(hierarchy.ancestors[level])
            losses.append(per_level[level][hierarchy.ancestors[level]] * scale[column])
    packed, masks = _pack(hierarchies, codes, tallest)
    return Arrays(
        height=np.array([hierarchy.height for hierarchy in hierarchies], dtype=np.int64),
        offset=offset,
        node=np.concatenate(nodes),
        loss=np.concatenate(losses),
        packed=packed,
        masks=masks,
    )


def _pack(
    hierarchies: Sequence[Hierarchy], codes: NDArray[np.int32], tallest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    fields: list[tuple[NDArray[np.int64], list[int]]] = [_paths(hierarchy) for hierarchy in hierarchies]
    places: list[tuple[int, int]] = []
    word = used = 0
    for _, lows in fields:
        if used + lows[-1] > WORD_BITS:
            word, used = word + 1, 0
        places.append((word, used))
        used += lows[-1]
    packed = np.zeros((word + 1, len(codes)), dtype=np.int64)
    masks = np.zeros((len(hierarchies), tallest, word + 1), dtype=np.int64)
    for column, ((path, lows), (target, shift)) in enumerate(zip(fields, places, strict=True)):
        packed[target] |= path[codes[:, column]] << shift
        for level, low in enumerate(lows):
            masks[column, level, target] = ((1 << lows[-1]) - (1 << low)) << shift
    return packed, masks


def _paths(hierarchy: Hierarchy) -> tuple[NDArray[np.int64], list[int]]:
    """Return the path code of each leaf, and per level the first bit that the level keeps (the root: none)."""
    path = np.zeros(len(hierarchy.leaves), dtype=np.int64)
    bit, lows = 0, []
    for level, parents in enumerate(hierarchy.parents):
        parent = np.asarray(parents)
        rank = np.arange(len(parent)) - np.searchsorted(parent, parent)
        path |= rank[hierarchy.ancestors[level]].astype(np.int64) << bit
        lows.append(bit)
        bit += int(rank.max()).bit_length()
        if bit > WORD_BITS:
            raise InvalidInput(f"hierarchy {hierarchy.name}: too deep and wide for {WORD_BITS} bits a path")
    return path, [*lows, bit]
