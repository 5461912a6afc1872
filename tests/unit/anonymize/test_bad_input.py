"""What is no sound input gives a clear error or a documented result, and never a value in a message."""

import numpy as np
import pytest

from pdms.anonymize import (
    Criteria,
    Diversity,
    FrequencyTable,
    Method,
    anonymize,
    flat,
    from_arx,
    from_edges,
    measure,
    tabulate,
)
from pdms.errors import Conflict, InvalidInput

TIER = flat("tier", ["1", "2", "3"])
ALL = list(Method)


def released(rows: int, *, k: int, limit: float, method: Method, values: int = 1):
    codes = (np.arange(rows) % values)[:, None]
    return anonymize(tabulate(codes)[0], [TIER], Criteria(k=k), suppression_limit=limit, method=method)


@pytest.mark.parametrize("method", ALL)
def test_an_empty_table_gives_an_empty_release(method: Method) -> None:
    result = anonymize(
        tabulate(np.zeros((0, 1), dtype=int))[0], [TIER], Criteria(k=5), suppression_limit=0, method=method
    )
    assert (len(result.sizes), result.suppressed, result.loss.ncp) == (0, 0, 0)
    assert measure(result.rows([TIER])).k == 0


@pytest.mark.parametrize("method", ALL)
def test_one_row_is_left_out_whole_or_refused(method: Method) -> None:
    with pytest.raises(Conflict, match="criteria cannot be met") as refused:
        released(1, k=2, limit=0.99, method=method)
    assert refused.value.code == "SUPPRESSION_LIMIT"
    assert released(1, k=2, limit=1, method=method).suppressed == 1
    assert released(1, k=1, limit=0, method=method).sizes.tolist() == [1]


@pytest.mark.parametrize("method", ALL)
def test_k_above_the_table_is_refused_unless_everybody_may_be_left_out(method: Method) -> None:
    with pytest.raises(Conflict):
        released(9, k=10, limit=0.5, method=method, values=3)
    assert released(9, k=10, limit=1, method=method, values=3).suppressed == 9


@pytest.mark.parametrize("method", ALL)
def test_equal_rows_are_published_as_they_are(method: Method) -> None:
    result = released(20, k=20, limit=0, method=method)
    assert result.labels([TIER]) == {"tier": ["1"]}
    assert result.loss.ncp == 0


def test_equal_sensitive_values_can_never_be_diverse() -> None:
    table, _ = tabulate([[0]] * 9 + [[1]] * 9, sensitive=[0] * 18, sensitive_values=2)
    with pytest.raises(Conflict):
        anonymize(table, [TIER], Criteria(k=2, diversity=Diversity(2)), suppression_limit=0.5)


@pytest.mark.parametrize("code", [2**31, 2**40, -1])
def test_a_code_that_no_hierarchy_can_have_is_refused(code: int) -> None:
    with pytest.raises(InvalidInput, match="whole numbers below 2\\^31"):
        tabulate([[code], [0]])


def test_a_code_beyond_the_hierarchy_is_refused_and_not_named() -> None:
    table, _ = tabulate([[2**31 - 1], [0]])
    with pytest.raises(InvalidInput, match="tier: the hierarchy does not cover every code") as refused:
        anonymize(table, [TIER], Criteria(k=1), suppression_limit=0)
    assert "2147483647" not in str(refused.value)


def test_a_hierarchy_of_too_many_leaves_is_refused_before_anything_is_built_on_it() -> None:
    with pytest.raises(InvalidInput, match="bin the values first"):
        flat("member", [str(n) for n in range((1 << 20) + 1)])


@pytest.mark.parametrize("codes", [np.array([[np.nan], [0.0]]), np.array([["a"], ["b"]]), np.array([[None], [1]])])
def test_values_that_were_not_encoded_are_refused(codes: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="whole numbers"):
        tabulate(codes)


@pytest.mark.parametrize("bad", [float("nan"), None, float("inf")])
def test_absent_and_infinite_numbers_need_a_place_of_their_own(bad: object) -> None:
    closed = from_edges("spend", [0, 10], open_high=False)
    with pytest.raises(InvalidInput):
        closed.encode_numbers([5, bad])
    assert from_edges("spend", [0, 10], missing="none").encode_numbers([5, np.nan]).tolist() == [0, 2]


def test_categories_that_are_not_text_are_read_by_their_text_and_absent_ones_refused() -> None:
    assert TIER.encode([1, np.int64(2), "3"]).tolist() == [0, 1, 2]
    for absent in (None, float("nan")):
        with pytest.raises(InvalidInput, match="1 values are missing"):
            TIER.encode(["1", absent])
    with pytest.raises(InvalidInput, match="does not cover 1 values"):
        TIER.encode([1.0])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a;b;c;*\nb;c;a;*\nc;a;b;*\n", "stands for two nodes"),  # a is above c, c above b, b above a
        ("a;a;*\nb;a;*\n", "stands for two nodes"),
        ("a;x;*\nb;x;y\n", "two parents"),
    ],
)
def test_a_cycle_is_no_hierarchy(text: str, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule):
        from_arx("loop", text)


def test_a_frequency_table_of_other_length_is_refused() -> None:
    with pytest.raises(InvalidInput):
        FrequencyTable(np.zeros((2, 1), dtype=np.int32), np.array([1]))
