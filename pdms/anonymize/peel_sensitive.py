"""Lattice peel under l-diversity and t-closeness.

As `peel`, with two differences. A group is taken off only if it satisfies the criteria and, as long as the remainder
rule is on, so do all tuples that then remain anywhere: otherwise the last ones could only be left out. What remains at
the end is divided by constrained Mondrian.

Guarantees: deterministic; each group satisfies the criteria; with the rule on, nobody is left out of a table that
satisfies them as a whole.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays
from pdms.anonymize.blocks import cut
from pdms.anonymize.compiled import compiled
from pdms.anonymize.lattice import LATTICE_LIMIT, STEPS, ascending, distinct_levels, expand
from pdms.anonymize.mondrian import divide
from pdms.anonymize.sensitive import Histograms, Rules, holds, shares_of

Ints = NDArray[np.int64]


def peel_sensitive(
    codes: NDArray[np.int32],
    histograms: Histograms,
    arrays: Arrays,
    *,
    rules: Rules,
    limit: int,
    invariant: bool = True,
    ceiling: float = 1.0,
    finish: bool = True,
) -> Ints:
    """Return a group number for each tuple (int64 [tuples]), -1 where it found no group.

    `histograms`, `rules`: see `sensitive`; `limit`: most tuples of a block; `invariant`: whether the remainder rule is
    on; `ceiling`: greatest mean loss of a cell at which groups are taken off; `finish`: whether what remains then is
    divided by constrained Mondrian, or left for `absorb`.
    """
    group_of = np.full(len(codes), -1, dtype=np.int64)
    if len(codes) == 0:
        return group_of
    counts = histograms[:, :-1].sum(axis=1)
    order, starts = cut(codes, counts, arrays, limit=limit, balance=True)
    total = histograms.sum(axis=0)
    whole, remainder = shares_of(histograms), total.copy()
    shared = (codes, counts, histograms, whole, arrays.node, arrays.offset, arrays.loss, arrays.height)
    options = (rules, invariant, ceiling * len(arrays.height), len(arrays.height) / STEPS, LATTICE_LIMIT)
    groups = _peel(order, starts, *shared, arrays.packed, arrays.masks, *options, remainder, group_of, 0)
    left_over = np.flatnonzero(group_of < 0)
    if len(starts) > 2 and len(left_over) > 0:
        ends = np.array([0, len(left_over)])
        groups = _peel(left_over, ends, *shared, arrays.packed, arrays.masks, *options, remainder, group_of, groups)
        left_over = np.flatnonzero(group_of < 0)
    if finish:
        divide(left_over, codes, histograms, whole, arrays, rules=rules, group_of=group_of, groups=groups)
    return group_of


def _peel_plain(
    order: Ints,
    starts: Ints,
    codes: NDArray[np.int32],
    counts: Ints,
    histograms: Histograms,
    whole: NDArray[np.float64],
    node: NDArray[np.int32],
    offset: Ints,
    loss: NDArray[np.float64],
    height: Ints,
    packed: Ints,
    masks: Ints,
    rules: Rules,
    invariant: bool,
    highest: float,
    step: float,
    lattice_limit: int,
    remainder: Ints,
    group_of: Ints,
    groups: int,
) -> int:
    attributes, tallest = offset.shape
    words, columns = packed.shape[0], histograms.shape[1]
    largest, widest = 1, 1
    for block in range(len(starts) - 1):
        largest = max(largest, starts[block + 1] - starts[block])
    for i in range(node.shape[0]):
        widest = max(widest, node[i] + 1)
    slots, shift = 16, 60
    while slots < 2 * largest:
        slots *= 2
        shift -= 1
    keys, stamps = np.empty(slots, np.int64), np.zeros(slots, np.int64)
    state, price = np.empty(slots, np.int64), np.empty(slots)
    sums, rest_of = np.empty((slots, columns), np.int64), np.empty(columns, np.int64)
    stamp = 0
    member, slot = np.empty(largest, np.int64), np.empty(largest, np.int64)
    path, mask = np.empty((words, largest), np.int64), np.empty(words, np.int64)
    at_level = np.empty(attributes, np.int64)
    seen = np.zeros(widest, np.int64)
    look = 0
    kept, levels = np.zeros(attributes, np.int64), np.zeros((attributes, tallest), np.int64)
    mean, floor = np.zeros((attributes, tallest)), np.zeros((attributes, tallest))
    for block in range(len(starts) - 1):
        remaining = starts[block + 1] - starts[block]
        for i in range(remaining):
            member[i] = order[starts[block] + i]
            for w in range(words):
                path[w, i] = packed[w, member[i]]
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
        while remaining > 0:
            lowest = np.inf
            for v in range(nodes):
                lowest = min(lowest, next_loss[v])
            if lowest == np.inf or lowest > highest:
                break
            ceiling = min(max(ceiling, lowest) + step, highest)
            for v in order_of_nodes:
                if next_loss[v] > ceiling:
                    continue
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
                    for w in range(1, words):
                        key = (key ^ (key >> 29)) * 0x2127599BF4325C37 + (path[w, i] & mask[w])
                    at = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))
                    while stamps[at] == stamp and keys[at] != key:
                        at = (at + 1) & (slots - 1)
                    if stamps[at] != stamp:
                        stamps[at], keys[at], state[at] = stamp, key, -2
                        for s in range(columns):
                            sums[at, s] = 0
                    for s in range(columns):
                        sums[at, s] += histograms[member[i], s]
                    slot[i] = at
                cheapest, stay = np.inf, 0
                for i in range(remaining):
                    at = slot[i]
                    if state[at] == -2:  # not judged yet; -1 refused, otherwise the number of the group
                        state[at] = -1
                        if holds(sums[at], whole, rules):
                            price[at] = 0.0
                            for a in range(attributes):
                                price[at] += loss[offset[a, at_level[a]] + codes[member[i], a]]
                            if price[at] > ceiling:
                                cheapest = min(cheapest, price[at])
                            else:
                                left = 0
                                for s in range(columns):
                                    rest_of[s] = remainder[s] - sums[at, s]
                                for s in range(columns - 1):
                                    left += rest_of[s]
                                if not invariant or left == 0 or holds(rest_of, whole, rules):
                                    remainder[:] = rest_of
                                    state[at] = groups
                                    groups += 1
                    if state[at] >= 0:
                        group_of[member[i]] = state[at]
                        continue
                    if stay < i:
                        member[stay] = member[i]
                        for w in range(words):
                            path[w, stay] = path[w, i]
                    stay += 1
                remaining = stay
                next_loss[v] = cheapest
    return groups


_peel = compiled(_peel_plain)
