"""Noise of vectors: its size, its cost, its intervals, and an audit that an under-noised mechanism does not pass.

Draws come from OpenDP's cryptographic source and cannot be seeded; every tolerance is six standard errors wide or
more, so that a sound mechanism fails one of these tests with probability below 1e-8 each.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from pdms.anonymize.noise import count, epsilon_of, histogram, noised, unknown_keys
from pdms.anonymize.noise.accounting import contrib
from pdms.errors import InvalidInput

DRAWS = 20_000


def test_noise_has_the_stated_deviation_and_no_bias() -> None:
    drawn = noised([1000] * DRAWS, sensitivity=1, rho=0.005)
    errors = np.array(drawn.values) - 1000
    assert drawn.scale == pytest.approx(10, rel=1e-9)
    assert abs(errors.mean()) < 6 * 10 / math.sqrt(DRAWS)
    assert abs(errors.var() / 100 - 1) < 6 * math.sqrt(2 / DRAWS)


def test_intervals_hold_the_exact_number_as_often_as_they_say() -> None:
    for rho in (0.5, 0.005):
        drawn = noised([50] * DRAWS, sensitivity=1, rho=rho)
        inside = sum(drawn.interval(i).low <= 50 <= drawn.interval(i).high for i in range(DRAWS)) / DRAWS
        assert inside > 0.95 - 6 * math.sqrt(0.95 * 0.05 / DRAWS)
        if rho == 0.005:
            assert inside < 0.99  # nor are they vacuous


def test_cost_is_what_opendp_says_and_never_above_what_was_asked() -> None:
    for sensitivity in (1, math.sqrt(2), 3, 707106.78):
        for rho in (1e-6, 0.003, 0.1, 1.0):
            drawn = noised([0], sensitivity=sensitivity, rho=rho)
            assert rho * (1 - 1e-9) < drawn.cost.rho <= rho


def test_one_members_rows_in_one_cell_are_paid_for() -> None:
    once, thrice = histogram([0, 1], size=3, rho=0.01), histogram([0, 1], size=3, rho=0.01, per_member=3)
    assert thrice.scale == pytest.approx(3 * once.scale)


def test_empty_cells_are_noised_like_all_others() -> None:
    drawn = histogram(np.zeros(0, dtype=np.int64), size=5000, rho=0.005)
    assert len(drawn.values) == 5000
    assert np.mean([v == 0 for v in drawn.values]) < 0.1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: noised([], sensitivity=1, rho=0.1),
        lambda: noised([1 << 61], sensitivity=1, rho=0.1),
        lambda: noised([1], sensitivity=0, rho=0.1),
        lambda: noised([1], sensitivity=math.nan, rho=0.1),
        lambda: noised([1], sensitivity=1, rho=math.inf),
        lambda: noised([1], sensitivity=1, rho=-1),
        lambda: histogram([3], size=3, rho=0.1),
        lambda: histogram([-1], size=3, rho=0.1),
        lambda: count(1, rho=0),
    ],
)
def test_what_is_no_question_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput):
        wrong()


def _audit(draw: Callable[[int], np.ndarray], *, rho: float) -> float:
    """Return by how much the outputs on two neighbours break the claimed (epsilon, delta) curve; above 0: they do.

    For each event "more than t" the probability on one neighbour is bounded from below and on the other from above
    (Hoeffding, each wrong with probability 1e-12), and held against p <= exp(epsilon) q + delta.
    """
    one, other = draw(100), draw(101)
    slack = math.sqrt(math.log(1e12) / (2 * len(one)))
    worst = -1.0
    for t in range(96, 106):
        p, q = float((other > t).mean()) - slack, float((one > t).mean()) + slack
        for delta in (1e-3, 1e-2, 0.05, 0.1, 0.2):
            worst = max(worst, p - math.exp(_epsilon(rho, delta)) * q - delta)
    return worst


def _epsilon(rho: float, delta: float) -> float:
    return float(
        contrib()
        .combinators.make_zCDP_to_approxDP(
            contrib().measurements.make_gaussian(
                contrib().domains.atom_domain(T="i64"),
                contrib().metrics.absolute_distance(T="f64"),
                scale=math.sqrt(1 / (2 * rho)),
            )
        )
        .map(1.0)
        .epsilon(delta)
    )


def test_an_audit_by_likelihood_passes_ours_and_fails_an_under_noised_mechanism() -> None:
    rho = 0.5

    def ours(exact: int) -> np.ndarray:
        return np.array(noised([exact] * 16_000, sensitivity=1, rho=rho).values)

    def under_noised(exact: int) -> np.ndarray:  # claims rho, spends 4 rho
        return np.array(noised([exact] * 16_000, sensitivity=1, rho=4 * rho).values)

    assert _audit(ours, rho=rho) < 0
    assert _audit(under_noised, rho=rho) > 0


def test_a_key_that_one_member_brings_is_hardly_ever_seen() -> None:
    lone = [f"key-{i}" for i in range(DRAWS)]
    drawn = unknown_keys([*lone, *["many"] * 500], rho=0.1, delta=1e-3)
    assert drawn.cost.rho <= 0.1
    assert drawn.cost.delta <= 1e-3
    seen = [key for key in drawn.counts if key != "many"]
    # twenty are expected at most; a histogram of the keys that occur, noised and without a threshold, shows them all
    assert len(seen) < 20 + 6 * math.sqrt(20)
    assert abs(drawn.counts["many"] - 500) < 8 * drawn.scale
    assert unknown_keys([], rho=0.1, delta=1e-3).counts == {}


def test_epsilon_grows_with_rho_and_falls_with_delta() -> None:
    assert epsilon_of(0.005, delta=1e-6) < epsilon_of(0.01, delta=1e-6) < epsilon_of(0.01, delta=1e-9)
    bun_steinke = 0.01 + 2 * math.sqrt(0.01 * math.log(1e6))
    assert 0.8 * bun_steinke < epsilon_of(0.01, delta=1e-6) <= bun_steinke


def test_a_wide_interval_is_wider() -> None:
    drawn = count(100, rho=0.005)
    narrow, wide = drawn.interval(0, confidence=0.5), drawn.interval(0, confidence=0.999)
    assert wide.high - wide.low > narrow.high - narrow.low > 2 * NormalDist().inv_cdf(0.75) * 10
    with pytest.raises(InvalidInput):
        drawn.interval(0, confidence=1)
