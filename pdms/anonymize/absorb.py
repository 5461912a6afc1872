"""Tuples that found no group of their own: taken into the class that they spoil least, or left out.

Guarantees: classes only grow, and only where the criteria still hold of them; a tuple is left out only where that
costs less than taking it in, where no class near it may take it, or where there are too many to try.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.hierarchies import Hierarchy
from pdms.anonymize.loss import node_losses

Ints = NDArray[np.int64]

MOST_PRICES = 20_000_000
"""Most pairs of a tuple and a class that are priced; with more, tuples stay out."""
MOST_TRIES = 50
"""Most classes that are asked to take a tuple in."""


def absorb(
    table: FrequencyTable,
    hierarchies: Sequence[Hierarchy],
    group_of: Ints,
    *,
    scale: NDArray[np.float64],
    allowed: int,
    histograms: Ints,
    accept: Callable[[Ints], bool] | None = None,
) -> Ints:
    """Return `group_of` (int64 [tuples], -1 = in none) with tuples taken in; at most `allowed` members stay out.

    `scale`: float64 [attributes], weights averaging 1; `histograms`: int64 [tuples, values + 1] as made by `sensitive`;
    `accept` judges the histogram that a group would have (None: any will do). With no group nothing can be taken in.
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
    sizes = np.add.reduceat(table.counts[order], starts)
    held = np.add.reduceat(histograms[order], starts, axis=0)
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
        dearest = np.inf if out > allowed else float(len(hierarchies) * count)
        best = -1
        for near in np.argsort(cost, kind="stable")[: 1 if accept is None else MOST_TRIES].tolist():
            if cost[near] > dearest:
                break
            if accept is None or accept(held[near] + histograms[tuple_number]):
                best = near
                break
        if best < 0:
            continue
        low[best], high[best] = np.minimum(low[best], code), np.maximum(high[best], code)
        now[best] = wider[best]
        sizes[best] += count
        held[best] += histograms[tuple_number]
        result[tuple_number] = best
        out -= count
    return result
