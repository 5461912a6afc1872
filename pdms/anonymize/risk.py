"""How likely a published row is to be tied back to its member.

Prosecutor: the attacker knows that the target is in the release; journalist: knows only the wider population;
marketer: wants as many as possible right. Each presupposes that the attacker knows every published column exactly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Risk:
    """Re-identification probabilities, 0 to 1; all 0 where nothing is published.

    `prosecutor_max` = 1 / smallest class; `prosecutor_average` = `marketer` = classes / rows;
    `journalist_max` and `journalist_average` over the population of each class; where no population is known the
    release itself is the population, which is the worst case.
    """

    smallest_class: int
    prosecutor_max: float
    prosecutor_average: float
    journalist_max: float
    journalist_average: float
    marketer: float


def measure_risk(sizes: NDArray[np.int64], *, population: NDArray[np.int64] | None = None) -> Risk:
    """Measure the risk of classes of `sizes` rows; `population`: people of the wider population in each class."""
    if len(sizes) == 0:
        return Risk(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    wider = sizes if population is None else np.maximum(population, sizes)
    rows = int(sizes.sum())
    average = len(sizes) / rows
    return Risk(
        smallest_class=int(sizes.min()),
        prosecutor_max=1 / int(sizes.min()),
        prosecutor_average=average,
        journalist_max=1 / int(wider.min()),
        journalist_average=float((sizes / wider).sum() / rows),
        marketer=float((sizes / wider).sum() / rows) if population is not None else average,
    )
