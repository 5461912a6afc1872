"""Random tables, hierarchies and criteria: every release satisfies them, by brute force over its rows, by the
independent checker and by pyCANON; no cell says more than its class; order of rows and repetition change no byte.

pyCANON's recursive (c, l) ranks values from the rarest and is no oracle for the definition; brute force is.
"""

import math
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from pycanon import anonymity

from pdms.anonymize import (
    Closeness,
    Criteria,
    Distance,
    Diversity,
    DiversityKind,
    Hierarchy,
    Method,
    Presence,
    anonymize,
    from_edges,
    from_rows,
    measure,
    tabulate,
)
from pdms.errors import Conflict
from pdms.views import store


@st.composite
def trees(draw: st.DrawFn, *, name: str) -> Hierarchy:
    leaves = draw(st.integers(1, 12))
    if draw(st.booleans()):
        missing = draw(st.sampled_from([None, "unknown"]))
        return from_edges(name, list(range(leaves)), missing=missing, runs=draw(st.booleans()))
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
    common = draw(st.integers(0, 8))  # skewed more often than not, or classes would hold by chance
    sensitive = np.array([max(draw(st.integers(-common, 3)), 0) for _ in range(rows)])
    others = np.array([draw(st.sampled_from([0, 1, 4])) for _ in range(rows)])
    kinds = draw(st.sets(st.sampled_from(["l", "t", "presence", "journalist", "average"]), max_size=3))
    diversity = closeness = presence = None
    if "l" in kinds:
        diversity = Diversity(draw(st.integers(1, 3)), draw(st.sampled_from(list(DiversityKind))), c=2.0)
    if "t" in kinds:
        closeness = Closeness(draw(st.sampled_from([0.1, 0.3, 0.6])), draw(st.sampled_from(list(Distance))))
    if "presence" in kinds:
        presence = Presence(high=draw(st.sampled_from([0.6, 0.9, 1.0])), low=draw(st.sampled_from([0.0, 0.2])))
    criteria = Criteria(
        k=draw(st.integers(1, 8)),
        max_journalist_risk=0.1 if "journalist" in kinds else 1.0,
        max_average_risk=0.15 if "average" in kinds else 1.0,
        diversity=diversity,
        closeness=closeness,
        presence=presence,
    )
    limit, method = draw(st.sampled_from([0.0, 0.1, 0.4, 1.0])), draw(st.sampled_from(list(Method)))
    return hierarchies, codes, sensitive, others, criteria, limit, method


def brute_force_holds(group: list[int], everyone: list[int], people: int, criteria: Criteria) -> bool:
    """Judge one class from the definitions, value by value; `people` of the wider population share its tuples."""
    counts, size = Counter(group), len(group)
    if size < criteria.k or 1 / people > criteria.max_journalist_risk + 1e-12:
        return False
    if criteria.presence is not None and not criteria.presence.low <= size / people <= criteria.presence.high:
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
    hierarchies, codes, sensitive, others, criteria, limit, method = case
    table, tuple_of_row = tabulate(codes, sensitive=sensitive, sensitive_values=4, population=others + 1)
    try:
        result = anonymize(table, hierarchies, criteria, suppression_limit=limit, method=method)
    except Conflict:
        assert limit < 1 or method == Method.BLIND  # whatever the criteria, leaving everybody out satisfies them
        return
    assert result.suppressed <= limit * len(codes) + 1e-9
    labels = result.labels(hierarchies)
    classes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    people: Counter[tuple[str, ...]] = Counter()
    published: dict[str, list[str]] = {name: [] for name in labels}
    for row, number in enumerate(result.class_of[tuple_of_row].tolist()):
        if number < 0:
            continue
        seen = tuple(column[number] for column in labels.values())
        classes[seen].append(int(sensitive[row]))
        people[seen] += int(others[row]) + 1
        for name, label in zip(labels, seen, strict=True):
            published[name].append(label)
        for hierarchy, label, code in zip(hierarchies, seen, codes[row].tolist(), strict=True):
            first, last = hierarchy.span_of(label)
            assert first <= code < last
    assert len(classes) == len(result.sizes)
    assert sum(map(len, classes.values())) + result.suppressed == len(codes)
    everyone = [value for group in classes.values() for value in group]
    for seen, group in classes.items():
        assert brute_force_holds(group, everyone, people[seen], criteria)
    if not classes:
        return
    risk = result.risk
    assert measure(published).k == min(map(len, classes.values())) == risk.smallest_class
    assert math.isclose(risk.prosecutor_average, len(classes) / len(everyone))
    assert len(classes) / len(everyone) <= criteria.max_average_risk + 1e-9
    assert math.isclose(risk.journalist_max, max(1 / people[seen] for seen in classes))
    assert math.isclose(risk.marketer, sum(len(classes[s]) / people[s] for s in classes) / len(everyone))
    _measured_alike(published, everyone, [seen for seen, group in classes.items() for _ in group], criteria)


