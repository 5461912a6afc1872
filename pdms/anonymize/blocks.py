"""Weighted Mondrian: cut the tuples into blocks of like ones, within which the lattice is then searched.

Guarantees: blocks partition the tuples and never tear a node apart that stays whole in the hierarchy; deterministic.
Deliberately not here: any criterion. A block is a place to look, not a class.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays
from pdms.anonymize.compiled import compiled

Ints = NDArray[np.int64]


def cut(codes: NDArray[np.int32], counts: Ints, arrays: Arrays, *, limit: int, balance: bool) -> tuple[Ints, Ints]:
    """Return the order of the tuples (int64 [tuples]) and where each block starts in it (int64 [blocks + 1]).

    Blocks hold at most `limit` tuples where a cut exists that leaves a twentieth of `limit` on each side. `balance`
    weighs a cut's loss reduction by how even its halves are.
    """
    least = max(limit // 20, 1)
    order, starts = _cut(codes, counts, arrays.node, arrays.offset, arrays.loss, limit, least, balance)
    return order, starts


def _cut_plain(
    codes: NDArray[np.int32],
    counts: Ints,
    node: NDArray[np.int32],
    offset: Ints,
    loss: NDArray[np.float64],
    limit: int,
    least: int,
    balance: bool,
) -> tuple[Ints, Ints]:
    tuples, attributes = codes.shape[0], codes.shape[1]
    order, spare = np.empty(tuples, np.int64), np.empty(tuples, np.int64)
    for i in range(tuples):
        order[i] = i
    width = 2
    for i in range(node.shape[0]):
        width = max(width, node[i] + 2)
    weight, held = np.zeros(width), np.zeros(width, np.int64)
    first, last = np.empty(width, np.int64), np.empty(width, np.int64)
    begins, ends = np.empty(tuples + 2, np.int64), np.empty(tuples + 2, np.int64)
    starts = np.empty(tuples + 2, np.int64)
    begins[0], ends[0] = 0, tuples
    pending, blocks = 1, 0
    while pending > 0:
        pending -= 1
        begin, end = begins[pending], ends[pending]
        best, best_attribute, best_level, best_node = -1.0, -1, -1, -1
        if end - begin > limit:
            total = 0.0
            for i in range(begin, end):
                total += counts[order[i]]
            for a in range(attributes):
                low, high = np.int64(1 << 40), np.int64(-1)
                for i in range(begin, end):
                    code = np.int64(codes[order[i], a])
                    low, high = min(low, code), max(high, code)
                if low == high:
                    continue
                top = 0
                while node[offset[a, top] + low] != node[offset[a, top] + high]:
                    top += 1
                at = offset[a, top - 1]
                one, other = int(node[at + low]), int(node[at + high])
                for child in range(one, other + 1):
                    weight[child], held[child] = 0.0, 0
                    first[child], last[child] = 1 << 40, -1
                for i in range(begin, end):
                    code = np.int64(codes[order[i], a])
                    here = node[at + code]
                    weight[here] += counts[order[i]]
                    held[here] += 1
                    first[here], last[here] = min(first[here], code), max(last[here], code)
                whole = loss[offset[a, top] + low]
                left, left_held, left_last = 0.0, 0, np.int64(-1)
                for child in range(one, other):
                    if held[child] == 0:
                        continue
                    left += weight[child]
                    left_held += held[child]
                    left_last = last[child]
                    if left_held < least or end - begin - left_held < least:
                        continue
                    right_first = child + 1
                    while held[right_first] == 0:
                        right_first += 1
                    level = 0
                    while node[offset[a, level] + low] != node[offset[a, level] + left_last]:
                        level += 1
                    cost = left * loss[offset[a, level] + low]
                    level = 0
                    while node[offset[a, level] + first[right_first]] != node[offset[a, level] + high]:
                        level += 1
                    cost += (total - left) * loss[offset[a, level] + high]
                    gain = total * whole - cost
                    if balance:
                        evenness = 4 * left * (total - left) / (total * total)
                        gain = (gain + 1e-6 * total * whole) * evenness
                    if gain > best + 1e-9:
                        best, best_attribute, best_level, best_node = gain, a, top - 1, child
        if best_attribute < 0:
            starts[blocks] = begin  # the left part is always cut first, so blocks come in order
            blocks += 1
            continue
        at = offset[best_attribute, best_level]
        middle, kept = begin, 0
        for i in range(begin, end):
            j = order[i]
            if node[at + codes[j, best_attribute]] <= best_node:
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
    starts[blocks] = tuples
    return order, starts[: blocks + 1]


_cut = compiled(_cut_plain)
