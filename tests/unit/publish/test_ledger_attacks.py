"""An attacker who holds two releases, one after the other or of two views: what independent ones give, and what ours.

They know the exact tuples of whom they look for and which class that is in each release: the worst case.
"""

from collections import Counter

import numpy as np
import pytest

from pdms.anonymize import Criteria, anonymize, from_edges, tabulate
from pdms.anonymize.ledger import cells_of, compose
from pdms.anonymize.ledger_rows import Rows, leavers_of, with_release
from pdms.publish.together import drawn

MEMBERS, K = 3000, 5
SPACE = [
    from_edges(name, [2, 4, 6, 8, 12, 16, 24, 32], coarser=[[4, 8, 16], [8]], open_low=True, open_high=True)
    for name in ("orders", "tenure", "returns")
]


def months():
    """Return everybody's tuples, and who is in the first and in the second month: 2 % leave, 3 % join."""
    rng = np.random.default_rng(8)
    everybody = int(MEMBERS * 1.03)
    codes = rng.integers(0, 9, (everybody, 3)).astype(np.int32)
    first, second = np.arange(everybody) < MEMBERS, np.ones(everybody, dtype=bool)
    second[rng.choice(MEMBERS, MEMBERS // 50, replace=False)] = False
    return codes, first, second


def independent(codes, may):
    table, tuple_ = tabulate(codes[may])
    found = anonymize(table, SPACE, Criteria(k=K), suppression_limit=0.01)
    class_of = np.full(len(codes), -1)
    class_of[may] = found.class_of[tuple_]
    return class_of


def beside(codes, may, rows, row_of):
    table, tuple_ = tabulate(codes[may])
    cells, cell_of = cells_of(row_of[may], tuple_)
    leavers = leavers_of(rows, row_of, may)
    made = compose(table, SPACE, Criteria(k=K), cells=cells, leavers=leavers, suppression_limit=0.01)
    class_of = np.full(len(codes), -1)
    class_of[may] = drawn(made.class_of, made.out, cell_of, seed=1)
    return class_of


@pytest.fixture(scope="module")
def pairs():
    """Return who is where, and everybody's pair of classes: on independent releases, and on ours."""
    codes, first, second = months()
    one = independent(codes, first)
    rows, row_of = with_release(Rows.none(), np.full(len(codes), -1), one)
    ours = beside(codes, second, rows, row_of)
    return first, second, (one, independent(codes, second)), (one, ours)


def shared(pair) -> np.ndarray:
    """Return how many share each one's pair."""
    held = list(zip(*(column.tolist() for column in pair), strict=True))
    sizes = Counter(held)
    return np.array([sizes[row] for row in held])


def seen(pair) -> np.ndarray:
    return (pair[0] >= 0) | (pair[1] >= 0)


def test_a_leaver_is_singled_out_by_differencing_independent_releases_and_not_ours(pairs):
    first, second, naive, ours = pairs
    gone = first & ~second & (naive[0] >= 0)
    exposed = shared(naive)[gone] < K
    assert exposed.mean() > 0.9
    assert (shared(naive)[gone] == 1).mean() > 0.3
    assert shared(ours)[gone].min() >= K


def test_a_joiner_is_singled_out_by_differencing_independent_releases_and_not_ours(pairs):
    first, second, naive, ours = pairs
    new = ~first & second
    in_naive, in_ours = new & (naive[1] >= 0), new & (ours[1] >= 0)
    assert (shared(naive)[in_naive] < K).mean() > 0.7
    assert in_ours.sum() > 0.5 * new.sum()
    assert shared(ours)[in_ours].min() >= K


def test_one_who_stayed_is_narrowed_down_by_independent_releases_and_not_by_ours(pairs):
    _, _, naive, ours = pairs
    few = (shared(naive) < K) & seen(naive)
    assert few.sum() > 0.08 * seen(naive).sum()
    assert not ((shared(ours) < K) & seen(ours)).any()


def pair_of_views(*, one_family):
    """Return everybody's classes in a view of orders, tenure and returns and in one of orders, visits and age."""
    codes = np.random.default_rng(9).integers(0, 9, (MEMBERS, 5)).astype(np.int32)
    rows, row_of, pair = Rows.none(), np.full(MEMBERS, -1), []
    for columns in ([0, 1, 2], [0, 3, 4]):
        pair.append(beside(codes[:, columns], np.ones(MEMBERS, dtype=bool), rows, row_of))
        if one_family:
            rows, row_of = with_release(rows, row_of, pair[-1])
    return pair


def test_two_views_of_one_reader_single_out_in_families_of_their_own_and_not_in_one():
    naive, ours = (pair_of_views(one_family=one) for one in (False, True))
    exposed = shared(naive)
    assert (exposed < K).mean() > 0.99
    assert (exposed == 1).mean() > 0.9
    assert shared(ours)[seen(ours)].min() >= K
    assert (ours[1] >= 0).mean() > 0.99, "hardly anybody is held back"
