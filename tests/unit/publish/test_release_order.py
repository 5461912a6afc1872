"""The order of rows: what it betrays in a naive release, and that in ours the same members give the same bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.anonymize import flat, from_edges, tabulate
from pdms.policy.definitions import Feature, View
from pdms.publish import release
from pdms.views import store

SPACE = {
    "days": from_edges("days", [7, 30, 90], open_low=True, coarser=[[30]], style="integer"),
    "spend": from_edges("spend", [100, 500], open_low=True),
    "tier": flat("tier", ["1", "2", "3"]),
}
VIEW = View(
    name="value", label={}, purpose="segment", window_days=365, k=5, risk_threshold=0.2, min_cell=10,
    suppression_limit=0.2, consumers=(), expiry_days=30,
    features=tuple(Feature(n, n, None, (), None, "", 1.0) for n in SPACE),
)  # fmt: skip
WIDTHS = [len(tree.leaves) for tree in SPACE.values()]


def members(count: int, seed: int) -> np.ndarray:
    """Leaf codes of members as they joined: early ones come often and spend much."""
    rng = np.random.default_rng(seed)
    joined = np.arange(count) / count
    codes = [np.clip((joined + rng.normal(0, 0.2, count)) * width, 0, width - 1) for width in WIDTHS]
    return np.stack(codes, axis=1).astype(np.int32)


def made(codes: np.ndarray) -> bytes:
    return release.make(VIEW, tabulate(codes)[0], SPACE).data


def naive(codes: np.ndarray) -> list[tuple[str, ...]]:
    """A release that keeps the rows where they were: each value one level up, in the order of the input."""
    trees = list(SPACE.values())
    return [
        tuple(tree.labels[1][tree.ancestors[1, code]] for tree, code in zip(trees, row, strict=True)) for row in codes
    ]


def test_a_naive_release_betrays_who_joined_first_and_ours_does_not():
    codes = members(600, 1)
    turned = codes[::-1]
    assert naive(codes) == naive(turned)[::-1] != naive(turned)
    assert made(codes) == made(turned)
    # whoever knows the order of joining reads the first half of a naive release as the early members
    early = {row[0] for row in naive(codes)[:20]}
    late = {row[0] for row in naive(codes)[-20:]}
    assert early != late
    rows = list(zip(*store_rows(made(codes)), strict=True))
    assert rows == sorted(rows), "nothing but the labels orders the rows"


def store_rows(data: bytes) -> list[list[str]]:
    import io

    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data))
    return [table[name].to_pylist() for name in table.column_names]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 2**16), st.permutations(range(4)))
def test_members_in_any_order_and_grouped_in_any_way_give_the_same_bytes(seed, order):
    codes = members(120, seed)
    rng = np.random.default_rng(seed)
    shuffled = codes[rng.permutation(len(codes))]
    parts = np.concatenate([shuffled[place::4] for place in order])
    # an engine may hand over groups with counts, in any order and split
    groups, counts = np.unique(parts, axis=0, return_counts=True)
    turned = rng.permutation(len(groups))
    grouped = release.make(VIEW, tabulate(groups[turned], counts=counts[turned])[0], SPACE).data
    assert made(codes) == made(shuffled) == made(parts) == grouped


@pytest.mark.parametrize("turn", [1, 2])
def test_classes_in_any_order_give_the_same_table(turn):
    labels = {"a": ["x", "y", "z"], "b": ["1", "2", "1"]}
    sizes = np.array([5, 6, 7])
    turned = {name: [*column[turn:], *column[:turn]] for name, column in labels.items()}
    other = store.encode(store.release_table(turned, np.roll(sizes, -turn)))
    assert store.encode(store.release_table(labels, sizes)) == other
