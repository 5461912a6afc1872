"""The facade: criteria met, suppression within its limit or an error, edge cases with a documented result."""

import numpy as np
import pytest

from pdms.anonymize import (
    Closeness,
    Criteria,
    Diversity,
    FrequencyTable,
    Hierarchy,
    Presence,
    anonymize,
    flat,
    from_edges,
    from_rows,
    measure,
    tabulate,
)
from pdms.errors import Conflict, InvalidInput

TREE = from_rows("city", [(f"c{i}", f"p{i // 3}", f"r{i // 9}", "*") for i in range(27)])
BAND = from_edges("spend", [0, 10, 20, 50, 100, 200, 500])


def table_of(rows: int, *, seed: int = 0, values: int | None = None) -> FrequencyTable:
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, 27, rows), rng.integers(0, 7, rows)], axis=1)
    sensitive = None if values is None else rng.integers(0, values, rows)
    return tabulate(codes, sensitive=sensitive, sensitive_values=values)[0]


def test_every_row_of_the_output_is_shared_by_k() -> None:
    table = table_of(400)
    result = anonymize(table, [TREE, BAND], Criteria(k=7), suppression_limit=0.05)
    published = result.rows([TREE, BAND])
    reached = measure(published)
    assert reached.k >= 7
    assert reached.rows + result.suppressed == 400
    assert reached.classes == len(result.sizes)
    assert result.risk.prosecutor_max == pytest.approx(1 / reached.k)
    assert 0 < result.loss.ncp < 1


def test_labels_cover_the_tuples_and_no_lower_node_does() -> None:
    table = table_of(300)
    result = anonymize(table, [TREE, BAND], Criteria(k=5), suppression_limit=0.05)
    for column, hierarchy in enumerate((TREE, BAND)):
        for number in range(len(result.sizes)):
            inside = table.codes[result.class_of == number, column]
            level, node = int(result.levels[number, column]), int(result.nodes[number, column])
            first, last = hierarchy.leaf_range(level, node)
            assert first <= inside.min()
            assert inside.max() < last
            if level:
                assert len(set(hierarchy.ancestors[level - 1][inside].tolist())) > 1


def test_the_same_input_gives_the_same_output() -> None:
    one, other = (anonymize(table_of(500), [TREE, BAND], Criteria(k=5), suppression_limit=0.05) for _ in range(2))
    assert np.array_equal(one.class_of, other.class_of)
    assert one.rows([TREE, BAND]) == other.rows([TREE, BAND])


def test_the_order_of_the_output_owes_nothing_to_the_input() -> None:
    rng = np.random.default_rng(3)
    codes = np.stack([rng.integers(0, 27, 300), rng.integers(0, 7, 300)], axis=1)
    results = [
        anonymize(tabulate(rows)[0], [TREE, BAND], Criteria(k=5), suppression_limit=0.1).rows([TREE, BAND])
        for rows in (codes, rng.permutation(codes))
    ]
    assert results[0] == results[1]


def test_nobody_is_left_out_when_nobody_may_be() -> None:
    table = table_of(203, seed=5)
    assert anonymize(table, [TREE, BAND], Criteria(k=20), suppression_limit=0).suppressed == 0


def test_an_empty_table_gives_no_classes() -> None:
    empty, _ = tabulate(np.zeros((0, 2), dtype=np.int32))
    result = anonymize(empty, [TREE, BAND], Criteria(k=5), suppression_limit=0)
    assert (len(result.sizes), result.suppressed, result.loss.ncp) == (0, 0, 0.0)
    assert result.rows([TREE, BAND]) == {"city": [], "spend": []}
    assert measure(result.rows([TREE, BAND])).k == 0


@pytest.mark.parametrize("rows", [1, 9])
def test_fewer_members_than_k_are_all_left_out_or_refused(rows: int) -> None:
    table = table_of(rows)
    with pytest.raises(Conflict) as caught:
        anonymize(table, [TREE, BAND], Criteria(k=10), suppression_limit=0.99)
    assert caught.value.code == "SUPPRESSION_LIMIT"
    result = anonymize(table, [TREE, BAND], Criteria(k=10), suppression_limit=1)
    assert (len(result.sizes), result.suppressed, result.loss.ncp) == (0, rows, 1.0)


def test_equal_rows_are_published_as_they_are() -> None:
    table, _ = tabulate(np.full((12, 2), 3))
    result = anonymize(table, [TREE, BAND], Criteria(k=12), suppression_limit=0)
    assert result.rows([TREE, BAND]) == {"city": ["c3"] * 12, "spend": ["[50,100)"] * 12}
    assert result.loss.ncp == 0


def test_members_of_whom_nothing_is_said_count_as_left_out() -> None:
    gender = flat("gender", ["f", "m"])
    table, _ = tabulate([[0], [1]])
    with pytest.raises(Conflict):
        anonymize(table, [gender], Criteria(k=2), suppression_limit=0.5)


