"""t-closeness against what is published: classes too far from it are merged with the neighbour that costs least.

The algorithms measure a class against the whole input, while a reader sees only what is published; rows left out make
the two differ. Guarantees: classes only merge, nobody is left out here; at the end every class holds against the
distribution of all classes together, or there are too many to try and the grouping is returned as it is.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays
from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.sensitive import Histograms, Rules, holds, shares_of

Ints = NDArray[np.int64]

MOST_PAIRS = 50_000_000
"""Most pairs of a class that fails and one that might take it in that are priced."""
MOST_TRIES = 200
"""Most neighbours that are asked, cheapest first, before the cheapest is taken whatever it gives."""


def reconcile(table: FrequencyTable, arrays: Arrays, group_of: Ints, *, histograms: Histograms, rules: Rules) -> Ints:
    """Return `group_of` (int64 [tuples], groups without gaps, -1 = left out) with groups merged until all hold.

    `histograms`, `rules`: see `sensitive`; the whole is that of the groups together.
    """
    inside = np.flatnonzero(group_of >= 0)
    groups = int(group_of.max(initial=-1)) + 1
    if groups < 2:
        return group_of
    order = inside[np.argsort(group_of[inside], kind="stable")]
    starts = np.searchsorted(group_of[order], np.arange(groups))
    low = np.minimum.reduceat(table.codes[order], starts, axis=0)
    high = np.maximum.reduceat(table.codes[order], starts, axis=0)
    held = np.add.reduceat(histograms[order], starts, axis=0)
    whole = shares_of(held)
    failing = [group for group in range(groups) if not holds(held[group], whole, rules)]
    if len(failing) * groups > MOST_PAIRS:
        return group_of
    merged_into = np.arange(groups)
    alive = np.ones(groups, dtype=bool)
    price = _price(arrays, low, high)
    while failing and int(alive.sum()) > 1:
        group = failing.pop(0)
        if not alive[group] or holds(held[group], whole, rules):
            continue
        partner = _partner(arrays, group, alive, low, high, held, price, whole, rules)
        low[partner] = np.minimum(low[partner], low[group])
        high[partner] = np.maximum(high[partner], high[group])
        held[partner] += held[group]
        price[partner] = _price(arrays, low[partner : partner + 1], high[partner : partner + 1])[0]
        alive[group] = False
        merged_into[merged_into == group] = partner
        failing.append(partner)
    _, number = np.unique(merged_into, return_inverse=True)
    result = group_of.copy()
    result[inside] = number[group_of[inside]]
    return result


def _partner(
    arrays: Arrays,
    group: int,
    alive: NDArray[np.bool_],
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    held: Ints,
    price: NDArray[np.float64],
    whole: NDArray[np.float64],
    rules: Rules,
) -> int:
    """Return the neighbour with which `group` holds at the least cost, or the cheapest one."""
    sizes = held[:, :-1].sum(axis=1)
    joint = _price(arrays, np.minimum(low, low[group]), np.maximum(high, high[group]))
    cost = joint * (sizes + sizes[group]) - price * sizes
    cost[~alive] = np.inf
    cost[group] = np.inf
    nearest = np.argsort(cost, kind="stable")[: min(MOST_TRIES, int(alive.sum()) - 1)]
    for other in nearest.tolist():
        if holds(held[other] + held[group], whole, rules):
            return int(other)
    return int(nearest[0])


def _price(arrays: Arrays, low: NDArray[np.int32], high: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return float64 [groups]: summed loss of the lowest nodes that cover `low` to `high` in each attribute."""
    total = np.zeros(len(low))
    for column, height in enumerate(arrays.height.tolist()):
        open_ = np.ones(len(low), dtype=bool)
        for level in range(height):
            at = arrays.offset[column, level]
            here = open_ & (arrays.node[at + low[:, column]] == arrays.node[at + high[:, column]])
            total[here] += arrays.loss[at + low[here, column]]
            open_ &= ~here
    return total
