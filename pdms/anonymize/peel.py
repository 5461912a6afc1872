"""Lattice peel: release the tuples that agree at the most exact node first, then look again at what remains.

In each block of like tuples (see `blocks`) the lattice nodes are visited in ascending mean loss; at each, the tuples
that remain are grouped by what the node leaves of them, and every group that holds enough members is taken off. Means
are taken anew when half a block is gone. What all blocks leave over is peeled together.

Guarantees: deterministic; each group holds at least the members asked for; a tuple is in one group or in none.
Deliberately not here: labels, which `classes` tightens from the groups.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays
from pdms.anonymize.blocks import cut
from pdms.anonymize.compiled import compiled

Ints = NDArray[np.int64]

LATTICE_LIMIT = 1 << 16
"""Most lattice nodes visited in one block; beyond it intermediate levels are passed over, never the ends."""


def peel(
    codes: NDArray[np.int32], counts: Ints, arrays: Arrays, *, least: int, limit: int = 2000, balance: bool = True
) -> Ints:
    """Return a group number for each tuple (int64 [tuples]), -1 where no group of `least` members was found.

    `limit` and `balance` shape the blocks (see `blocks.cut`).
    """
    group_of = np.full(len(codes), -1, dtype=np.int64)
    if len(codes) == 0:
        return group_of
    order, starts = cut(codes, counts, arrays, limit=limit, balance=balance)
    shared = (codes, counts, arrays.node, arrays.offset, arrays.loss, arrays.height, arrays.packed, arrays.masks)
    groups = _peel(order, starts, *shared, least, LATTICE_LIMIT, group_of, 0)
    left_over = np.flatnonzero(group_of < 0)
    if len(starts) > 2 and len(left_over) > 0:
        _peel(left_over, np.array([0, len(left_over)]), *shared, least, LATTICE_LIMIT, group_of, groups)
    return group_of


def _peel_plain(
    order: Ints,
    starts: Ints,
    codes: NDArray[np.int32],
    counts: Ints,
    node: NDArray[np.int32],
    offset: Ints,
    loss: NDArray[np.float64],
    height: Ints,
    packed: Ints,
    masks: Ints,
    least: int,
    lattice_limit: int,
    group_of: Ints,
    groups: int,
) -> int:
    attributes, tallest = offset.shape
    words = packed.shape[0]
    largest = np.int64(np.max(starts[1:] - starts[:-1]))
    slots, shift = 16, 60
    while slots < 2 * largest:
        slots *= 2
        shift -= 1
    keys, sums = np.empty(slots, np.int64), np.empty(slots, np.int64)
    stamps, number = np.zeros(slots, np.int64), np.empty(slots, np.int64)
    stamp = 0
    member, count = np.empty(largest, np.int64), np.empty(largest, np.int64)
    path, slot = np.empty((words, largest), np.int64), np.empty(largest, np.int64)
    seen = np.zeros(np.int64(node.max()) + 1, np.int64)
    look = 0
    for block in range(len(starts) - 1):
        remaining = starts[block + 1] - starts[block]
        left = 0
        for i in range(remaining):
            j = order[starts[block] + i]
            member[i], count[i] = j, counts[j]
            left += counts[j]
            for w in range(words):
                path[w, i] = packed[w, j]
        # levels that group the block's tuples differently from the level below
        kept, levels = np.zeros(attributes, np.int64), np.zeros((attributes, tallest), np.int64)
        mean = np.zeros((attributes, tallest))
        nodes = 1
        for a in range(attributes):
            before = -1
            for level in range(height[a]):
                look += 1
                distinct, cost, at = 0, 0.0, offset[a, level]
                for i in range(remaining):
                    code = codes[member[i], a]
                    here = node[at + code]
                    if seen[here] != look:
                        seen[here] = look
                        distinct += 1
                    cost += count[i] * loss[at + code]
                if distinct != before:
                    levels[a, kept[a]], mean[a, kept[a]] = level, cost / left
                    kept[a] += 1
                    before = distinct
                if distinct == 1:
                    break
            nodes *= kept[a]
        while nodes > lattice_limit and kept.max() > 2:
            # pass over the intermediate level that is nearest in loss to the one below it
            nearest, drop_attribute, drop = np.inf, -1, -1
            for a in range(attributes):
                for position in range(1, kept[a] - 1):
                    step = mean[a, position] - mean[a, position - 1]
                    if step < nearest:
                        nearest, drop_attribute, drop = step, a, position
            nodes = nodes // kept[drop_attribute] * (kept[drop_attribute] - 1)
            for position in range(drop, kept[drop_attribute] - 1):
                levels[drop_attribute, position] = levels[drop_attribute, position + 1]
                mean[drop_attribute, position] = mean[drop_attribute, position + 1]
            kept[drop_attribute] -= 1
        visited = np.zeros(nodes, np.bool_)
        score, mask = np.empty(nodes), np.empty(words, np.int64)
        while left >= least:
            score[0] = 0.0
            filled = 1
            for a in range(attributes):
                for position in range(kept[a] - 1, -1, -1):
                    for x in range(filled):
                        score[position * filled + x] = score[x] + mean[a, position]
                filled *= kept[a]
            base, exhausted = left, True
            for v in np.argsort(score, kind="mergesort"):
                if left < least:
                    break
                if visited[v]:
                    continue
                visited[v] = True
                rest = np.int64(v)
                mask[:] = 0
                for a in range(attributes):
                    level = levels[a, rest % kept[a]]
                    rest //= kept[a]
                    for w in range(words):
                        mask[w] |= masks[a, level, w]
                stamp += 1
                full = False
                for i in range(remaining):
                    key = path[0, i] & mask[0]
                    for w in range(1, words):  # a collision would only join two groups; labels are tightened after
                        key = (key ^ (key >> 29)) * 0x2127599BF4325C37 + (path[w, i] & mask[w])
                    at = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))
                    while stamps[at] == stamp and keys[at] != key:
                        at = (at + 1) & (slots - 1)
                    if stamps[at] != stamp:
                        stamps[at], keys[at], sums[at], number[at] = stamp, key, 0, -1
                    sums[at] += count[i]
                    slot[i] = at
                    full |= sums[at] >= least
                if not full:
                    continue
                stay = 0
                for i in range(remaining):
                    at = slot[i]
                    if sums[at] >= least:
                        if number[at] < 0:
                            number[at] = groups
                            groups += 1
                        group_of[member[i]] = number[at]
                        left -= count[i]
                    else:
                        member[stay], count[stay] = member[i], count[i]
                        for w in range(words):
                            path[w, stay] = path[w, i]
                        stay += 1
                remaining = stay
                if left < base // 2:
                    exhausted = False
                    break
            if exhausted or left < least:
                break
            for a in range(attributes):
                for position in range(kept[a]):
                    at, cost = offset[a, levels[a, position]], 0.0
                    for i in range(remaining):
                        cost += count[i] * loss[at + codes[member[i], a]]
                    mean[a, position] = cost / left
    return groups


_peel = compiled(_peel_plain)
