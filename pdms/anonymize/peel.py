"""Lattice peel: take off the most exact group of tuples first, then look again at what remains.

In each block of like tuples (see `blocks`) the lattice nodes are visited under a rising ceiling of loss. At a node, the
tuples that remain are grouped by what the node leaves of them, and every group that holds enough members and lies below
the ceiling is taken off; the node's cheapest remaining group says when to come back, and a node without any never
gains one again, since tuples only leave. What all blocks leave over is peeled together.

Guarantees: deterministic; each group holds at least the members asked for; a tuple is in one group or in none.
Deliberately not here: labels, which `classes` tightens from the groups.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays
from pdms.anonymize.blocks import cut
from pdms.anonymize.compiled import compiled
from pdms.anonymize.lattice import LATTICE_LIMIT, STEPS, ascending, distinct_levels, expand

Ints = NDArray[np.int64]


def peel(
    codes: NDArray[np.int32], counts: Ints, arrays: Arrays, *, least: int, limit: int = 8000, balance: bool = True
) -> Ints:
    """Return a group number for each tuple (int64 [tuples]), -1 where no group of `least` members was found.

    `limit` and `balance` shape the blocks (see `blocks.cut`).
    """
    group_of = np.full(len(codes), -1, dtype=np.int64)
    if len(codes) == 0:
        return group_of
    order, starts = cut(codes, counts, arrays, limit=limit, balance=balance)
    shared = (codes, counts, arrays.node, arrays.offset, arrays.loss, arrays.height, arrays.packed, arrays.masks)
    step = len(arrays.height) / STEPS
    groups = _peel(order, starts, *shared, least, step, LATTICE_LIMIT, group_of, 0)
    left_over = np.flatnonzero(group_of < 0)
    if len(starts) > 2 and len(left_over) > 0:
        _peel(left_over, np.array([0, len(left_over)]), *shared, least, step, LATTICE_LIMIT, group_of, groups)
    return group_of


def peel_blocks(
    codes: NDArray[np.int32], counts: Ints, arrays: Arrays, order: Ints, starts: Ints, *, least: int
) -> Ints:
    """Return a group number for each tuple (int64 [tuples], -1 = none) whose blocks are given: no group spans two.

    `order`: int64, tuples block after block; `starts`: int64 [blocks + 1], where each block begins and the last ends.
    """
    group_of = np.full(len(codes), -1, dtype=np.int64)
    shared = (codes, counts, arrays.node, arrays.offset, arrays.loss, arrays.height, arrays.packed, arrays.masks)
    if len(order):
        _peel(order, starts, *shared, least, len(arrays.height) / STEPS, LATTICE_LIMIT, group_of, 0)
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
    step: float,
    lattice_limit: int,
    group_of: Ints,
    groups: int,
) -> int:
    attributes, tallest = offset.shape
    words = packed.shape[0]
    largest, widest = 1, 1
    for block in range(len(starts) - 1):
        largest = max(largest, starts[block + 1] - starts[block])
    for i in range(node.shape[0]):
        widest = max(widest, node[i] + 1)
    slots, shift = 16, 60
    while slots < 2 * largest:
        slots *= 2
        shift -= 1
    keys, sums = np.empty(slots, np.int64), np.empty(slots, np.int64)
    stamps, number = np.zeros(slots, np.int64), np.empty(slots, np.int64)
    price, mask, at_level = np.empty(slots), np.empty(words, np.int64), np.empty(attributes, np.int64)
    stamp = 0
    member, count = np.empty(largest, np.int64), np.empty(largest, np.int64)
    path, slot = np.empty((words, largest), np.int64), np.empty(largest, np.int64)
    seen = np.zeros(widest, np.int64)
    look = 0
    kept, levels = np.zeros(attributes, np.int64), np.zeros((attributes, tallest), np.int64)
    mean, floor = np.zeros((attributes, tallest)), np.zeros((attributes, tallest))
    for block in range(len(starts) - 1):
        remaining = starts[block + 1] - starts[block]
        left = 0
        for i in range(remaining):
            j = order[starts[block] + i]
            member[i], count[i] = j, counts[j]
            left += counts[j]
            for w in range(words):
                path[w, i] = packed[w, j]
        nodes, look = distinct_levels(
            member,
            remaining,
            counts,
            codes,
            node,
            offset,
            loss,
            height,
            lattice_limit,
            seen,
            look,
            kept,
            levels,
            mean,
            floor,
        )
        next_loss = expand(floor, kept, nodes)
        order_of_nodes = ascending(expand(mean, kept, nodes))
        ceiling = 0.0
        while left >= least:
            lowest = np.inf
            for v in range(nodes):
                lowest = min(lowest, next_loss[v])
            if lowest == np.inf:
                break
            ceiling = max(ceiling, lowest) + step
            for v in order_of_nodes:
                if next_loss[v] > ceiling:
                    continue
                if left < least:
                    break
                rest = v
                mask[:] = 0
                for a in range(attributes):
                    at_level[a] = levels[a, rest % kept[a]]
                    rest //= kept[a]
                    for w in range(words):
                        mask[w] |= masks[a, at_level[a], w]
                stamp += 1
                for i in range(remaining):
                    key = path[0, i] & mask[0]
                    for w in range(1, words):  # a collision would only join two groups; labels are tightened after
                        key = (key ^ (key >> 29)) * 0x2127599BF4325C37 + (path[w, i] & mask[w])
                    at = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))
                    while stamps[at] == stamp and keys[at] != key:
                        at = (at + 1) & (slots - 1)
                    if stamps[at] != stamp:
                        stamps[at], keys[at], sums[at], number[at], price[at] = stamp, key, 0, -1, -1.0
                    sums[at] += count[i]
                    slot[i] = at
                cheapest, stay = np.inf, 0
                for i in range(remaining):
                    at = slot[i]
                    if sums[at] >= least:
                        if price[at] < 0:
                            price[at] = 0.0
                            for a in range(attributes):
                                price[at] += loss[offset[a, at_level[a]] + codes[member[i], a]]
                            if price[at] > ceiling:
                                cheapest = min(cheapest, price[at])
                        if price[at] <= ceiling:
                            if number[at] < 0:
                                number[at] = groups
                                groups += 1
                            group_of[member[i]] = number[at]
                            left -= count[i]
                            continue
                    if stay < i:
                        member[stay], count[stay] = member[i], count[i]
                        for w in range(words):
                            path[w, stay] = path[w, i]
                    stay += 1
                remaining = stay
                next_loss[v] = cheapest
    return groups


_peel = compiled(_peel_plain)
