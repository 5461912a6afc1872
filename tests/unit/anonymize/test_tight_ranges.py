"""Numbers published as tight runs of declared bins: labels, what a class says, and what it says to an attacker."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.anonymize import (
    Closeness,
    Criteria,
    Diversity,
    Method,
    anonymize,
    flat,
    from_edges,
    measure,
    tabulate,
)
from pdms.anonymize.classes import silence, tighten
from pdms.anonymize.hierarchies import ROOT, Hierarchy
from pdms.anonymize.loss import measure_loss
from pdms.errors import InvalidInput
from pdms.segments.classes import classes_of
from pdms.segments.compiled import INSIDE, OUTSIDE, PARTLY, compile_rule
from pdms.segments.rules import parse
from pdms.views import store

EDGES = (1, 2, 3, 5, 8, 13, 21)


def tree_of(*, runs: bool, name: str = "orders", missing: str | None = None) -> Hierarchy:
    return from_edges(name, EDGES, open_low=True, missing=missing, style="integer", runs=runs)


@st.composite
def numbers(draw: st.DrawFn) -> Hierarchy:
    edges = draw(st.lists(st.sampled_from([-7, -2.5, 0, 0.1, 1, 2, 2.5, 30, 1e9, 1e16, 1e-7]), min_size=2, unique=True))
    whole = all(edge == int(edge) for edge in edges)
    return from_edges(
        "n",
        sorted(edges),
        open_low=draw(st.booleans()),
        open_high=draw(st.booleans()),
        missing=draw(st.sampled_from([None, "unknown"])),
        style=draw(st.sampled_from(["interval", "integer"])) if whole else "interval",
        runs=True,
    )


@settings(max_examples=60, deadline=None)
@given(numbers())
def test_every_run_bears_a_label_of_its_own_and_is_read_back(tree: Hierarchy) -> None:
    seen: dict[str, tuple[int, int]] = {}
    for first, last in combinations(range(tree.bins + 1), 2):
        (run,) = tree.run_of(np.array([first], dtype=np.int32), np.array([last - 1], dtype=np.int32)).tolist()
        assert run in ([first, last], [0, len(tree.leaves)])
        label = tree.label_of(*run)
        assert tree.span_of(label) == tuple(run) == seen.setdefault(label, tuple(run))
    assert len(set(seen.values())) == len(seen)


def test_labels_of_runs_and_what_is_none() -> None:
    tree = tree_of(runs=True, missing="none")
    runs = [(0, 3), (3, 5), (3, 8), (5, 6), (0, 9)]
    assert [tree.label_of(*run) for run in runs] == ["<3", "3-7", ">=3", "8-12", ROOT]
    assert (tree.span_of("3-7"), tree.level_of("3-7"), tree.level_of("8-12")) == ((3, 5), 3, 0)
    mixed = tree.run_of(np.array([3, 8, 0], dtype=np.int32), np.array([8, 8, 7], dtype=np.int32))
    assert mixed.tolist() == [[0, 9], [8, 9], [0, 9]]  # numbers with absent ones; absent ones; all numbers
    for label in ("3-6", "4-7", "7-3", "3-7 ", "<22", ">=0", "[3,8)", "", "03-7"):
        assert not tree.bears(label)
    assert not tree_of(runs=False).bears("3-7")
    with pytest.raises(InvalidInput, match="none of its nodes"):
        tree_of(runs=False).label_of(3, 5)
    with pytest.raises(InvalidInput, match="no runs"):
        tree_of(runs=False).run_of(np.array([0]), np.array([1]))


def test_a_label_that_reads_like_another_run_is_refused() -> None:
    with pytest.raises(InvalidInput, match="reads like a run"):
        tree_of(runs=True, missing="3-7")
    with pytest.raises(InvalidInput, match="only numbers"):
        Hierarchy("n", (("a",), (ROOT,)), ((0,),), runs=True)


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(10, 120))
    return np.column_stack([rng.integers(0, 9, rows), rng.geometric(0.4, rows) % 8, rng.integers(0, 3, rows)])


TIER = flat("tier", ["a", "b", "c"])
SPACES = [[tree_of(runs=runs, missing="none"), tree_of(runs=runs, name="months"), TIER] for runs in (False, True)]


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(2, 6))
def test_a_cell_is_the_hull_of_its_class_within_the_node_of_the_tree(codes: np.ndarray, k: int) -> None:
    table, tuple_of_row = tabulate(codes)
    result = anonymize(table, SPACES[True], Criteria(k=k), suppression_limit=1)
    tree = silence(tighten(table, SPACES[False], result.class_of), SPACES[False])
    loss = measure_loss(SPACES[False], table.codes, classes=tree, suppressed=tree.suppressed)
    assert result.loss.ncp <= loss.ncp + 1e-12  # the same groups never say less
    labels, class_of = result.labels(SPACES[True]), result.class_of[tuple_of_row]
    for number in range(len(result.sizes)):
        members = codes[class_of == number]
        assert len(members) == result.sizes[number] >= k
        for column, hierarchy in enumerate(SPACES[True][:2]):
            first, last = hierarchy.span_of(labels[hierarchy.name][number])
            node = hierarchy.leaf_range(int(result.levels[number, column]), int(result.nodes[number, column]))
            assert node[0] <= first < last <= node[1]
            low, high = int(members[:, column].min()), int(members[:, column].max())
            assert (first, last) in ((low, high + 1), (0, len(hierarchy.leaves)))
    assert not len(result.sizes) or measure(result.rows(SPACES[True])).k == result.risk.smallest_class


@settings(max_examples=40, deadline=None)
@given(tables(), st.sampled_from([1, 3, 5, 8, 13]), st.sampled_from(["a", "c"]))
def test_rules_hold_on_tight_classes_as_on_every_member(codes: np.ndarray, edge: int, tier: str) -> None:
    space = {tree.name: tree for tree in SPACES[True]}
    result = anonymize(tabulate(codes)[0], SPACES[True], Criteria(k=3), suppression_limit=1)
    if not len(result.sizes):
        return
    classes = classes_of(store.release_table(result.labels(SPACES[True]), result.sizes), space)
    compiled = compile_rule(
        parse({"any": [{"feature": "orders", "at_least": edge}, {"feature": "tier", "in": [tier]}]}), space
    )
    found = compiled.verdicts(classes.boxes)
    for number, verdict in enumerate(found.tolist()):
        boxes = [range(*classes.boxes[name][number].tolist()) for name in space]
        leaves = np.array(list(product(*boxes)))
        hits = compiled.mask_codes({name: leaves[:, column] for column, name in enumerate(space)})
        assert verdict == (INSIDE if hits.all() else PARTLY if hits.any() else OUTSIDE)


def test_full_domain_publishes_one_level_whatever_the_numbers_may_say() -> None:
    codes = np.column_stack([np.arange(60) % 8, np.arange(60) % 3])
    spaces = [[tree_of(runs=runs), TIER] for runs in (False, True)]
    made = [
        anonymize(tabulate(codes)[0], space, Criteria(k=8), suppression_limit=0, method=Method.FULL_DOMAIN)
        for space in spaces
    ]
    assert made[0].labels(spaces[0]) == made[1].labels(spaces[1])


def test_tight_labels_owe_nothing_to_sensitive_values_where_classes_do_not() -> None:
    """`blind` classes are made of quasi-identifiers alone, and tight labels of those classes alone."""
    rng = np.random.default_rng(3)
    codes = np.column_stack([rng.integers(0, 8, 600), rng.integers(0, 8, 600), rng.integers(0, 3, 600)])
    space = [tree_of(runs=True), tree_of(runs=True, name="months"), TIER]
    plain = anonymize(tabulate(codes)[0], space, Criteria(k=40), suppression_limit=0.05, method=Method.BLIND)
    told = plain.labels(space)
    for criteria in (Criteria(k=40, diversity=Diversity(2)), Criteria(k=40, closeness=Closeness(0.45))):
        for _ in range(3):
            table, _ = tabulate(codes, sensitive=rng.integers(0, 3, 600), sensitive_values=3)
            blind = anonymize(table, space, criteria, suppression_limit=0.05, method=Method.BLIND)
            assert blind.labels(space) == told


def test_whoever_knows_all_quasi_identifiers_learns_no_more_from_tight_labels() -> None:
    """The attacker of k, l and t: a register of everybody's exact tuples. Classes that may hold a target: k members."""
    rng = np.random.default_rng(4)
    codes = np.column_stack(
        [rng.geometric(0.2, 2000).clip(1, 8) - 1, rng.integers(0, 8, 2000), rng.integers(0, 3, 2000)]
    )
    space = [tree_of(runs=True), tree_of(runs=True, name="months"), TIER]
    # naive: each member's own bins, names removed
    _, of_tuple, alone = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    assert np.mean(alone[of_tuple.reshape(-1)] < 10) > 0.2
    table, tuple_of_row = tabulate(codes)
    result = anonymize(table, space, Criteria(k=10), suppression_limit=0.01)
    inside = (result.spans[None, :, :, 0] <= table.codes[:, None]) & (
        table.codes[:, None] < result.spans[None, :, :, 1]
    )
    hidden_among = inside.all(axis=2) @ result.sizes
    class_of = result.class_of[tuple_of_row]
    assert hidden_among[tuple_of_row][class_of >= 0].min() >= 10


def test_the_end_bins_tell_of_one_member_what_a_node_does_not() -> None:
    """The stated limit: who knows that a target is the greatest of their class reads the bin off a tight label."""

    def told(greatest: int, *, runs: bool) -> str:
        space = [tree_of(runs=runs), TIER]
        table, _ = tabulate(np.array([[1, 0]] * 9 + [[greatest, 0]]))
        classes = tighten(table, space, np.zeros(len(table.counts), dtype=np.int64))
        return space[0].label_of(*classes.spans[0, 0].tolist())

    possible = {
        runs: [bin_ for bin_ in range(8) if told(bin_, runs=runs) == told(6, runs=runs)] for runs in (False, True)
    }
    assert possible == {False: [4, 5, 6, 7], True: [6]}