def test_a_heavier_attribute_is_kept_more_exact() -> None:
    table = table_of(600)
    losses = [
        anonymize(table, [TREE, BAND], Criteria(k=20), suppression_limit=0.05, weights=weights).loss.ncp_by_attribute
        for weights in ([20, 1], [1, 20])
    ]
    assert losses[0][0] < losses[1][0]
    assert losses[0][1] > losses[1][1]


def test_paths_beyond_one_machine_word_are_packed_in_several() -> None:
    rng = np.random.default_rng(4)
    deep = [
        from_rows(f"d{column}", [(f"{leaf}", f"x{leaf // 8}", f"y{leaf // 64}", "*") for leaf in range(512)])
        for column in range(10)
    ]
    codes = np.minimum(rng.exponential(20, (300, 10)).astype(int), 511)
    result = anonymize(tabulate(codes)[0], deep, Criteria(k=6), suppression_limit=0.1)
    assert measure(result.rows(deep)).k >= 6


def test_many_attributes_stay_within_the_lattice_limit() -> None:
    rng = np.random.default_rng(6)
    hierarchies = [from_edges(f"e{column}", list(range(32))) for column in range(8)]
    codes = np.minimum(rng.geometric(0.3, (400, 8)), 31)
    result = anonymize(tabulate(codes)[0], hierarchies, Criteria(k=5), suppression_limit=0.1)
    assert measure(result.rows(hierarchies)).k >= 5


@pytest.mark.parametrize("criteria", [Criteria(k=4, diversity=Diversity(3)), Criteria(k=4, closeness=Closeness(0.3))])
def test_sensitive_criteria_hold_on_the_output(criteria: Criteria) -> None:
    rng = np.random.default_rng(7)
    codes = np.stack([rng.integers(0, 27, 500), rng.integers(0, 7, 500)], axis=1)
    sensitive = rng.integers(0, 5, 500)
    table, tuple_of_row = tabulate(codes, sensitive=sensitive)
    result = anonymize(table, [TREE, BAND], criteria, suppression_limit=0.05)
    labels = result.labels([TREE, BAND])
    class_of_row = result.class_of[tuple_of_row]
    kept = np.flatnonzero(class_of_row >= 0)
    published = {name: [column[c] for c in class_of_row[kept]] for name, column in labels.items()}
    reached = measure({**published, "topic": sensitive[kept]}, sensitive="topic")
    assert reached.k >= 4
    if criteria.diversity is not None:
        assert reached.distinct_l is not None
        assert reached.distinct_l >= 3
    else:
        assert result.suppressed == 0
        assert reached.t_equal is not None
        assert reached.t_equal <= 0.3 + 1e-9


def test_presence_holds_class_by_class() -> None:
    rng = np.random.default_rng(8)
    codes = np.stack([rng.integers(0, 27, 400), rng.integers(0, 7, 400)], axis=1)
    people = rng.integers(1, 5, 400)
    table, _ = tabulate(codes, population=people)
    result = anonymize(table, [TREE, BAND], Criteria(k=3, presence=Presence(high=0.45)), suppression_limit=0.2)
    assert table.population is not None
    for number, size in enumerate(result.sizes):
        assert size / table.population[result.class_of == number].sum() <= 0.45
    assert result.risk.journalist_max <= result.risk.prosecutor_max


def test_what_does_not_fit_together_is_refused() -> None:
    table = table_of(50)
    for criteria, limit, hierarchies in [
        (Criteria(k=2), 1.5, [TREE, BAND]),
        (Criteria(k=2), float("nan"), [TREE, BAND]),
        (Criteria(k=2), 0.1, [TREE]),
        (Criteria(k=2), 0.1, [TREE, TREE]),
        (Criteria(k=2), 0.1, [BAND, TREE]),
        (Criteria(k=2, diversity=Diversity(2)), 0.1, [TREE, BAND]),
        (Criteria(k=2, presence=Presence(high=0.5)), 0.1, [TREE, BAND]),
    ]:
        with pytest.raises(InvalidInput):
            anonymize(table, hierarchies, criteria, suppression_limit=limit)
    for weights in ([1], [1, -1], [1, float("nan")]):
        with pytest.raises(InvalidInput, match="weights"):
            anonymize(table, [TREE, BAND], Criteria(k=2), suppression_limit=0.1, weights=weights)


def test_numeric_leaves_must_be_numbers() -> None:
    wrong = Hierarchy("city", TREE.labels, TREE.parents, numeric=True)
    with pytest.raises(InvalidInput, match="numeric leaves"):
        anonymize(table_of(50), [wrong, BAND], Criteria(k=2), suppression_limit=0.1)
