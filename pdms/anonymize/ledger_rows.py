"""Who holds which classes in the live releases of a family, told by number: one number a subject, one row a number.

Guarantees: a row lists a class for each live release (-1: not in it); distinct rows have distinct numbers; nobody
holds the row that is absent everywhere, which says nothing. Whoever was erased is a count beside a row and nothing
else: the copies that hold them are out until the release is over, and until then they stand among those who share it.
Deliberately not here: who the subjects are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
ABSENT = -1


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Distinct rows of classes.

    `classes`: int32 [rows, releases], class held in each live release in the order of their making, -1 where absent;
    `erased`: int64 [rows], members that held the row and were erased.
    """

    classes: NDArray[np.int32]
    erased: Ints

    @classmethod
    def none(cls) -> "Rows":
        """Return the rows of a family without a live release."""
        return cls(np.zeros((0, 0), dtype=np.int32), np.zeros(0, dtype=np.int64))

    @property
    def releases(self) -> int:
        """How many releases are live."""
        return int(self.classes.shape[1])


def with_release(rows: Rows, row_of: Ints, class_of: Ints) -> tuple[Rows, Ints]:
    """Add a release in which each subject held `class_of` (-1: in none); return the rows and each subject's number.

    `row_of`, `class_of`: int64 [subjects]; a subject in no release has the number -1.
    """
    before = np.full((1, rows.releases), ABSENT, dtype=np.int32)
    known = np.concatenate([rows.classes, before])  # number -1 reads the last
    gone = np.flatnonzero(rows.erased)
    width = int(class_of.max(initial=ABSENT)) + 2
    key = np.concatenate([(row_of % len(known)) * width + class_of + 1, gone * width])
    found, number = np.unique(key, return_inverse=True)
    classes = np.column_stack([known[found // width], (found % width - 1).astype(np.int32)])
    erased = np.bincount(number[len(row_of) :], weights=rows.erased[gone], minlength=len(found)).astype(np.int64)
    return _without_nobody(Rows(classes, erased), number[: len(row_of)])


def with_releases_only(rows: Rows, row_of: Ints, kept: Sequence[int]) -> tuple[Rows, Ints]:
    """Forget all releases but those at positions `kept`, since they are over; rows that now say the same become one."""
    left = rows.classes[:, list(kept)]
    if not len(left):
        return Rows(left, rows.erased), row_of
    distinct, number = np.unique(left, axis=0, return_inverse=True)
    number = number.reshape(-1)
    erased = np.bincount(number, weights=rows.erased, minlength=len(distinct)).astype(np.int64)
    return _without_nobody(Rows(distinct, erased), np.r_[number, ABSENT][row_of])


def without_subject(rows: Rows, row: int) -> Rows:
    """Return the rows after one who held `row` was erased: they are counted, and named nowhere."""
    erased = rows.erased.copy()
    erased[row] += 1
    return Rows(rows.classes, erased)


def leavers_of(rows: Rows, row_of: Ints, may: NDArray[np.bool_]) -> Ints:
    """Return int64 [rows]: how many held each row and may not be in the next release (`may`: bool [subjects])."""
    gone = row_of[~may & (row_of >= 0)]
    return rows.erased + np.bincount(gone, minlength=len(rows.classes))


def _without_nobody(rows: Rows, row_of: Ints) -> tuple[Rows, Ints]:
    """Drop rows that are absent everywhere or held by nobody, and number the rest without gaps."""
    held = np.bincount(row_of[row_of >= 0], minlength=len(rows.classes)) + rows.erased > 0
    kept = held & np.any(rows.classes != ABSENT, axis=1)
    number = np.where(kept, np.cumsum(kept) - 1, ABSENT)
    return Rows(rows.classes[kept], rows.erased[kept]), np.r_[number, ABSENT][row_of]
