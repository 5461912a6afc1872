"""Criteria judged on classes small enough to check by hand; figures follow from the definitions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from pdms.anonymize import Closeness, Criteria, Distance, Diversity, DiversityKind, Presence
from pdms.anonymize.criteria import distance, diverse, satisfied
from pdms.anonymize.sensitive import holds, rules_of
from pdms.errors import InvalidInput


def test_risk_is_folded_into_the_smallest_class() -> None:
    assert Criteria(k=5).smallest_class == 5
    assert Criteria(k=5, max_risk=0.1).smallest_class == 10
    assert Criteria(k=5, max_risk=0.3).smallest_class == 5
    assert Criteria(k=1, max_risk=0.3).smallest_class == 4


@pytest.mark.parametrize(
    ("histogram", "criterion", "expected"),
    [
        ([3, 3, 0], Diversity(2), True),
        ([6, 0, 0], Diversity(2), False),
        ([2, 2, 0], Diversity(2, DiversityKind.ENTROPY), True),
        ([3, 1, 0], Diversity(2, DiversityKind.ENTROPY), False),
        ([3, 1, 0], Diversity(1.7, DiversityKind.ENTROPY), True),
        ([5, 1, 1], Diversity(2, DiversityKind.RECURSIVE, c=3), True),
        ([6, 1, 1], Diversity(2, DiversityKind.RECURSIVE, c=3), False),
        ([2, 2, 1], Diversity(3, DiversityKind.RECURSIVE, c=2), False),
        ([2, 2, 2], Diversity(3, DiversityKind.RECURSIVE, c=2), True),
        ([2, 2, 0], Diversity(3, DiversityKind.RECURSIVE, c=9), False),
    ],
)
def test_diversity(histogram, criterion: Diversity, expected: bool) -> None:
    counts = np.array(histogram)
    assert diverse(counts, criterion) is expected
    with_nobody_else = np.append(counts, 0)
    rules = rules_of(Criteria(k=1, diversity=criterion))
    assert holds(with_nobody_else, np.full(3, 1 / 3), rules) is expected


def test_distance_of_the_paper() -> None:
    # Li et al. 2007, section 5: salaries 3k..11k; {3k,4k,5k} lies .375 and {6k,8k,11k} .167 from the whole
    whole = np.ones(9, dtype=np.int64)
    low, spread = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0]), np.array([0, 0, 0, 1, 0, 1, 0, 0, 1])
    assert distance(low, whole, Closeness(0, Distance.ORDERED)) == pytest.approx(0.375)
    assert distance(spread, whole, Closeness(0, Distance.ORDERED)) == pytest.approx(1 / 6)
    assert distance(low, whole, Closeness(0)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("bins", [1, 2, 3, 7])
def test_with_absence_the_ordered_distance_is_what_the_cheapest_carriage_costs(bins: int) -> None:
    rng = np.random.default_rng(bins)
    ground = np.ones((bins + 1, bins + 1)) - np.eye(bins + 1)
    ground[:bins, :bins] = np.abs(np.subtract.outer(np.arange(bins), np.arange(bins))) / max(bins - 1, 1)
    # what leaves each value, then what comes to each
    rows = [np.kron(np.eye(bins + 1), np.ones(bins + 1)), np.kron(np.ones(bins + 1), np.eye(bins + 1))]
    for _ in range(40):
        here, whole = (rng.integers(0, 5, bins + 1) * rng.integers(0, 2, bins + 1) + [1, *[0] * bins] for _ in range(2))
        shares = here / here.sum(), whole / whole.sum()
        cost = linprog(ground.ravel(), A_eq=np.concatenate(rows), b_eq=np.concatenate(shares)).fun
        near = Closeness(0, Distance.ORDERED, absent=True)
        assert distance(here, whole, near) == pytest.approx(cost, abs=1e-9)
        for t in (cost + 1e-6, cost - 1e-6):
            if 0 <= t <= 1:
                rules = rules_of(Criteria(k=1, closeness=replace(near, t=t)))
                assert holds(np.append(here, 0), shares[1], rules) is (t > cost)


def test_presence_needs_a_population() -> None:
    criteria = Criteria(k=1, presence=Presence(high=0.5))
    assert satisfied(criteria, 5, population=10)
    assert not satisfied(criteria, 6, population=10)
    with pytest.raises(InvalidInput, match="population"):
        satisfied(criteria, 5)


@pytest.mark.parametrize("values", [2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_the_compiled_judge_agrees_with_the_plain_one(values: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.integers(1, 30, values)
    kinds = [None, *(Diversity(2, kind, c=1.5) for kind in DiversityKind)]
    nears = [None, Closeness(0.2), Closeness(0.2, Distance.ORDERED), Closeness(0.3, Distance.ORDERED, absent=True)]
    verdicts = set()
    for _ in range(150):
        histogram, others = rng.integers(0, 6, values), int(rng.integers(0, 9))
        for kind in kinds:
            for near in nears:
                criteria = Criteria(k=4, diversity=kind, closeness=near, presence=Presence(high=0.8, low=0.1))
                size = int(histogram.sum())
                expected = size >= 4 and satisfied(
                    criteria, size, histogram=histogram, whole=whole, population=size + others
                )
                verdicts.add(expected)
                assert holds(np.append(histogram, others), whole / whole.sum(), rules_of(criteria)) == expected
    assert verdicts == {True, False}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Criteria(k=0),
        lambda: Criteria(k=2, max_risk=0),
        lambda: Criteria(k=2, max_risk=math.nan),
        lambda: Diversity(0),
        lambda: Diversity(2.5),
        lambda: Diversity(2, DiversityKind.RECURSIVE, c=0),
        lambda: Closeness(-0.1),
        lambda: Closeness(math.nan),
        lambda: Presence(high=0.2, low=0.3),
    ],
)
def test_numbers_that_make_no_criterion_are_refused(make) -> None:
    with pytest.raises(InvalidInput):
        make()
