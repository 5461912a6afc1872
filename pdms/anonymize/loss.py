"""What a release costs in precision.

NCP of a published cell: for categories (leaves of the node - 1) / (leaves of the domain - 1); for numeric leaves width
of the node / observed range, at most 1; a run of bins costs as a node of as many leaves; a suppressed row costs 1 in
every cell. A release's NCP is the mean over cells of rows, 0 (as exact as the leaves) to 1 (nothing said). Attribute
weights steer algorithms, never this measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.classes import Classes
from pdms.anonymize.hierarchies import Hierarchy
from pdms.errors import InvalidInput

Losses = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Loss:
    """Information loss of a release over its `rows` members, suppressed ones included.

    `ncp` and `ncp_by_attribute` as the module says; `suppressed_share` of rows; `average_class_size` over published
    rows (0.0 when none); `discernibility`: sum of squared class sizes, each suppressed row counting all rows.
    """

    rows: int
    ncp: float
    ncp_by_attribute: tuple[float, ...]
    suppressed: int
    suppressed_share: float
    classes: int
    average_class_size: float
    discernibility: int


def node_losses(hierarchy: Hierarchy, codes: NDArray[np.int32]) -> tuple[Losses, ...]:
    """Return per level float64 [nodes]: the loss of a cell published at each node; `codes` are the leaves observed."""
    if not hierarchy.numeric:
        domain = max(len(hierarchy.leaves) - 1, 1)
        return tuple((span[:, 1] - span[:, 0] - 1) / domain for span in hierarchy.spans)
    try:
        values = np.array([float(label) for label in hierarchy.leaves])
    except ValueError:
        raise InvalidInput(f"hierarchy {hierarchy.name}: numeric leaves must be numbers") from None
    observed = values[codes] if len(codes) else values
    width = float(observed.max() - observed.min())
    losses = []
    for span in hierarchy.spans:
        low = np.minimum.reduceat(values, span[:, 0])
        high = np.maximum.reduceat(values, span[:, 0])
        losses.append(np.minimum((high - low) / width, 1.0) if width > 0 else np.zeros(len(span)))
    return tuple(losses)


def measure_loss(
    hierarchies: Sequence[Hierarchy],
    codes: NDArray[np.int32],
    *,
    classes: Classes,
    suppressed: int,
) -> Loss:
    """Measure the loss of `classes`, of tuples `codes` (int32 [tuples, attributes]), with `suppressed` left out."""
    sizes = classes.sizes
    published = int(sizes.sum())
    rows = published + suppressed
    by_attribute = []
    for column, hierarchy in enumerate(hierarchies):
        cells = np.zeros(len(sizes))
        if hierarchy.runs:
            cells = (np.diff(classes.spans[:, column])[:, 0] - 1) / max(len(hierarchy.leaves) - 1, 1)
        else:
            for level, losses in enumerate(node_losses(hierarchy, codes[:, column])):
                here = classes.levels[:, column] == level
                cells[here] = losses[classes.nodes[here, column]]
        by_attribute.append(float((cells @ sizes + suppressed) / rows) if rows else 0.0)
    return Loss(
        rows=rows,
        ncp=float(np.mean(by_attribute)),
        ncp_by_attribute=tuple(by_attribute),
        suppressed=suppressed,
        suppressed_share=suppressed / rows if rows else 0.0,
        classes=len(sizes),
        average_class_size=published / len(sizes) if len(sizes) else 0.0,
        discernibility=sum(int(size) ** 2 for size in sizes) + suppressed * rows,
    )
