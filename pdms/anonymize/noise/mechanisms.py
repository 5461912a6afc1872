"""Integer noise on vectors of counts and sums: one call of OpenDP for all cells.

Mechanism: the discrete Gaussian (Canonne, Kamath, Steinke 2020, arXiv:2004.00010), as OpenDP's `make_gaussian` over
`vector_domain(atom_domain(i64))` and `l2_distance` samples it, exactly, from a cryptographic source. Its privacy map is
rho = sensitivity² / (2 scale²). Preconditions, which the callers here keep: the numbers are exact integers, and adding
or removing one member moves the vector by at most `sensitivity` in Euclidean norm, whoever else is in it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from pdms.anonymize.noise.accounting import Cost, contrib
from pdms.anonymize.noise.bounds import LARGEST
from pdms.errors import InvalidInput

CONFIDENCE = 0.95
MOST_CELLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the exact number lies with probability `confidence` over the noise; of one cell, not of all together."""

    low: float
    high: float
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class Noised:
    """A vector after noise: what may leave. `scale` is the noise's standard deviation, in the cells' own unit."""

    values: tuple[int, ...]
    scale: float
    cost: Cost = field(repr=False)

    def interval(self, cell: int, *, confidence: float = CONFIDENCE) -> Interval:
        """Return the interval of one cell."""
        reach = reach_of(self.scale, confidence=confidence)
        return Interval(self.values[cell] - reach, self.values[cell] + reach, confidence)


def noised(values: Sequence[int], *, sensitivity: float, rho: float) -> Noised:
    """Return `values` with discrete Gaussian noise, at a cost of at most `rho`.

    :param values: exact integers; their number must not depend on the data. :param sensitivity: how far one member can
        move them, in Euclidean norm.
    :raises InvalidInput: no cells or too many, a number beyond 2⁶⁰, or a sensitivity or rho that is none.
    """
    cells = cells_of(values)
    mechanism, scale, spent = _gaussian(float(sensitivity), float(rho))
    drawn = mechanism(cells)
    return Noised(values=tuple(drawn), scale=scale, cost=Cost(spent))


def cells_of(values: Sequence[int]) -> list[int]:
    """Return what is about to be noised. :raises InvalidInput: no cells or too many, or a number beyond 2⁶⁰."""
    cells = [int(value) for value in values]
    if not 1 <= len(cells) <= MOST_CELLS:
        raise InvalidInput(f"noise: between 1 and {MOST_CELLS} cells")
    if any(abs(cell) > LARGEST for cell in cells):
        raise InvalidInput("noise: a number is too large to be noised")
    return cells


def count(number: int, *, rho: float) -> Noised:
    """Noise one count of members. Sensitivity 1: a member is counted or not."""
    return noised([number], sensitivity=1.0, rho=rho)


def histogram(cells: Any, *, size: int, rho: float, per_member: int = 1) -> Noised:
    """Count rows by cell and noise all cells at once.

    :param cells: int [n], the cell of each row, 0 to `size` - 1; cells come from declared edges or labels, never from
        what the data hold, and empty ones are noised like all others.
    :param per_member: rows that a member has at most (see `bounds.bounded`). Sensitivity: all of them may lie in one
        cell, so `per_member` in Euclidean norm, too.
    :raises InvalidInput: a cell is out of range.
    """
    places = np.asarray(cells, dtype=np.int64).reshape(-1)
    if len(places) and not 0 <= int(places.min()) <= int(places.max()) < size:
        raise InvalidInput("histogram: a row lies in no cell")
    return noised(np.bincount(places, minlength=size).tolist(), sensitivity=float(per_member), rho=rho)


def reach_of(scale: float, *, confidence: float = CONFIDENCE) -> float:
    """Return a such that noise of `scale` stays within ±a with at least `confidence`.

    The discrete Gaussian reaches a whole number m no more often than the continuous one reaches m - 1
    (arXiv:2004.00010), so that rounding up suffices; half a grain is added for what is not centred on a whole number.
    """
    if not 0 < confidence < 1:
        raise InvalidInput("confidence: must lie between 0 and 1")
    return math.ceil(NormalDist().inv_cdf((1 + confidence) / 2) * scale + 0.5)


@lru_cache(maxsize=256)
def _gaussian(sensitivity: float, rho: float) -> tuple[Any, float, float]:
    if not (math.isfinite(sensitivity) and sensitivity > 0):
        raise InvalidInput("noise: the sensitivity must be finite and above 0")
    if not (math.isfinite(rho) and rho > 0):
        raise InvalidInput("noise: rho must be finite and above 0")
    dp = contrib()
    scale = sensitivity / math.sqrt(2 * rho)
    while True:
        space = dp.domains.vector_domain(dp.domains.atom_domain(T="i64")), dp.metrics.l2_distance(T="f64")
        mechanism = dp.measurements.make_gaussian(*space, scale=scale)
        spent = float(mechanism.map(sensitivity))
        if spent <= rho:
            return mechanism, scale, spent
        scale = math.nextafter(scale * (1 + 1e-15), math.inf)  # OpenDP's map rounds up