def _measured_alike(published, values: list[int], rows: list[tuple[str, ...]], criteria: Criteria) -> None:
    """The release as a reader has it reaches its criteria, measured by the checker and by pyCANON."""
    # pyCANON wants two columns at least
    names = [*published, "alike"]
    frame = pd.DataFrame(rows, columns=names[:-1]).assign(alike="x", secret=values)
    wide = measure(frame, sensitive="secret", order=range(4), l=int(criteria.diversity.l) if criteria.diversity else 2)
    assert wide.k == anonymity.k_anonymity(frame, names) >= criteria.k
    assert wide.distinct_l == anonymity.l_diversity(frame, names, ["secret"])
    if criteria.diversity is not None:
        reached = {
            DiversityKind.DISTINCT: wide.distinct_l >= criteria.diversity.l,
            DiversityKind.ENTROPY: wide.entropy_l >= criteria.diversity.l - 1e-9,
            DiversityKind.RECURSIVE: wide.recursive_c < criteria.diversity.c,
        }
        assert reached[criteria.diversity.kind]
    equal = anonymity.t_closeness(frame.astype({"secret": str}), names, ["secret"])
    assert math.isclose(wide.t_equal, equal, abs_tol=1e-9)
    if len(set(values)) > 1:
        present = measure(frame, sensitive="secret", order=sorted(set(values)))
        assert math.isclose(present.t_ordered, anonymity.t_closeness(frame, names, ["secret"]), abs_tol=1e-9)
    if criteria.closeness is not None:
        found = equal if criteria.closeness.distance == Distance.EQUAL else wide.t_ordered
        assert found <= criteria.closeness.t + 1e-9


@settings(max_examples=60, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_and_a_second_run_change_no_byte(case, random) -> None:
    hierarchies, codes, sensitive, others, criteria, limit, method = case
    shuffled = list(range(len(codes)))
    random.shuffle(shuffled)
    made = []
    for order in (slice(None), shuffled):
        table, _ = tabulate(codes[order], sensitive=sensitive[order], sensitive_values=4, population=others[order] + 1)
        try:
            result = anonymize(table, hierarchies, criteria, suppression_limit=limit, method=method)
        except Conflict:
            made.append(b"")
            continue
        made.append(store.encode(store.release_table(result.labels(hierarchies), result.sizes)))
    assert made[0] == made[1]


@settings(max_examples=60, deadline=None)
@given(cases())
def test_identical_tuples_are_treated_alike_and_loss_is_what_the_labels_say(case) -> None:
    hierarchies, codes, _, _, criteria, _, method = case
    table, tuple_of_row = tabulate(codes)
    result = anonymize(table, hierarchies, Criteria(k=criteria.k), suppression_limit=1.0, method=method)
    class_of_row = result.class_of[tuple_of_row]
    by_tuple: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for code, number in zip(map(tuple, codes.tolist()), class_of_row.tolist(), strict=True):
        by_tuple[code].add(number)
    assert all(len(numbers) == 1 for numbers in by_tuple.values())
    lost, labels = 0.0, result.labels(hierarchies)
    for number in class_of_row.tolist():
        for hierarchy in hierarchies:
            if number < 0:
                lost += 1
                continue
            first, last = hierarchy.span_of(labels[hierarchy.name][number])
            lost += (last - first - 1) / max(len(hierarchy.leaves) - 1, 1)
    assert math.isclose(result.loss.ncp, lost / (len(codes) * len(hierarchies)), abs_tol=1e-9)
