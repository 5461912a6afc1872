"""Sums, means and quantiles out of noised vectors, each with an interval that holds for the noise.

Guarantee: everything here but `moments` only reads what was noised already, so it costs nothing more (closure under
post-processing, Dwork and Roth 2014, proposition 2.1). Intervals are conservative where a ratio or several cells are
involved: they hold with at least the stated probability, by the union bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from pdms.anonymize.noise.bounds import LARGEST, Clamp
from pdms.anonymize.noise.mechanisms import CONFIDENCE, Interval, Noised, noised, reach_of
from pdms.errors import InvalidInput

__all__ = ["Estimate", "Interval", "Moments", "QuantileEstimate", "moments", "quantile"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and where the exact one lies."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Moments:
    """Members with a value, and the sum of their values, noised together; a mean is their ratio.

    `noised` holds two cells: the sum of distances from the clamp's centre, in grains, and the members times `half`.
    """

    noised: Noised
    clamp: Clamp

    def count(self, *, confidence: float = CONFIDENCE) -> Estimate:
        """Return the number of members with a value."""
        half = self.clamp.half
        reach = reach_of(self.noised.scale, confidence=confidence) / half
        number = self.noised.values[1] / half
        return Estimate(number, Interval(number - reach, number + reach, confidence))

    def total(self, *, confidence: float = CONFIDENCE) -> Estimate:
        """Return the sum of the clamped values, in their own unit; not below 0 where no value is."""
        away, weighted = self.noised.values
        share = self.clamp.centre / self.clamp.half
        total = away + share * weighted
        reach = reach_of(self.noised.scale * math.hypot(1, share), confidence=confidence)
        grain = self.clamp.grain
        floor = 0.0 if self.clamp.lower >= 0 else -math.inf
        value, low, high = (max(floor, end * grain) for end in (total, total - reach, total + reach))
        return Estimate(value, Interval(low, high, confidence))

    def mean(self, *, confidence: float = CONFIDENCE) -> Estimate:
        """Return the mean of the clamped values, in their own unit, within the clamp.

        The interval holds with at least `confidence`: each of both cells misses with half of what is left. Where the
        members cannot be told from none, it is the whole clamp.
        """
        clamp = self.clamp
        away, weighted = self.noised.values
        reach = reach_of(self.noised.scale, confidence=(1 + confidence) / 2)
        lower, upper = clamp.lower, clamp.upper
        if weighted - reach <= 0:
            middle = (lower + upper) / 2
            value = middle if weighted <= 0 else _within(clamp, away / weighted)
            return Estimate(value, Interval(lower, upper, confidence))
        ends = [(away + a) / (weighted + b) for a in (-reach, reach) for b in (-reach, reach)]
        return Estimate(
            _within(clamp, away / weighted), Interval(_within(clamp, min(ends)), _within(clamp, max(ends)), confidence)
        )


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """Where a quantile lies among declared edges: surely in `interval`, most likely in the bin `bin`."""

    share: float
    value: float
    bin: int
    interval: Interval


def moments(values: Any, clamp: Clamp, *, rho: float) -> Moments:
    """Noise count and sum of `values` in one draw.

    :param values: float [members], one a member; NaN: the member has none.
    Sensitivity: one member moves the sum of distances from the centre by at most `clamp.half` grains, and the count,
    taken `half` times, by `half`: half · √2 together. A sum costs no more this way than alone, as centre and half
    width are alike where the lower bound is 0.
    :raises InvalidInput: the sum could exceed 2⁶⁰ grains.
    """
    away = clamp.grains(values)
    if len(away) * clamp.half > LARGEST:
        raise InvalidInput("sum: it could exceed the largest number; take a coarser grain")
    exact = [int(away.sum()), len(away) * clamp.half]
    return Moments(noised(exact, sensitivity=clamp.half * math.sqrt(2), rho=rho), clamp)


def quantile(
    counted: Noised, edges: Sequence[float], share: float, *, confidence: float = CONFIDENCE
) -> QuantileEstimate:
    """Return a quantile from the noised histogram of a value over declared edges.

    :param counted: cells in ascending order: below the first edge, between each two, from the last edge on.
    :param edges: ascending; one fewer than the cells. :param share: 0.5 for the median.
    The interval's ends are edges (infinite outside): at each edge the noise of "members below it, less `share` of all"
    is Gaussian with a known deviation, and all edges hold together with at least `confidence` by the union bound.
    """
    cells = counted.values
    if len(cells) != len(edges) + 1 or not edges:
        raise InvalidInput("quantile: a histogram has one cell more than edges")
    if not 0 < share < 1:
        raise InvalidInput("quantile: the share must lie between 0 and 1")
    reach = NormalDist().inv_cdf(1 - (1 - confidence) / (2 * len(edges)))
    size, total = len(cells), sum(cells)
    low, high, found = -math.inf, math.inf, size - 1
    below = 0
    for place, edge in enumerate(edges):
        below += cells[place]
        excess = below - share * total
        deviation = counted.scale * math.sqrt((place + 1) * (1 - share) ** 2 + (size - place - 1) * share**2) + 0.5
        if excess < -reach * deviation:
            low = edge
        if excess >= 0 and found == size - 1:
            found = place
        if excess > reach * deviation and high == math.inf:
            high = edge
    return QuantileEstimate(share, _inside(cells, edges, share, found), found, Interval(low, high, confidence))


def _inside(cells: Sequence[int], edges: Sequence[float], share: float, place: int) -> float:
    """Return a value of the bin `place`, in proportion to how far into it the share falls."""
    if place == 0:
        return float(edges[0])
    if place == len(edges):
        return float(edges[-1])
    wanted = share * sum(cells) - sum(cells[:place])
    part = min(max(wanted / cells[place], 0.0), 1.0) if cells[place] > 0 else 0.5
    return float(edges[place - 1] + part * (edges[place] - edges[place - 1]))


def _within(clamp: Clamp, ratio: float) -> float:
    """Return the mean that a ratio of both cells stands for, in the value's own unit, within the bounds."""
    return min(max((clamp.centre + ratio * clamp.half) * clamp.grain, clamp.lower), clamp.upper)
