"""Constrained Mondrian: cut a set of tuples along the hierarchies as long as both sides satisfy the criteria.

Guarantees: every part satisfies the criteria if the whole set does; deterministic. Best of the algorithms here where
the sensitive attribute is binary, and the way in which the lattice peel's last remainder is divided.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays
from pdms.anonymize.compiled import compiled
from pdms.anonymize.sensitive import Rules, holds

Ints = NDArray[np.int64]


def divide(
    chosen: Ints,
    codes: NDArray[np.int32],
    histograms: Ints,
    whole: NDArray[np.float64],
    arrays: Arrays,
    *,
    rules: Rules,
    spread: float = 0.0,
    group_of: Ints,
    groups: int,
) -> int:
    """Divide the tuples `chosen`, writing group numbers from `groups` on into `group_of`; return the next free one.

    `histograms` and `whole`: see `sensitive.histograms_of`, `sensitive.shares_of`. `spread`: how much a cut is shunned
    that separates sensitive values (0 = not at all); it keeps later cuts possible under t-closeness. A set that does
    not satisfy the criteria as a whole is left as it is.
    """
    if len(chosen) == 0:
        return groups
    return int(
        _divide(
            chosen.copy(),
            codes,
            histograms,
            whole,
            arrays.node,
            arrays.offset,
            arrays.loss,
            rules,
            spread,
            group_of,
            groups,
        )
    )


def _divide_plain(
    order: Ints,
    codes: NDArray[np.int32],
    histograms: Ints,
    whole: NDArray[np.float64],
    node: NDArray[np.int32],
    offset: Ints,
    loss: NDArray[np.float64],
    rules: Rules,
    spread: float,
    group_of: Ints,
    groups: int,
) -> int:
    tuples, attributes, columns = order.shape[0], codes.shape[1], histograms.shape[1]
    values = columns - 1  # the last column counts people outside the table
    spare = np.empty(tuples, np.int64)
    width = 2
    for i in range(node.shape[0]):
        width = max(width, node[i] + 2)
    held = np.zeros((width, columns), np.int64)
    first, last, size = np.empty(width, np.int64), np.empty(width, np.int64), np.zeros(width, np.int64)
    total, left, right = np.zeros(columns, np.int64), np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    begins, ends = np.empty(tuples + 2, np.int64), np.empty(tuples + 2, np.int64)
    begins[0], ends[0] = 0, tuples
    pending = 1
    while pending > 0:
        pending -= 1
        begin, end = begins[pending], ends[pending]
        total[:] = 0
        members = 0
        for i in range(begin, end):
            for s in range(columns):
                total[s] += histograms[order[i], s]
        for s in range(values):
            members += total[s]
        best, best_attribute, best_level, best_node, alone = -1.0, -1, -1, -1, False
        for a in range(attributes):
            low, high = codes[order[begin], a], codes[order[begin], a]
            for i in range(begin, end):
                low, high = min(low, codes[order[i], a]), max(high, codes[order[i], a])
            if low == high:
                continue
            top = 0
            while node[offset[a, top] + low] != node[offset[a, top] + high]:
                top += 1
            at = offset[a, top - 1]
            one, other = node[at + low], node[at + high]
            for child in range(one, other + 1):
                size[child], first[child], last[child] = 0, 1 << 40, -1
                for s in range(columns):
                    held[child, s] = 0
            for i in range(begin, end):
                code = codes[order[i], a]
                child = node[at + code]
                first[child], last[child] = min(first[child], code), max(last[child], code)
                for s in range(columns):
                    held[child, s] += histograms[order[i], s]
                for s in range(values):
                    size[child] += histograms[order[i], s]
            price = loss[offset[a, top] + low]
            # way 0: the children up to one of them against the rest; way 1: one child against the rest
            for way in range(2):
                left[:] = 0
                left_size = 0
                for child in range(one, other + 1):
                    if size[child] == 0:
                        continue
                    if way == 1:
                        left[:] = 0
                        left_size = 0
                    for s in range(columns):
                        left[s] += held[child, s]
                    left_size += size[child]
                    if left_size == members:
                        continue
                    for s in range(columns):
                        right[s] = total[s] - left[s]
                    if not holds(left, whole, rules) or not holds(right, whole, rules):
                        continue
                    cost = 0.0
                    for side in range(2):
                        from_leaf, to_leaf = np.int64(1 << 40), np.int64(-1)
                        for other_child in range(one, other + 1):
                            if size[other_child] == 0:
                                continue
                            inside = other_child == child if way == 1 else other_child <= child
                            if inside == (side == 0):
                                from_leaf = min(from_leaf, first[other_child])
                                to_leaf = max(to_leaf, last[other_child])
                        level = 0
                        while node[offset[a, level] + from_leaf] != node[offset[a, level] + to_leaf]:
                            level += 1
                        part = left_size if side == 0 else members - left_size
                        cost += part * loss[offset[a, level] + from_leaf]
                    evenness = 4 * left_size * (members - left_size) / (members * members)
                    gain = members * price - cost + 1e-6 * members * price * evenness
                    if spread > 0:
                        gap = np.float64(0.0)
                        for s in range(values):
                            gap += abs(left[s] / left_size - right[s] / (members - left_size))
                        gain *= (1 - gap / 2) ** spread
                    if gain > best + 1e-9:
                        best, best_attribute, best_level, best_node, alone = gain, a, top - 1, child, way == 1
        if best_attribute < 0:
            if holds(total, whole, rules):
                for i in range(begin, end):
                    group_of[order[i]] = groups
                groups += 1
            continue
        at = offset[best_attribute, best_level]
        middle, kept = begin, 0
        for i in range(begin, end):
            j = order[i]
            here = node[at + codes[j, best_attribute]]
            if here == best_node or (not alone and here < best_node):
                order[middle] = j
                middle += 1
            else:
                spare[kept] = j
                kept += 1
        for i in range(kept):
            order[middle + i] = spare[i]
        begins[pending], ends[pending] = middle, end
        begins[pending + 1], ends[pending + 1] = begin, middle
        pending += 2
    return groups


_divide = compiled(_divide_plain)
