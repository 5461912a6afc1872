"""Sums, means, quantiles: bounded inputs, and intervals that hold the exact figure."""

import math

import numpy as np
import pytest

from pdms.anonymize.noise import Clamp, bounded, histogram, moments, quantile
from pdms.errors import InvalidInput

SPEND = Clamp(0, 10_000, grain=0.01)
ROUNDS = 300
MISSED = 300 * 0.05 + 6 * math.sqrt(300 * 0.05 * 0.95)
"""Misses of 95 % intervals in 300 rounds that chance exceeds with probability below 1e-8."""


def test_only_the_first_rows_of_a_member_count_whatever_others_do() -> None:
    members = np.array([7, 3, 7, 7, 3, 1])
    assert bounded(members, at_most=1).tolist() == [0, 1, 5]
    assert bounded(members, at_most=2).tolist() == [0, 1, 2, 4, 5]
    without = members[members != 7]
    assert members[bounded(members, at_most=2)][[1, 3, 4]].tolist() == without[bounded(without, at_most=2)].tolist()
    assert bounded([], at_most=1).tolist() == []
    with pytest.raises(InvalidInput):
        bounded(members, at_most=0)


def test_no_value_moves_the_vector_further_than_the_clamp_says() -> None:
    extremes = [0, -1e300, 1e300, math.inf, -math.inf, 10_000, 0.005, 9_999.999]
    away = SPEND.grains([*extremes, math.nan])
    assert len(away) == len(extremes)  # an absent value is left out
    assert int(np.abs(away).max()) <= SPEND.half
    odd = Clamp(-1, 2)
    assert int(np.abs(odd.grains([-9, -1, 0, 1, 2, 9])).max()) <= odd.half


def test_a_mean_and_a_sum_lie_in_their_intervals() -> None:
    values = np.random.default_rng(4).gamma(2, 400, 4000)
    missed = {"sum": 0, "mean": 0, "count": 0}
    for _ in range(ROUNDS):
        found = moments(np.r_[values, [math.nan] * 50], SPEND, rho=0.02)
        total, mean, number = found.total(), found.mean(), found.count()
        missed["sum"] += not total.interval.low <= values.sum() <= total.interval.high
        missed["mean"] += not mean.interval.low <= values.mean() <= mean.interval.high
        missed["count"] += not number.interval.low <= 4000 <= number.interval.high
    assert max(missed.values()) < MISSED
    assert mean.interval.high - mean.interval.low < 120  # and they say something


def test_a_sum_costs_no_more_than_alone_and_a_member_moves_both_cells_together() -> None:
    found = moments([1.0], SPEND, rho=0.02)
    alone = SPEND.upper / math.sqrt(2 * 0.02)  # noise of a sum by itself, in its own unit
    share = SPEND.centre / SPEND.half
    assert found.noised.scale * math.hypot(1, share) * SPEND.grain == pytest.approx(alone, rel=1e-6)


def test_a_sum_of_what_is_never_negative_is_not() -> None:
    for _ in range(60):  # half of them were
        total = moments(np.full(20, 1.0), SPEND, rho=0.01).total()
        assert 0 <= total.interval.low <= total.value <= total.interval.high
    lowest = min(moments([], Clamp(-10, 10), rho=0.01).total().interval.low for _ in range(60))
    assert lowest < 0


def test_a_mean_of_nobody_is_the_whole_clamp() -> None:
    for _ in range(20):
        mean = moments([], SPEND, rho=0.005).mean()
        assert 0 <= mean.interval.low <= mean.value <= mean.interval.high <= 10_000
    assert mean.interval.high - mean.interval.low > 5000


def test_too_many_grains_are_refused_before_a_sum_overflows() -> None:
    with pytest.raises(InvalidInput):
        Clamp(0, 1e300)
    with pytest.raises(InvalidInput):
        Clamp(0, math.nan)
    with pytest.raises(InvalidInput):
        Clamp(5, 5)
    wide = Clamp(0, 2**39)
    with pytest.raises(InvalidInput):
        moments(np.zeros((1 << 22) + 8), wide, rho=0.1)


def test_a_quantile_lies_between_the_edges_that_are_named() -> None:
    edges = [100, 250, 500, 1000, 2500, 5000]
    values = np.random.default_rng(5).gamma(2, 400, 4000)
    cells = np.searchsorted(edges, values, side="right")
    missed = dict.fromkeys((0.1, 0.5, 0.9), 0)
    for _ in range(ROUNDS):
        counted = histogram(cells, size=len(edges) + 1, rho=0.02)
        for share in missed:
            found = quantile(counted, edges, share)
            missed[share] += not found.interval.low <= np.quantile(values, share) <= found.interval.high
    assert max(missed.values()) < MISSED
    middle = quantile(counted, edges, 0.5)
    assert middle.interval.low <= middle.value <= middle.interval.high
    assert abs(middle.value - np.quantile(values, 0.5)) < 150  # linear within a bin of 500


def test_quantiles_at_the_ends_stay_open() -> None:
    counted = histogram(np.full(5000, 2), size=3, rho=0.02)
    last = quantile(counted, [10, 20], 0.5)
    assert (last.bin, last.value, last.interval.low, last.interval.high) == (2, 20.0, 20, math.inf)
    first = quantile(histogram(np.zeros(5000, dtype=int), size=3, rho=0.02), [10, 20], 0.5)
    assert (first.bin, first.value, first.interval.high) == (0, 10.0, 10)
    with pytest.raises(InvalidInput):
        quantile(counted, [10], 0.5)
    with pytest.raises(InvalidInput):
        quantile(counted, [10, 20], 1.0)
