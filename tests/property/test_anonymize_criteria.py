"""Random tables, hierarchies and criteria: every release satisfies them, by brute force and by the public re-check."""

import math
from collections import Counter, defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.anonymize import (
    Closeness,
    Criteria,
    Distance,
    Diversity,
    DiversityKind,
    Hierarchy,
    Method,
    anonymize,
    from_edges,
    from_rows,
    measure,
    tabulate,
)
from pdms.errors import Conflict


@st.composite
def trees(draw: st.DrawFn, *, name: str) -> Hierarchy:
    leaves = draw(st.integers(1, 12))
    if draw(st.booleans()):
        return from_edges(name, list(range(leaves)), missing=draw(st.sampled_from([None, "unknown"])))
    depth = draw(st.integers(0, 2))
    paths = [[f"{name}{leaf}"] for leaf in range(leaves)]
    for level in range(depth):
        above: dict[str, str] = {}
        for path in paths:
            group = above.setdefault(path[-1], f"{name}-{level}-{draw(st.integers(0, 3))}")
            path.append(group)
    return from_rows(name, [(*path, "*") for path in paths])


@st.composite
def cases(draw: st.DrawFn):
    hierarchies = [draw(trees(name=f"a{column}")) for column in range(draw(st.integers(1, 4)))]
    rows = draw(st.integers(1, 60))
    codes = np.array(
        [[draw(st.integers(0, len(h.leaves) - 1)) for h in hierarchies] for _ in range(rows)], dtype=np.int32
    )
    sensitive = np.array([draw(st.integers(0, 3)) for _ in range(rows)])
    kind = draw(st.sampled_from(["none", "l", "t"]))
    diversity = closeness = None
    if kind == "l":
        diversity = Diversity(draw(st.integers(1, 3)), draw(st.sampled_from(list(DiversityKind))), c=2.0)
    if kind == "t":
        closeness = Closeness(draw(st.sampled_from([0.1, 0.3, 0.6])), draw(st.sampled_from(list(Distance))))
    criteria = Criteria(k=draw(st.integers(1, 8)), diversity=diversity, closeness=closeness)
    limit, method = draw(st.sampled_from([0.0, 0.1, 1.0])), draw(st.sampled_from(list(Method)))
    return hierarchies, codes, sensitive, criteria, limit, method


def brute_force_holds(group: list[int], everyone: list[int], criteria: Criteria) -> bool:
    """Judge one class from the definitions, value by value."""
    counts, size = Counter(group), len(group)
    if size < criteria.k:
        return False
    if criteria.diversity is not None:
        kind, l_ = criteria.diversity.kind, criteria.diversity.l
        ranked = sorted(counts.values(), reverse=True)
        if kind == DiversityKind.DISTINCT and len(counts) < l_:
            return False
        if kind == DiversityKind.ENTROPY:
            entropy = -math.fsum(n / size * math.log(n / size) for n in counts.values())
            if entropy < math.log(l_) - 1e-9:
                return False
        if kind == DiversityKind.RECURSIVE:
            tail = sum(ranked[int(l_) - 1 :])
            if not ranked[0] < criteria.diversity.c * tail:
                return False
    if criteria.closeness is not None:
        whole = Counter(everyone)
        gaps = [counts[v] / size - whole[v] / len(everyone) for v in range(4)]
        if criteria.closeness.distance == Distance.EQUAL:
            moved = sum(abs(gap) for gap in gaps) / 2
        else:
            moved = sum(abs(sum(gaps[: i + 1])) for i in range(3)) / 3
        if moved > criteria.closeness.t + 1e-9:
            return False
    return True


@settings(max_examples=150, deadline=None)
@given(cases())
def test_every_class_satisfies_every_criterion(case) -> None:
    hierarchies, codes, sensitive, criteria, limit, method = case
    table, tuple_of_row = tabulate(codes, sensitive=sensitive, sensitive_values=4)
    try:
        result = anonymize(table, hierarchies, criteria, suppression_limit=limit, method=method)
    except Conflict:
        assert limit < 1  # whatever the criteria, leaving everybody out satisfies them
        return
    assert result.suppressed <= limit * len(codes) + 1e-9
    labels = result.labels(hierarchies)
    classes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    published: dict[str, list[str]] = {name: [] for name in labels}
    for row, number in enumerate(result.class_of[tuple_of_row].tolist()):
        if number < 0:
            continue
        seen = tuple(column[number] for column in labels.values())
        classes[seen].append(int(sensitive[row]))
        for name, label in zip(labels, seen, strict=True):
            published[name].append(label)
        for hierarchy, label, code in zip(hierarchies, seen, codes[row].tolist(), strict=True):
            first, last = hierarchy.leaf_range(*hierarchy.node_of(label))
            assert first <= code < last
    assert len(classes) == len(result.sizes)
    assert sum(map(len, classes.values())) + result.suppressed == len(codes)
    for group in classes.values():
        assert brute_force_holds(group, sensitive.tolist(), criteria)
    if classes:
        assert measure(published).k == min(map(len, classes.values())) == result.risk.smallest_class
    again = anonymize(table, hierarchies, criteria, suppression_limit=limit, method=method)
    assert np.array_equal(result.class_of, again.class_of)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_identical_tuples_are_treated_alike_and_loss_is_what_the_labels_say(case) -> None:
    hierarchies, codes, _, criteria, _, method = case
    table, tuple_of_row = tabulate(codes)
    result = anonymize(table, hierarchies, Criteria(k=criteria.k), suppression_limit=1.0, method=method)
    class_of_row = result.class_of[tuple_of_row]
    by_tuple: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for code, number in zip(map(tuple, codes.tolist()), class_of_row.tolist(), strict=True):
        by_tuple[code].add(number)
    assert all(len(numbers) == 1 for numbers in by_tuple.values())
    lost = 0.0
    for number in class_of_row.tolist():
        for column, hierarchy in enumerate(hierarchies):
            if number < 0:
                lost += 1
                continue
            first, last = hierarchy.leaf_range(int(result.levels[number, column]), int(result.nodes[number, column]))
            lost += (last - first - 1) / max(len(hierarchy.leaves) - 1, 1)
    assert math.isclose(result.loss.ncp, lost / (len(codes) * len(hierarchies)), abs_tol=1e-9)
