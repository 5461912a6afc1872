"""Independent re-check of a release: k, l and t measured on the published labels alone.

Guarantees: nothing here comes from the algorithms, the hierarchies or the frequency table; a class is what a reader of
the file sees, namely the rows that bear the same labels. Deliberately not here: any repair.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Measured:
    """Criteria reached by a published table.

    `k`: rows of the smallest class, 0 for an empty table. With a sensitive column: `distinct_l`: fewest different
    values in a class; `entropy_l`: exp of the least class entropy; `recursive_c`: greatest ratio, in a class, of the
    most frequent value to all from the l-th most frequent on (infinite where fewer than l occur), so that recursive
    (c, l)-diversity holds for every greater c; `largest_share`: greatest share of one value in a class; `t_equal`,
    `t_ordered`: greatest distance of a class's distribution from the whole table's, over equal distances and over the
    order given, from each value of which absence lies 1. These are None without a sensitive column.
    """

    rows: int
    classes: int
    k: int
    distinct_l: int | None = None
    entropy_l: float | None = None
    recursive_c: float | None = None
    largest_share: float | None = None
    t_equal: float | None = None
    t_ordered: float | None = None


def measure(
    published: Any,
    *,
    sensitive: str | None = None,
    order: Sequence[Any] = (),
    absent: Any = None,
    columns: Sequence[str] = (),
    l: int = 2,  # noqa: E741 - the field's own name
) -> Measured:
    """Measure a published table: a pyarrow Table, a pandas DataFrame, or a mapping of column names to label sequences.

    Every column but `sensitive` counts as a quasi-identifier; `columns` narrows that down where a table holds more.
    `order` lists the sensitive values in their order, for `t_ordered`; without it they are ordered as they sort.
    `absent`: the value that stands for none, and has no place in the order.
    `l`: which l `recursive_c` is of.
    """
    import pandas as pd

    frame = published.to_pandas() if hasattr(published, "to_pandas") else pd.DataFrame(published)
    names = list(columns) or [name for name in frame.columns if name != sensitive]
    if len(frame) == 0:
        return Measured(rows=0, classes=0, k=0)
    if names:
        class_of = frame.groupby(names, sort=False, dropna=False, observed=True).ngroup().to_numpy()
    else:
        class_of = np.zeros(len(frame), dtype=np.int64)
    sizes = np.bincount(class_of)
    reached = {"rows": len(frame), "classes": len(sizes), "k": int(sizes.min())}
    if sensitive is None:
        return Measured(**reached)
    values = [one for one in order or sorted(frame[sensitive].unique(), key=str) if one != absent]
    bins = len(values)
    values += [] if absent is None else [absent]
    code = frame[sensitive].map({value: position for position, value in enumerate(values)}).to_numpy(dtype=np.float64)
    if np.isnan(code).any():
        return Measured(**reached)
    return _with_sensitive(reached, class_of, code.astype(np.int64), sizes, len(values), bins, l)


def _with_sensitive(
    reached: dict[str, int],
    class_of: Any,
    code: Any,
    sizes: Any,
    width: int,
    bins: int,
    l: int,  # noqa: E741 - the literature's name
) -> Measured:
    """Measure l and t class by class from the cells that occur."""
    cells, counts = np.unique(class_of * width + code, return_counts=True)
    owner, value = cells // width, cells % width
    share = counts / sizes[owner]
    entropy = np.bincount(owner, weights=-share * np.log(share), minlength=len(sizes))
    # rank of each cell within its class, the most frequent first
    ranked = np.lexsort((-counts, owner))
    starts = np.searchsorted(owner[ranked], np.arange(len(sizes)))
    rank = np.arange(len(ranked)) - starts[owner[ranked]]
    tail = np.bincount(owner[ranked], weights=counts[ranked] * (rank >= l - 1), minlength=len(sizes))
    with np.errstate(divide="ignore"):
        recursive = counts[ranked[starts]] / tail
    whole = np.bincount(code, minlength=width) / len(code)
    # equal distance: half the L1 gap; absent values contribute their whole share
    present = np.bincount(owner, weights=np.abs(share - whole[value]) - whole[value], minlength=len(sizes))
    equal = (present + 1.0) / 2
    ordered = 0.0
    for start in range(0, len(sizes), 4096):
        stop = min(start + 4096, len(sizes))
        table = np.zeros((stop - start, width))
        inside = (owner >= start) & (owner < stop)
        table[owner[inside] - start, value[inside]] = share[inside]
        ordered = max(ordered, _farthest(table - whole, bins))
    return Measured(
        rows=reached["rows"],
        classes=reached["classes"],
        k=reached["k"],
        distinct_l=int(np.bincount(owner, minlength=len(sizes)).min()),
        entropy_l=math.exp(float(entropy.min())),
        recursive_c=float(recursive.max()),
        largest_share=float(share.max()),
        t_equal=float(equal.max()),
        t_ordered=ordered,
    )


def _farthest(gaps: Any, bins: int) -> float:
    """Return the greatest ordered distance of the gaps of shares [classes, values]; from `bins` on stands absence.

    What one who is paid for each carriage would earn at best is what the carriage costs at least: prices of bins in
    whole steps, each within one step of the next and within 1 of absence, whose price is 0.
    """
    if bins == gaps.shape[1]:
        return float(np.abs(np.cumsum(gaps, axis=1))[:, :-1].sum(axis=1).max()) / max(bins - 1, 1)
    steps = max(bins - 1, 1)
    earned = np.zeros((len(gaps), 2 * steps + 3))
    earned[:, [0, -1]] = -np.inf
    for place in range(bins):
        reached = np.maximum(np.maximum(earned[:, :-2], earned[:, 2:]), earned[:, 1:-1])
        earned[:, 1:-1] = reached + gaps[:, place : place + 1] * np.arange(-steps, steps + 1) / steps
    return float(earned.max())
