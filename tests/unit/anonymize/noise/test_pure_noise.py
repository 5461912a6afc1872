"""Laplace noise of one vector: its size, its cost, and an audit that an under-noised mechanism does not pass.

Draws cannot be seeded; tolerances are six standard errors wide or more.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest

from pdms.anonymize.noise import noised, noised_purely, rho_within
from pdms.errors import InvalidInput

DRAWS = 20_000


def test_noise_has_the_stated_deviation_and_no_bias() -> None:
    drawn = noised_purely([1000] * DRAWS, moved=3, epsilon=1)
    errors = np.array(drawn.values) - 1000
    assert drawn.scale == pytest.approx(3 * math.sqrt(2), rel=0.01)
    assert abs(errors.mean()) < 6 * drawn.scale / math.sqrt(DRAWS)
    assert abs(errors.var() / drawn.scale**2 - 1) < 6 * math.sqrt(5 / DRAWS)  # kurtosis of a Laplace: 6


def test_cost_is_what_was_asked_at_most_and_half_its_square_beside_other_answers() -> None:
    for moved in (1, 3, 600):
        for epsilon in (1e-3, 0.3, 1.0, 7.0):
            drawn = noised_purely([0], moved=moved, epsilon=epsilon)
            assert epsilon * (1 - 1e-9) < drawn.epsilon <= epsilon
            assert drawn.cost.rho == pytest.approx(epsilon**2 / 2)
            assert drawn.cost.delta == 0


def test_few_histograms_are_told_with_less_noise_than_by_the_gaussian() -> None:
    rho = rho_within(1, delta=1e-6)
    for histograms in (1, 3, 6):
        gaussian = noised([0], sensitivity=math.sqrt(histograms), rho=rho)
        assert noised_purely([0], moved=histograms, epsilon=1).scale < gaussian.scale


def _worst(draw: Callable[[int], tuple[int, ...]], *, epsilon: float) -> float:
    """Return by how much "more than t" breaks p <= exp(epsilon) q on neighbours (Hoeffding, each wrong with 1e-12)."""
    one, other = np.array(draw(100)), np.array(draw(101))
    slack = math.sqrt(math.log(1e12) / (2 * len(one)))
    return max(
        (float((other > t).mean()) - slack) - math.exp(epsilon) * (float((one > t).mean()) + slack)
        for t in range(96, 106)
    )


def test_an_audit_by_likelihood_passes_ours_and_fails_an_under_noised_mechanism() -> None:
    cells = 20_000
    assert _worst(lambda exact: noised_purely([exact] * cells, moved=1, epsilon=0.5).values, epsilon=0.5) < 0
    assert _worst(lambda exact: noised_purely([exact] * cells, moved=1, epsilon=2).values, epsilon=0.5) > 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: noised_purely([], moved=1, epsilon=1),
        lambda: noised_purely([1 << 61], moved=1, epsilon=1),
        lambda: noised_purely([1], moved=0, epsilon=1),
        lambda: noised_purely([1], moved=1, epsilon=0),
        lambda: noised_purely([1], moved=1, epsilon=math.inf),
        lambda: noised_purely([1], moved=1, epsilon=math.nan),
    ],
)
def test_what_is_no_question_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput):
        wrong()
