"""Independent re-check of releases taken together: how many share each row of classes.

Guarantees: nothing here comes from the partition or from the ledger's own numbering of rows; it reads the class of each
subject in each release and counts. Deliberately not here: any repair, and what single releases must satisfy (`check`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Composite:
    """What releases reach together.

    `k`: members that share the rarest row of classes, 0 where there is none; `rows`: distinct rows; `members`: who is
    in one release at least; `below`: members whose row is shared by fewer than was asked.
    """

    k: int
    rows: int
    members: int
    below: int


def measure_together(columns: Sequence[Ints], *, asked: int, weights: Ints | None = None) -> Composite:
    """Count who shares which row of classes.

    `columns`: for each release int64 [subjects], the class held, negative where absent; `weights`: int64 [subjects],
    how many each entry stands for (default 1); `asked`: the k asked for. The row absent everywhere counts for nothing.
    """
    import pandas as pd

    size = len(columns[0]) if columns else 0
    row = np.zeros(size, dtype=np.int64)
    present = np.zeros(size, dtype=bool)
    for column in columns:
        held = np.asarray(column, dtype=np.int64)
        present |= held >= 0
        place = np.maximum(held, -1) + 1
        row = pd.factorize(row * (int(place.max(initial=0)) + 1) + place)[0].astype(np.int64)
    shared = np.bincount(row[present], weights=None if weights is None else weights[present])
    shared = shared[shared > 0].astype(np.int64)
    if not len(shared):
        return Composite(k=0, rows=0, members=0, below=0)
    return Composite(
        k=int(shared.min()), rows=len(shared), members=int(shared.sum()), below=int(shared[shared < asked].sum())
    )
