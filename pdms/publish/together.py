"""One release beside those that are out: from the ledger and a view's coded rows to cells, and back to who held what.

Guarantees: what is judged is who shares which classes in all releases that are out and this one, counted anew from the
classes and not from the ledger's numbers; honey members are counted nowhere, the erased are counted where copies hold
them. Pure: no database, no clock, no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pdms.anonymize.ledger_check import Composite, measure_together
from pdms.taxonomy import ID_BYTES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pdms.anonymize.ledger import Cells
    from pdms.publish.ledger import Standing


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """What a release must be composed with.

    `cells`: the eligible by row of classes and tuple; `cell_of`: int64 [subjects] and `subjects`: bytes16, ascending;
    `leavers`: int64 [rows]; `k`: class size that a release out there promised, 0 for none; `seed`: who stays out.
    """

    cells: "Cells"
    cell_of: "NDArray[np.int64]" = field(repr=False)
    subjects: "NDArray[np.bytes_]" = field(repr=False)
    leavers: "NDArray[np.int64]" = field(repr=False)
    k: int
    seed: int


def beside(out: "Standing", rows: Any, columns: Sequence[str], *, seed: int) -> Beside:
    """Sort a view's coded rows (pyarrow: `pseudonym`, then one code a feature) into cells by `columns`.

    `out`: without honey members. Who is out there and not among `rows` leaves.
    """
    import numpy as np

    from pdms.anonymize import tabulate
    from pdms.anonymize.ledger import cells_of
    from pdms.anonymize.ledger_rows import leavers_of

    subjects = np.array(rows["pseudonym"].to_pylist(), dtype=f"S{ID_BYTES}")
    order = np.argsort(subjects)
    subjects = subjects[order]
    codes = np.stack([np.asarray(rows[name], dtype=np.int32)[order] for name in columns], axis=1)
    _, tuple_ = tabulate(codes)
    cells, cell_of = cells_of(out.rows_of(subjects), tuple_)
    staying = np.isin(out.subjects, subjects)
    return Beside(cells, cell_of, subjects, leavers_of(out.rows, out.row_of, staying), out.k, seed)


def classes_held(class_of: "NDArray[np.int64]", out: "NDArray[np.int64]", here: Beside) -> "NDArray[np.int64]":
    """Return int64 [subjects]: the class of each in the new release, -1 for none, who stays out drawn from the cell."""
    return drawn(class_of, out, here.cell_of, seed=here.seed)


def drawn(
    class_of: "NDArray[np.int64]", out: "NDArray[np.int64]", cell_of: "NDArray[np.int64]", *, seed: int
) -> "NDArray[np.int64]":
    """Return the class of each member of `cell_of` (int64 [members]) where `out` members of each cell have none."""
    import numpy as np

    mixed = np.random.default_rng(seed).permutation(len(cell_of))
    order = mixed[np.argsort(cell_of[mixed], kind="stable")]
    first = np.searchsorted(cell_of[order], np.arange(len(out)))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - first[cell_of[order]]
    held: NDArray[np.int64] = np.where(rank < out[cell_of], -1, class_of[cell_of])
    return held


def agrees(class_of: "NDArray[np.int64]", data: bytes, columns: Sequence[str]) -> bool:
    """Tell whether the classes held are as many and as large as a reader of `data` (Parquet) finds by `columns`."""
    import io

    import numpy as np
    import pyarrow.parquet as pq

    rows = pq.read_table(io.BytesIO(data))
    found = rows.group_by(list(columns)).aggregate([([], "count_all")])["count_all"].to_pylist()
    return sorted(found) == sorted(np.bincount(class_of[class_of >= 0]).tolist())


def measured_together(
    out: "Standing", subjects: "NDArray[np.bytes_]", class_of: "NDArray[np.int64]", *, asked: int
) -> Composite:
    """Count who shares which classes in the releases of `out` and in the one in which `subjects` hold `class_of`."""
    import numpy as np

    everybody = np.union1d(out.subjects, subjects)
    before = np.full((len(everybody), out.rows.releases), -1, dtype=np.int64)
    before[np.searchsorted(everybody, out.subjects)] = out.rows.classes[out.row_of]
    now = np.full(len(everybody), -1, dtype=np.int64)
    now[np.searchsorted(everybody, subjects)] = class_of
    gone = np.flatnonzero(out.rows.erased)
    columns = [np.r_[before[:, j], out.rows.classes[gone, j]] for j in range(out.rows.releases)]
    weights = np.r_[np.ones(len(everybody), dtype=np.int64), out.rows.erased[gone]]
    return measure_together([*columns, np.r_[now, np.full(len(gone), -1)]], asked=asked, weights=weights)
