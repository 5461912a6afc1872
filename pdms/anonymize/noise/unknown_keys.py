"""Counts by keys that nobody declared: a key is shown only where its noised count passes a threshold.

Mechanism: stability-based histogram, OpenDP's `make_gaussian_threshold` (Rogers 2023, arXiv:2309.09170; Bun, Nissim,
Stemmer 2016, arXiv:1511.08681). Precondition: a member stands in at most `per_member` rows. Keys that one member alone
brings are seen with probability at most delta, over all of that member's keys together.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pdms.anonymize.noise.accounting import Cost, contrib
from pdms.anonymize.noise.bounds import LARGEST
from pdms.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """Noised counts of the keys that passed `threshold`; a key that is not here may have been in the data or not."""

    counts: Mapping[str, int]
    scale: float
    threshold: int
    cost: Cost


def unknown_keys(keys: Iterable[str], *, rho: float, delta: float, per_member: int = 1) -> KeyCounts:
    """Count rows by key and show those keys of which many members bring one.

    :param keys: one a row, at most `per_member` rows a member. Sensitivity: up to `per_member` keys change, all of a
        member's rows may bear the same key, so `per_member` in any norm.
    :raises InvalidInput: rho, delta or per_member is none.
    """
    mechanism, scale, threshold, cost = _threshold(float(rho), float(delta), int(per_member))
    exact = Counter(keys)
    if any(number > LARGEST for number in exact.values()):
        raise InvalidInput("noise: a number is too large to be noised")
    shown = mechanism(dict(exact)) if exact else {}
    return KeyCounts(dict(sorted(shown.items())), scale, threshold, cost)


@lru_cache(maxsize=64)
def _threshold(rho: float, delta: float, per_member: int) -> tuple[Any, float, int, Cost]:
    if not (rho > 0 and 0 < delta <= 1e-3 and per_member >= 1):
        raise InvalidInput("noise: rho must be above 0, delta above 0 and 0.001 at most, per_member 1 at least")
    dp = contrib()
    scale = per_member / (2 * rho) ** 0.5 * (1 + 1e-12)
    keys, counts = dp.domains.atom_domain(T="String"), dp.domains.atom_domain(T="i64")
    space = dp.domains.map_domain(keys, counts), dp.metrics.l02inf_distance(dp.metrics.absolute_distance(T="i64"))
    bounds = (per_member, per_member, per_member)

    def made(threshold: int) -> Any:
        return dp.measurements.make_gaussian_threshold(*space, scale=scale, threshold=threshold)

    low, high = per_member, per_member + int(40 * scale) + 2
    while low < high:  # the least threshold that keeps delta
        middle = (low + high) // 2
        low, high = (low, middle) if made(middle).map(bounds)[1] <= delta else (middle + 1, high)
    mechanism = made(low)
    spent, failure = mechanism.map(bounds)
    return mechanism, scale, low, Cost(float(spent), float(failure))
