"""Tuples that found no group of their own: taken into the class that they spoil least, or left out.

Guarantees: classes only grow, and only where the criteria still hold of them; a tuple is left out only where that
costs less than taking it in, where none of the nearest classes may take it, or where there are too many to try.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays
from pdms.anonymize.compiled import compiled
from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.sensitive import Histograms, Rules, holds

Ints = NDArray[np.int64]

MOST_PRICES = 100_000_000
"""Most pairs of a tuple and a group that are priced; with more, tuples stay out."""
MOST_TRIES = 50
"""Most groups that are asked to take a tuple in."""


def absorb(
    table: FrequencyTable,
    arrays: Arrays,
    group_of: Ints,
    *,
    histograms: Histograms,
    whole: NDArray[np.float64],
    rules: Rules,
    allowed: int,
) -> Ints:
    """Return `group_of` (int64 [tuples], -1 = in none) with tuples taken in, `allowed` members staying out if need be.

    `histograms`, `whole`, `rules`: see `sensitive`; groups are numbered without gaps. Members beyond `allowed` are
    taken in even where that costs more than leaving them out. With no group nothing can be taken in.
    """
    outside = np.flatnonzero(group_of < 0)
    groups = int(group_of.max(initial=-1)) + 1
    if len(outside) == 0 or groups == 0 or len(outside) * groups > MOST_PRICES:
        return group_of
    inside = np.flatnonzero(group_of >= 0)
    order = inside[np.argsort(group_of[inside], kind="stable")]
    starts = np.searchsorted(group_of[order], np.arange(groups))
    low = np.minimum.reduceat(table.codes[order], starts, axis=0)
    high = np.maximum.reduceat(table.codes[order], starts, axis=0)
    held = np.add.reduceat(histograms[order], starts, axis=0)
    result = group_of.copy()
    largest_first = outside[np.argsort(-table.counts[outside], kind="stable")]
    out = int(table.counts[outside].sum())
    codes = np.ascontiguousarray(table.codes)
    flat = (arrays.node, arrays.offset, arrays.loss)
    _absorb(largest_first, codes, histograms, whole, rules, *flat, low, high, held, out, allowed, MOST_TRIES, result)
    return result


def _absorb_plain(
    outside: Ints,
    codes: NDArray[np.int32],
    histograms: Histograms,
    whole: NDArray[np.float64],
    rules: Rules,
    node: NDArray[np.int32],
    offset: Ints,
    loss: NDArray[np.float64],
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    held: Ints,
    out: int,
    allowed: int,
    most_tries: int,
    group_of: Ints,
) -> None:
    groups, attributes, columns = low.shape[0], low.shape[1], histograms.shape[1]
    size, price, cost = np.zeros(groups, np.int64), np.zeros(groups), np.zeros(groups)
    joint = np.zeros(columns, np.int64)
    for g in range(groups):
        for s in range(columns - 1):
            size[g] += held[g, s]
        for a in range(attributes):
            level = 0
            while node[offset[a, level] + low[g, a]] != node[offset[a, level] + high[g, a]]:
                level += 1
            price[g] += loss[offset[a, level] + low[g, a]]
    for i in range(outside.shape[0]):
        j = outside[i]
        count = 0
        for s in range(columns - 1):
            count += histograms[j, s]
        dearest = np.inf if out > allowed else float(attributes * count)
        for g in range(groups):
            cost[g] = -price[g] * size[g]
            for a in range(attributes):
                one, other = min(low[g, a], codes[j, a]), max(high[g, a], codes[j, a])
                level = 0
                while node[offset[a, level] + one] != node[offset[a, level] + other]:
                    level += 1
                cost[g] += loss[offset[a, level] + one] * (size[g] + count)
                if cost[g] > dearest:
                    cost[g] = np.inf
                    break
        for _ in range(most_tries):
            best, least = -1, np.inf
            for g in range(groups):
                if cost[g] < least:
                    best, least = g, cost[g]
            if best < 0:
                break
            for s in range(columns):
                joint[s] = held[best, s] + histograms[j, s]
            if not holds(joint, whole, rules):
                cost[best] = np.inf
                continue
            price[best] = 0.0
            for a in range(attributes):
                low[best, a], high[best, a] = min(low[best, a], codes[j, a]), max(high[best, a], codes[j, a])
                level = 0
                while node[offset[a, level] + low[best, a]] != node[offset[a, level] + high[best, a]]:
                    level += 1
                price[best] += loss[offset[a, level] + low[best, a]]
            for s in range(columns):
                held[best, s] = joint[s]
            size[best] += count
            group_of[j] = best
            out -= count
            break


_absorb = compiled(_absorb_plain)
