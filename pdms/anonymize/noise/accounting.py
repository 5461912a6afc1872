"""What answers cost together: OpenDP's fully adaptive composition under a privacy filter.

Costs are (rho, delta): rho of zero-concentrated differential privacy, delta where a mechanism may fail outright
(thresholded keys). Questions and their costs may depend on earlier answers: that is what fully adaptive composition and
the filter allow (Whitehouse, Ramdas, Rogers, Wu 2023, arXiv:2203.05481; Haney et al. 2023, arXiv:2309.05901; for zCDP
both add up). (epsilon, delta) of a budget becomes rho by OpenDP's own conversion, which is tighter than
epsilon = rho + 2 sqrt(rho ln(1/delta)) of Bun and Steinke.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from pdms.errors import InvalidInput

_REFUSED = ("exceed privacy budget", "unknown ordering")
"""How OpenDP says that a budget does not hold a cost: exceeded in both, or in one of rho and delta only."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one answer spends."""

    rho: float
    delta: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rho) and self.rho >= 0 and 0 <= self.delta < 1):
            raise InvalidInput("cost: rho must be finite and at least 0, delta between 0 and 1")


@lru_cache(maxsize=1)
def contrib() -> Any:
    """Return OpenDP's modules; loading them takes 0.1 s. What is used of it has proofs of its own (see docs)."""
    from opendp import combinators, domains, measurements, measures, metrics
    from opendp.mod import OpenDPException, enable_features

    # "honest-but-curious": past answers are entered in the filter by their cost alone, which OpenDP has to believe
    enable_features("contrib", "honest-but-curious")
    return SimpleNamespace(
        combinators=combinators,
        domains=domains,
        measurements=measurements,
        measures=measures,
        metrics=metrics,
        Refused=OpenDPException,
    )


def fits(budget: Cost, spent: Iterable[Cost], cost: Cost) -> bool:
    """Whether one more answer fits into a budget, after those given before.

    OpenDP's filter decides: it is built anew for each decision, since one that has refused answers nothing more. Its
    work grows with the square of the answers, so a caller with many enters their exact sum, as composition does.
    Holds no data: mechanisms run elsewhere. A budget that was lowered below what is spent admits nothing.
    """
    dp, compositor = contrib(), _Composition()
    limited = dp.combinators.make_privacy_filter(compositor.odometer, d_in=1, d_out=(budget.rho, budget.delta))
    asked = limited(0)
    try:
        for one in (*spent, cost):
            asked(compositor.answer(one))
    except dp.Refused as error:
        if not any(sign in (error.message or "") for sign in _REFUSED):
            raise
        return False
    return True


def composed(costs: Iterable[Cost]) -> Cost:
    """Return what several answers cost together, as OpenDP's odometer says."""
    compositor = _Composition()
    asked = compositor.odometer(0)
    for one in costs:
        asked(compositor.answer(one))
    rho, delta = asked.privacy_loss(1)
    return Cost(float(rho), float(delta))


class _Composition:
    """Fully adaptive composition in approximate zCDP; an answer is entered by its cost alone."""

    def __init__(self) -> None:
        dp = contrib()
        self._space = dp.domains.atom_domain(T="i32"), dp.metrics.absolute_distance(T="i32")
        self._measure = dp.measures.approximate(dp.measures.zero_concentrated_divergence())
        self.odometer = dp.combinators.make_fully_adaptive_composition(*self._space, self._measure)

    def answer(self, cost: Cost) -> Any:
        """Return a measurement of that cost which tells nothing."""
        return contrib().measurements.make_user_measurement(
            *self._space, self._measure, lambda _: 0, lambda d_in: (cost.rho * d_in**2, cost.delta), TO="i32"
        )


def epsilon_of(rho: float, *, delta: float) -> float:
    """Return the least epsilon that OpenDP's conversion gives for `rho` at `delta`."""
    _check_delta(delta)
    return 0.0 if rho == 0 else float(_profile(float(rho)).epsilon(delta))


def rho_within(epsilon: float, *, delta: float) -> float:
    """Return the greatest rho, to nine digits after the point and rounded down, whose (epsilon, delta) is within."""
    _check_delta(delta)
    if not (math.isfinite(epsilon) and 0 < epsilon <= 100):
        raise InvalidInput("budget: epsilon must lie above 0 and be 100 at most")
    low, high = 0, math.ceil(epsilon * 1e9)  # rho <= epsilon, since epsilon = rho + something
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if epsilon_of(middle / 1e9, delta=delta) <= epsilon else (low, middle)
    return low / 1e9


@lru_cache(maxsize=4096)
def _profile(rho: float) -> Any:
    dp = contrib()
    mechanism = dp.measurements.make_gaussian(
        dp.domains.atom_domain(T="i64"), dp.metrics.absolute_distance(T="f64"), scale=math.sqrt(1 / (2 * rho))
    )
    return dp.combinators.make_zCDP_to_approxDP(mechanism).map(1.0)


def _check_delta(delta: float) -> None:
    if not 0 < delta <= 1e-3:
        raise InvalidInput("budget: delta must lie above 0 and be 0.001 at most")
