"""Noise for one vector that is all a population is told: (epsilon, 0), without a chance of failing outright.

Mechanism: the discrete Laplace, as OpenDP's `make_laplace` over `vector_domain(atom_domain(i64))` and `l1_distance`
samples it, exactly, from a cryptographic source. Its privacy map is epsilon = moved / scale (Dwork, McSherry, Nissim,
Smith 2006, doi:10.1007/11681878_14). A vector of few histograms is told with less noise than by the Gaussian at the
same epsilon (deviation sqrt(2) moved / epsilon). Many answers are not: each costs the ledger epsilon²/2 of rho
(Bun and Steinke 2016, proposition 1.4), so that what is asked in pieces is noised by `mechanisms`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pdms.anonymize.noise.accounting import Cost, contrib
from pdms.anonymize.noise.mechanisms import cells_of
from pdms.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class PurelyNoised:
    """A vector after noise: what may leave. `scale` is the noise's standard deviation, in the cells' own unit."""

    values: tuple[int, ...]
    scale: float
    epsilon: float

    @property
    def cost(self) -> Cost:
        """What it costs beside other answers."""
        return Cost(self.epsilon**2 / 2)


def noised_purely(values: Sequence[int], *, moved: int, epsilon: float) -> PurelyNoised:
    """Return `values` with discrete Laplace noise, within `epsilon`.

    :param values: exact integers; their number must not depend on the data. :param moved: how far one member can move
        them, cell by cell, in sum: 1 for each histogram that a member stands in once.
    :raises InvalidInput: no cells or too many, a number beyond 2⁶⁰, or a distance or epsilon that is none.
    """
    cells = cells_of(values)
    mechanism, scale, spent = _laplace(int(moved), float(epsilon))
    decay = math.exp(-1 / scale)
    return PurelyNoised(tuple(mechanism(cells)), math.sqrt(2 * decay) / (1 - decay), spent)


@lru_cache(maxsize=256)
def _laplace(moved: int, epsilon: float) -> tuple[Any, float, float]:
    if moved < 1:
        raise InvalidInput("noise: one member must move something")
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise InvalidInput("noise: epsilon must be finite and above 0")
    dp = contrib()
    scale = moved / epsilon
    while True:
        space = dp.domains.vector_domain(dp.domains.atom_domain(T="i64")), dp.metrics.l1_distance(T="i64")
        mechanism = dp.measurements.make_laplace(*space, scale=scale)
        spent = float(mechanism.map(moved))
        if spent <= epsilon:
            return mechanism, scale, spent
        scale = math.nextafter(scale * (1 + 1e-15), math.inf)  # OpenDP's map rounds up
