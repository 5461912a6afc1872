"""From a grouping of tuples to published classes: labels tightened to the lowest common node, equal labels merged.

Guarantees: a class's node covers the leaf of each of its tuples in every attribute, and after `tighten` no lower node
does; no two classes bear the same labels; classes are numbered by their labels, so that their numbers say nothing of
the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.frequency import FrequencyTable, lexicographic
from pdms.anonymize.hierarchies import Hierarchy

SUPPRESSED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Equivalence classes of a frequency table.

    `class_of`: int64 [tuples], class number or -1 where suppressed. `levels`: int16 and `nodes`: int32
    [classes, attributes], the lowest node that covers the class; `spans`: int32 [classes, attributes, 2], first leaf of
    what is published and one past its last: the node's, or a narrower run where the hierarchy has `runs`.
    `sizes`: int64 [classes], members. `suppressed`: members left out.
    """

    class_of: NDArray[np.int64]
    levels: NDArray[np.int16]
    nodes: NDArray[np.int32]
    spans: NDArray[np.int32]
    sizes: NDArray[np.int64]
    suppressed: int


def tighten(table: FrequencyTable, hierarchies: Sequence[Hierarchy], group_of: NDArray[np.int64]) -> Classes:
    """Return the classes of a grouping (`group_of`: int64 [tuples], any numbers, negative where suppressed)."""
    return tighten_groups(table.codes, table.counts, hierarchies, group_of)


def tighten_groups(
    codes: NDArray[np.int32],
    counts: NDArray[np.int64],
    hierarchies: Sequence[Hierarchy],
    group_of: NDArray[np.int64],
) -> Classes:
    """Return the classes of a grouping as `tighten` does, of `codes` (int32 [tuples, attributes]) that may repeat."""
    kept = np.flatnonzero(group_of >= 0)
    attributes = len(hierarchies)
    suppressed = int(counts[group_of < 0].sum())
    class_of = np.full(len(group_of), SUPPRESSED, dtype=np.int64)
    if len(kept) == 0:
        empty = (0, attributes)
        return Classes(
            class_of,
            np.zeros(empty, np.int16),
            np.zeros(empty, np.int32),
            np.zeros((*empty, 2), np.int32),
            np.zeros(0, np.int64),
            suppressed,
        )
    order = kept[np.argsort(group_of[kept], kind="stable")]
    sorted_groups = group_of[order]
    starts = np.flatnonzero(np.r_[True, sorted_groups[1:] != sorted_groups[:-1]])
    levels = np.empty((len(starts), attributes), dtype=np.int16)
    nodes = np.empty((len(starts), attributes), dtype=np.int32)
    spans = np.empty((len(starts), attributes, 2), dtype=np.int32)
    for column, hierarchy in enumerate(hierarchies):
        held = codes[order, column]
        low, high = np.minimum.reduceat(held, starts), np.maximum.reduceat(held, starts)
        level = np.argmax(hierarchy.ancestors[:, low] == hierarchy.ancestors[:, high], axis=0)
        levels[:, column] = level
        nodes[:, column] = hierarchy.ancestors[level, low]
        spans[:, column] = hierarchy.run_of(low, high) if hierarchy.runs else _spans(hierarchy, level, nodes[:, column])
    # the same set of leaves in every attribute is the same published row, whichever level says so
    flat = spans.reshape(len(starts), -1)
    by_label = lexicographic(flat)
    ordered = flat[by_label]
    fresh = np.ones(len(starts), dtype=bool)
    fresh[1:] = np.any(ordered[1:] != ordered[:-1], axis=1)
    number = np.empty(len(starts), dtype=np.int64)
    number[by_label] = np.cumsum(fresh) - 1
    group_number = np.cumsum(np.r_[True, sorted_groups[1:] != sorted_groups[:-1]]) - 1
    class_of[order] = number[group_number]
    first = by_label[fresh]
    sizes = np.bincount(class_of[kept], weights=counts[kept], minlength=len(first)).astype(np.int64)
    return Classes(class_of, levels[first], nodes[first], spans[first], sizes, suppressed)


def _spans(hierarchy: Hierarchy, levels: NDArray[np.intp], nodes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return int32 [n, 2], the leaves under each node."""
    spans = np.empty((len(nodes), 2), dtype=np.int32)
    for level in range(hierarchy.height):
        here = levels == level
        spans[here] = hierarchy.spans[level][nodes[here]]
    return spans


def silence(classes: Classes, hierarchies: Sequence[Hierarchy]) -> Classes:
    """Return the classes without the one that bears the root in every attribute: its members count as suppressed."""
    root = np.array([hierarchy.height - 1 for hierarchy in hierarchies])
    leaves = np.array([len(hierarchy.leaves) for hierarchy in hierarchies])
    whole = (classes.levels == root) & (classes.spans[..., 1] - classes.spans[..., 0] == leaves)
    silent = np.flatnonzero(np.all(whole, axis=1))
    if len(silent) == 0:
        return classes
    number = int(silent[0])
    class_of = classes.class_of.copy()
    class_of[class_of == number] = SUPPRESSED
    class_of[class_of > number] -= 1
    kept = np.arange(len(classes.sizes)) != number
    return Classes(
        class_of=class_of,
        levels=classes.levels[kept],
        nodes=classes.nodes[kept],
        spans=classes.spans[kept],
        sizes=classes.sizes[kept],
        suppressed=classes.suppressed + int(classes.sizes[number]),
    )


def generalise(
    table: FrequencyTable, hierarchies: Sequence[Hierarchy], group_of: NDArray[np.int64], *, levels: NDArray[np.int64]
) -> Classes:
    """Return the classes of a full-domain grouping: every class published at the same `levels` (int64 [attributes])."""
    tight = tighten(table, hierarchies, group_of)
    nodes, spans = np.empty_like(tight.nodes), np.empty_like(tight.spans)
    for column, (hierarchy, level) in enumerate(zip(hierarchies, levels.tolist(), strict=True)):
        nodes[:, column] = hierarchy.ancestors[level, tight.spans[:, column, 0]]
        spans[:, column] = hierarchy.spans[level][nodes[:, column]]
    fixed = np.broadcast_to(levels.astype(np.int16), tight.levels.shape).copy()
    return Classes(tight.class_of, fixed, nodes, spans, tight.sizes, tight.suppressed)


def sum_by_class(values: NDArray[np.int64] | None, classes: Classes) -> NDArray[np.int64] | None:
    """Return `values` (int64 [tuples, ...] or None) summed over the tuples of each class."""
    if values is None:
        return None
    kept = classes.class_of >= 0
    total = np.zeros((len(classes.sizes), *values.shape[1:]), dtype=np.int64)
    np.add.at(total, classes.class_of[kept], values[kept])
    return total
