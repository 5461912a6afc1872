"""What one member can change at most: contributions bounded, values clamped, everything in whole grains.

Guarantee: after `bounded` a member stands in at most so many rows, whatever the other members' rows are; after
`Clamp.grains` every value lies between declared bounds and is a whole number. The bounds are declared, never taken
from the data: a bound that moves with one member tells of that member.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdms.errors import InvalidInput

Ints = NDArray[np.int64]

LARGEST = 1 << 60
"""No exact number above it is noised: OpenDP's integers saturate at 2⁶³, and a saturated sum is not a bounded one."""


@dataclass(frozen=True, slots=True)
class Clamp:
    """Declared bounds of a value, and the grain that it is counted in; values beyond count as the bound."""

    lower: float
    upper: float
    grain: float = 1.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.lower, self.upper, self.grain)):
            raise InvalidInput("clamp: bounds and grain must be finite")
        if self.grain <= 0 or self.upper - self.lower < self.grain:
            raise InvalidInput("clamp: the upper bound must lie at least one grain above the lower")
        if max(abs(self.lower), abs(self.upper)) / self.grain > LARGEST >> 20:
            raise InvalidInput("clamp: too many grains between the bounds; take a coarser grain")

    @property
    def half(self) -> int:
        """Half the width in grains, rounded up: what one value can be away from the centre at most."""
        return -(-self._span // 2)

    @property
    def centre(self) -> int:
        """Middle of the bounds, in grains."""
        return round(self.lower / self.grain) + self._span // 2

    def grains(self, values: Any) -> Ints:
        """Return the values that are there as int64 [n'] grains away from the centre, each within `half`.

        :param values: float [n]; NaN is absent and left out, infinities count as the nearer bound.
        """
        given = np.asarray(values, dtype=np.float64).reshape(-1)
        there = given[~np.isnan(given)]
        cut = np.clip(there, self.lower, self.upper)
        away = np.rint(cut / self.grain).astype(np.int64) - self.centre
        return np.clip(away, -self.half, self.half)

    @property
    def _span(self) -> int:
        return round(self.upper / self.grain) - round(self.lower / self.grain)


def bounded(members: Any, *, at_most: int = 1) -> Ints:
    """Return the places of the rows that count: of each member the first `at_most`, in ascending order.

    :param members: [n], for each row whose it is, in an order that does not depend on other members' rows.
    Removing a member removes their rows and changes nobody else's, so a count over the kept rows has sensitivity
    `at_most` (truncation, as in McSherry 2009, PINQ, doi:10.1145/1559845.1559850).
    """
    if at_most < 1:
        raise InvalidInput("contributions: at least one row of a member must count")
    _, inverse = np.unique(np.asarray(members), return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    sorted_ = inverse.reshape(-1)[order]
    if not len(order):
        return order.astype(np.int64)
    starts = np.flatnonzero(np.r_[True, sorted_[1:] != sorted_[:-1]])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[rank < at_most]).astype(np.int64)
