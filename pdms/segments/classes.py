"""Equivalence classes of a release, as boxes of leaf codes that a rule can be held against.

Guarantee: rows with equal labels are one class and are treated alike. Rows carry no id, and none is made here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.hierarchies import ROOT, Hierarchy
from pdms.errors import Conflict, InvalidInput

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Classes:
    """The distinct rows of a release."""

    labels: Mapping[str, tuple[str, ...]]
    """Per feature the label of each class."""
    boxes: Mapping[str, Ints]
    """Per feature int64 [classes, 2]: first leaf, and one past the last."""
    sizes: Ints
    """Rows of each class."""
    of_row: Ints
    """Class of each row of the table."""

    @property
    def total(self) -> int:
        """Rows of the release."""
        return int(self.sizes.sum())


def classes_of(table: Any, space: Mapping[str, Hierarchy], *, sensitive: str | None = None) -> Classes:
    """Group the rows of `table` (a pyarrow table, one row per member, labels in a column per feature of `space`).

    The rows that differ in `sensitive` alone are one class: it covers all leaves from the first to the last that occur
    in it, so that no part of a class can be taken out by its sensitive value.
    :raises Conflict: a column or a label is not of `space`: the release was made under other definitions.
    """
    labels: dict[str, tuple[str, ...]] = {}
    codes: list[Ints] = []
    for name in space:
        if name not in table.column_names:
            raise Conflict(f"release: it has no column {name}; publish the view again")
        encoded = table.column(name).combine_chunks().dictionary_encode()
        labels[name] = tuple(str(label) for label in encoded.dictionary.to_pylist())
        codes.append(encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64))
    secret = None
    if sensitive is not None:
        column = list(space).index(sensitive)
        secret, codes[column] = codes[column], np.zeros_like(codes[column])
    rows = np.stack(codes, axis=1) if codes else np.zeros((0, 0), dtype=np.int64)
    distinct, of_row, sizes = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    boxes = {
        name: np.array([_box(space[name], name, label) for label in labels[name]], dtype=np.int64).reshape(-1, 2)[
            distinct[:, i]
        ]
        for i, name in enumerate(space)
    }
    named = {name: tuple(labels[name][code] for code in distinct[:, i]) for i, name in enumerate(space)}
    if sensitive is not None and secret is not None:
        leaves = np.array([_box(space[sensitive], sensitive, label)[0] for label in labels[sensitive]], dtype=np.int64)
        order = np.argsort(of_row.reshape(-1), kind="stable")
        starts = np.searchsorted(of_row.reshape(-1)[order], np.arange(len(sizes)))
        of_rows = leaves[secret][order]
        boxes[sensitive] = np.stack(
            [np.minimum.reduceat(of_rows, starts), np.maximum.reduceat(of_rows, starts) + 1], axis=1
        )
        named[sensitive] = (ROOT,) * len(sizes)
    return Classes(labels=named, boxes=boxes, sizes=sizes.astype(np.int64), of_row=of_row.reshape(-1).astype(np.int64))


def _box(hierarchy: Hierarchy, name: str, label: str) -> tuple[int, int]:
    try:
        return hierarchy.span_of(label)
    except InvalidInput:
        raise Conflict(f"release: a label of {name} is not of its hierarchy; publish the view again") from None
