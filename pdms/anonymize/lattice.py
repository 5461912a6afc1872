"""The lattice of one block of tuples, as both peels visit it.

Guarantees: levels that group the block's tuples as the level below does are passed over, since a label would be
tightened to the lower one anyway; the ends of each attribute always stay.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.compiled import compiled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

STEPS = 200
"""In how many steps the ceiling rises from nothing said wrong to nothing said at all; more gain no precision."""

LATTICE_LIMIT = 1 << 16
"""Most lattice nodes visited in one block; beyond it intermediate levels are passed over, never the ends."""


def _distinct_levels_plain(
    member: Ints,
    remaining: int,
    counts: Ints,
    codes: NDArray[np.int32],
    node: NDArray[np.int32],
    offset: Ints,
    loss: Floats,
    height: Ints,
    lattice_limit: int,
    seen: Ints,
    look: int,
    kept: Ints,
    levels: Ints,
    mean: Floats,
    floor: Floats,
) -> tuple[int, int]:
    """Fill in, per attribute, how many levels are `kept`, which `levels`, and their `mean` and least (`floor`) loss.

    Returns the number of lattice nodes and the last mark made in `seen`.
    """
    attributes, nodes = offset.shape[0], 1
    for a in range(attributes):
        kept[a] = 0
        before = -1
        for level in range(height[a]):
            look += 1
            distinct, cost, weight, least, at = 0, 0.0, 0, np.inf, offset[a, level]
            for i in range(remaining):
                j = member[i]
                code = codes[j, a]
                if seen[node[at + code]] != look:
                    seen[node[at + code]] = look
                    distinct += 1
                cost += counts[j] * loss[at + code]
                weight += counts[j]
                least = min(least, loss[at + code])
            if distinct != before:
                levels[a, kept[a]], mean[a, kept[a]], floor[a, kept[a]] = level, cost / weight, least
                kept[a] += 1
                before = distinct
            if distinct == 1:
                break
        nodes *= kept[a]
    while nodes > lattice_limit:
        # pass over the intermediate level that is nearest in loss to the one below it
        nearest, drop_attribute, drop = np.inf, -1, -1
        for a in range(attributes):
            for position in range(1, kept[a] - 1):
                gap = mean[a, position] - mean[a, position - 1]
                if gap < nearest:
                    nearest, drop_attribute, drop = gap, a, position
        if drop < 0:
            break
        nodes = nodes // kept[drop_attribute] * (kept[drop_attribute] - 1)
        for position in range(drop, kept[drop_attribute] - 1):
            levels[drop_attribute, position] = levels[drop_attribute, position + 1]
            mean[drop_attribute, position] = mean[drop_attribute, position + 1]
            floor[drop_attribute, position] = floor[drop_attribute, position + 1]
        kept[drop_attribute] -= 1
    return nodes, look


def _expand_plain(values: Floats, kept: Ints, nodes: int) -> Floats:
    """Return float64 [nodes]: the sum over attributes of `values` at each node's levels, first attribute fastest."""
    total = np.zeros(nodes)
    filled = 1
    for a in range(len(kept)):
        for position in range(kept[a] - 1, -1, -1):
            for x in range(filled):
                total[position * filled + x] = total[x] + values[a, position]
        filled *= kept[a]
    return total


def _ascending_plain(score: Floats) -> Ints:
    """Return a stable ascending order; numpy's own takes a second to compile, this a tenth."""
    order, spare = np.empty(len(score), np.int64), np.empty(len(score), np.int64)
    for i in range(len(score)):
        order[i] = i
    width = 1
    while width < len(score):
        for begin in range(0, len(score), 2 * width):
            middle, end = min(begin + width, len(score)), min(begin + 2 * width, len(score))
            i, j = begin, middle
            for at in range(begin, end):
                if i < middle and (j >= end or score[order[i]] <= score[order[j]]):
                    spare[at] = order[i]
                    i += 1
                else:
                    spare[at] = order[j]
                    j += 1
        order, spare = spare, order
        width *= 2
    return order


distinct_levels = compiled(_distinct_levels_plain)
expand = compiled(_expand_plain)
ascending = compiled(_ascending_plain)
