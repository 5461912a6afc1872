"""Counts as marketing gets them: noised, each with where the exact one lies, small ones only said to be small.

Guarantee: everything here reads numbers that were noised before (post-processing), so thresholds tell nothing more.
"""

from dataclasses import dataclass

from pdms.anonymize.noise import Noised


@dataclass(frozen=True, slots=True)
class NoisedCount:
    """Either `value` with the interval that holds the exact count with 95 %, or `below`: too small to be told."""

    value: int | None
    below: int | None = None
    low: int | None = None
    high: int | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"<{self.below}"
        return f"{self.value} ({self.low} to {self.high})"


def told(drawn: Noised, cell: int, *, min_cell: int) -> NoisedCount:
    """Return one cell of counts as it may be shown: at least 0, and below `min_cell` only that it is."""
    value = drawn.values[cell]
    if value < min_cell:
        return NoisedCount(value=None, below=min_cell)
    interval = drawn.interval(cell)
    return NoisedCount(value=value, low=max(0, int(interval.low)), high=int(interval.high))
