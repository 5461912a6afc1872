"""Counts as the anonymised side may say them: rounded to ten, and small ones only as small.

Guarantee: two populations that differ by one member give the same answer or answers at least one rounding step (or the
border of `min_cell`) apart. It does not stop an asker who may pose many slightly different questions; noise with a
budget does that.
"""

from dataclasses import dataclass

from pdms.views.rounding import BASE


@dataclass(frozen=True, slots=True)
class RoundedCount:
    """Either `value`, a multiple of BASE, or `below`: fewer than that many, zero included."""

    value: int | None
    below: int | None = None

    def __str__(self) -> str:
        return str(self.value) if self.value is not None else f"<{self.below}"


@dataclass(frozen=True, slots=True)
class CountRange:
    """What is known of a count: it lies between the two, each rounded."""

    low: RoundedCount
    high: RoundedCount

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low} to {self.high}"


def rounded(count: int, *, min_cell: int) -> RoundedCount:
    """Return `count` to the nearest multiple of BASE, halves up; below `min_cell` only that it is below."""
    if count < min_cell:
        return RoundedCount(value=None, below=min_cell)
    return RoundedCount(value=(count + BASE // 2) // BASE * BASE)
