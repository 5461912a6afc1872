"""Tuples that found no group of their own: taken into the class that they spoil least, or left out.

Guarantees: classes only grow, so k and distinct l-diversity survive; a tuple is left out only where that costs less
than taking it in, and never while the suppression limit forbids it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.hierarchies import Hierarchy
from pdms.anonymize.loss import node_losses

Ints = NDArray[np.int64]


def absorb(
    table: FrequencyTable,
    hierarchies: Sequence[Hierarchy],
    group_of: Ints,
    *,
    scale: NDArray[np.float64],
    allowed: int,
) -> Ints:
    """Return `group_of` (int64 [tuples], -1 = in none) with tuples taken in; at most `allowed` members stay out.

    `scale`: float64 [attributes], weights averaging 1. With no group at all nothing can be taken in.
    """
    outside = np.flatnonzero(group_of < 0)
    groups = int(group_of.max(initial=-1)) + 1
    if len(outside) == 0 or groups == 0:
        return group_of
    inside = np.flatnonzero(group_of >= 0)
    order = inside[np.argsort(group_of[inside], kind="stable")]
    starts = np.searchsorted(group_of[order], np.arange(groups))
    low = np.minimum.reduceat(table.codes[order], starts, axis=0)
    high = np.maximum.reduceat(table.codes[order], starts, axis=0)
    sizes = np.add.reduceat(table.counts[order], starts)
    per_level = [
        [losses[hierarchy.ancestors[level]] * scale[column] for level, losses in enumerate(found)]
        for column, (hierarchy, found) in enumerate(
            (hierarchy, node_losses(hierarchy, table.codes[:, column])) for column, hierarchy in enumerate(hierarchies)
        )
    ]

    def price(lows: NDArray[np.int32], highs: NDArray[np.int32]) -> NDArray[np.float64]:
        total = np.zeros(len(lows))
        for column, hierarchy in enumerate(hierarchies):
            one, other = lows[:, column], highs[:, column]
            level = np.argmax(hierarchy.ancestors[:, one] == hierarchy.ancestors[:, other], axis=0)
            total += np.stack(per_level[column])[level, one]
        return total

    now = price(low, high)
    result = group_of.copy()
    out = int(table.counts[outside].sum())
    for tuple_number in outside[np.argsort(-table.counts[outside], kind="stable")].tolist():
        code, count = table.codes[tuple_number], int(table.counts[tuple_number])
        wider = price(np.minimum(low, code), np.maximum(high, code))
        cost = (wider - now) * sizes + wider * count
        best = int(np.argmin(cost))
        if cost[best] > len(hierarchies) * count and out <= allowed:
            continue
        low[best], high[best] = np.minimum(low[best], code), np.maximum(high[best], code)
        now[best] = wider[best]
        sizes[best] += count
        result[tuple_number] = best
        out -= count
    return result
