"""The frequency table: distinct tuples, their counts, and nothing of the order of the input."""

import numpy as np
import pytest

from pdms.anonymize import FrequencyTable, flat, tabulate
from pdms.errors import InvalidInput


def test_rows_are_grouped_and_found_again() -> None:
    table, tuple_of_row = tabulate([[1, 0], [0, 2], [1, 0]], sensitive=[0, 1, 1])
    assert table.codes.tolist() == [[0, 2], [1, 0]]
    assert table.counts.tolist() == [1, 2]
    assert table.sensitive is not None
    assert table.sensitive.tolist() == [[0, 1], [1, 1]]
    assert tuple_of_row.tolist() == [1, 0, 1]


def test_the_order_of_rows_leaves_no_trace() -> None:
    rows = np.random.default_rng(1).integers(0, 9, (500, 3))
    one, _ = tabulate(rows)
    other, _ = tabulate(rows[::-1])
    assert np.array_equal(one.codes, other.codes)
    assert np.array_equal(one.counts, other.counts)


def test_groups_made_by_an_engine_pass_with_their_counts() -> None:
    table, _ = tabulate([[0], [1], [0]], counts=[5, 7, 2], population=[10, 7, 2])
    assert table.counts.tolist() == [7, 7]
    assert table.population is not None
    assert table.population.tolist() == [12, 7]
    assert table.rows == 14


def test_tuples_too_wide_for_one_integer_are_ordered_all_the_same() -> None:
    rows = np.random.default_rng(2).integers(0, 2**31 - 1, (200, 5))
    table, tuple_of_row = tabulate(np.concatenate([rows, rows]))
    assert len(table.codes) == 200
    assert np.array_equal(table.codes[tuple_of_row[:200]], rows)


@pytest.mark.parametrize(
    ("codes", "options", "rule"),
    [
        ([[0.5]], {}, "whole numbers"),
        ([[-1]], {}, "whole numbers"),
        ([[2**31]], {}, "whole numbers"),
        ([1, 2], {}, "one column"),
        ([[0]], {"counts": [0]}, "positive"),
        ([[0]], {"counts": [1, 1]}, "positive"),
        ([[0]], {"sensitive": [3], "sensitive_values": 2}, "out of range"),
        ([[0]], {"counts": [2], "population": [1]}, "population"),
    ],
)
def test_what_is_no_frequency_table_is_refused(codes, options, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule):
        tabulate(np.asarray(codes), **options)


def test_a_table_made_by_hand_is_checked() -> None:
    codes, counts = np.array([[0], [0]], dtype=np.int32), np.array([1, 1])
    with pytest.raises(InvalidInput, match="distinct"):
        FrequencyTable(codes, counts)
    with pytest.raises(InvalidInput, match="sum to the counts"):
        FrequencyTable(codes[:1], counts[:1], sensitive=np.array([[2, 0]]))


def test_codes_beyond_the_hierarchy_are_refused() -> None:
    table, _ = tabulate([[0, 2]])
    gender, tier = flat("gender", ["f", "m"]), flat("tier", ["1", "2"])
    with pytest.raises(InvalidInput, match="tier"):
        table.check_against([gender, tier])
    with pytest.raises(InvalidInput, match="one hierarchy"):
        table.check_against([gender])
