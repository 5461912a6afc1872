"""The frequency table of distinct quasi-identifier tuples: all that the anonymisation core ever sees of members.

Guarantees: tuples are distinct and stand in lexicographic order of their codes, so that the order of the input rows
is gone; counts are positive. Deliberately not here: any id. The caller keeps what maps its rows to tuples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.hierarchies import Hierarchy
from pdms.errors import InvalidInput


@dataclass(frozen=True, slots=True, eq=False)
class FrequencyTable:
    """Distinct tuples with how many members hold each.

    `codes`: int32 [tuples, attributes], leaf codes of the hierarchies in the same order.
    `counts`: int64 [tuples], each at least 1.
    `sensitive`: int64 [tuples, sensitive values] or None: how many members of the tuple hold each sensitive value;
    rows sum to `counts`. The sensitive attribute is never one of the quasi-identifiers.
    `population`: int64 [tuples] or None: how many people of the wider population hold the tuple (delta-presence).
    """

    codes: NDArray[np.int32]
    counts: NDArray[np.int64]
    sensitive: NDArray[np.int64] | None = None
    population: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Check shapes, counts, distinctness; raises InvalidInput."""
        if self.codes.ndim != 2 or self.codes.shape[1] == 0:
            raise InvalidInput("frequency table: codes must be a table with one column at least")
        tuples = self.codes.shape[0]
        if self.counts.shape != (tuples,) or np.any(self.counts < 1):
            raise InvalidInput("frequency table: counts must be one positive number for each tuple")
        if self.sensitive is not None and (
            self.sensitive.ndim != 2
            or self.sensitive.shape[0] != tuples
            or np.any(self.sensitive < 0)
            or np.any(self.sensitive.sum(axis=1) != self.counts)
        ):
            raise InvalidInput("frequency table: sensitive counts must sum to the counts of each tuple")
        if self.population is not None and (
            self.population.shape != (tuples,) or np.any(self.population < self.counts)
        ):
            raise InvalidInput("frequency table: the population must hold at least the members of each tuple")
        if tuples > 1 and _repeats(self.codes):
            raise InvalidInput("frequency table: tuples must be distinct and in lexicographic order")

    @property
    def rows(self) -> int:
        """How many members the table counts."""
        return int(self.counts.sum())

    def check_against(self, hierarchies: Sequence[Hierarchy]) -> None:
        """Raise InvalidInput unless there is one hierarchy for each attribute and it covers every code."""
        if len(hierarchies) != self.codes.shape[1]:
            raise InvalidInput("frequency table: one hierarchy is needed for each attribute")
        for column, hierarchy in enumerate(hierarchies):
            codes = self.codes[:, column]
            if codes.size and (codes.min() < 0 or codes.max() >= len(hierarchy.leaves)):
                raise InvalidInput(f"{hierarchy.name}: the hierarchy does not cover every code")


def _repeats(codes: NDArray[np.int32]) -> bool:
    """Tell whether a row is not strictly greater, in lexicographic order, than the row before."""
    smaller, equal = np.zeros(len(codes) - 1, dtype=bool), np.ones(len(codes) - 1, dtype=bool)
    for column in codes.T:
        smaller |= equal & (column[:-1] < column[1:])
        equal &= column[:-1] == column[1:]
    return not bool(np.all(smaller))


def tabulate(
    codes: Any,
    *,
    counts: Any = None,
    sensitive: Any = None,
    sensitive_values: int | None = None,
    population: Any = None,
) -> tuple[FrequencyTable, NDArray[np.int64]]:
    """Group rows into a frequency table and return it with the tuple number of each row (int64 [rows]).

    `codes`: int array-like [rows, attributes]; `counts`: how many members each row stands for (default 1);
    `sensitive`: int array-like [rows], the sensitive code of each row, with `sensitive_values` codes in all;
    `population`: people of the wider population that each row stands for (default: none given).
    An engine that has grouped already passes its groups as rows. Raises InvalidInput.
    """
    table = np.asarray(codes)
    if table.ndim != 2 or table.shape[1] == 0:
        raise InvalidInput("frequency table: codes must be a table with one column at least")
    if not np.issubdtype(table.dtype, np.integer) or (table.size and (table.min() < 0 or table.max() > 2**31 - 1)):
        raise InvalidInput("frequency table: codes must be whole numbers below 2^31")
    table = table.astype(np.int32, copy=False)
    weights = np.ones(len(table), dtype=np.int64) if counts is None else np.asarray(counts, dtype=np.int64)
    if weights.shape != (len(table),) or np.any(weights < 1):
        raise InvalidInput("frequency table: counts must be one positive number for each row")
    order = lexicographic(table)
    ordered = table[order]
    starts = np.ones(len(table), dtype=bool)
    if len(table) > 1:
        starts[1:] = np.any(ordered[1:] != ordered[:-1], axis=1)
    group = np.cumsum(starts) - 1
    tuple_of_row = np.empty(len(table), dtype=np.int64)
    tuple_of_row[order] = group
    distinct = ordered[starts]
    total = np.bincount(tuple_of_row, weights=weights, minlength=len(distinct)).astype(np.int64)
    histogram = None
    if sensitive is not None:
        values = np.asarray(sensitive, dtype=np.int64)
        width = int(values.max(initial=-1)) + 1 if sensitive_values is None else sensitive_values
        if values.shape != (len(table),) or (values.size and (values.min() < 0 or values.max() >= width)):
            raise InvalidInput("frequency table: a sensitive code is out of range")
        cells = np.bincount(tuple_of_row * width + values, weights=weights, minlength=len(distinct) * width)
        histogram = cells.astype(np.int64).reshape(len(distinct), width)
    wider = None
    if population is not None:
        wider = np.bincount(tuple_of_row, weights=np.asarray(population), minlength=len(distinct)).astype(np.int64)
    return FrequencyTable(codes=distinct, counts=total, sensitive=histogram, population=wider), tuple_of_row


def lexicographic(table: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return a stable lexicographic order of the rows; packed into one integer where that fits 63 bits."""
    spans = [int(column.max(initial=0)) + 1 for column in table.T]
    total = 1
    for span in spans:
        total *= span
    if total < 1 << 63:
        key = np.zeros(len(table), dtype=np.int64)
        for column, span in zip(table.T, spans, strict=True):
            key = key * span + column
        return np.argsort(key, kind="stable")
    return np.lexsort(table.T[::-1])
