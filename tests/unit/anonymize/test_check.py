"""The independent re-check: agrees with pyCANON, and finds what is wrong in releases that are."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pycanon import anonymity

from pdms.anonymize import Closeness, Distance, measure
from pdms.anonymize.criteria import distance


@pytest.mark.parametrize("seed", range(4))
def test_figures_agree_with_pycanon(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.choice(list("abc"), 400) for name in ("city", "age")})
    frame["topic"] = rng.choice(["news", "sport", "food", "travel"], 400, p=[0.5, 0.3, 0.15, 0.05])
    reached = measure(frame, sensitive="topic")
    keys = ["city", "age"]
    assert reached.k == anonymity.k_anonymity(frame, keys)
    assert reached.distinct_l == anonymity.l_diversity(frame, keys, ["topic"])
    assert reached.entropy_l is not None
    assert math.floor(reached.entropy_l + 1e-9) == anonymity.entropy_l_diversity(frame, keys, ["topic"])
    assert reached.t_equal == pytest.approx(anonymity.t_closeness(frame, keys, ["topic"]))


@pytest.mark.parametrize("seed", range(3))
def test_ordered_distance_agrees_with_pycanon(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"city": rng.choice(list("ab"), 300), "tier": "1", "visits": rng.integers(1, 7, 300)})
    reached = measure(frame, sensitive="visits", order=sorted(frame["visits"].unique()))
    assert reached.t_ordered == pytest.approx(anonymity.t_closeness(frame, ["city", "tier"], ["visits"]))


def test_the_smallest_class_is_found_in_every_form_of_table() -> None:
    columns = {"city": ["a", "a", "b", "b", "b"], "age": ["20s", "20s", "*", "*", "*"]}
    for table in (columns, pd.DataFrame(columns), pa.table(columns)):
        reached = measure(table)
        assert (reached.rows, reached.classes, reached.k) == (5, 2, 2)
    assert measure({**columns, "age": ["20s", "30s", "*", "*", "*"]}).k == 1
    assert measure({**columns, "age": ["20s", "30s", "*", "*", "*"]}, columns=["city"]).k == 2


def test_missing_labels_count_as_a_value_of_their_own() -> None:
    assert measure({"city": ["a", None, None], "tier": ["1", "1", "1"]}).k == 1


def test_a_table_of_sensitive_values_alone_is_one_class() -> None:
    reached = measure({"topic": ["news", "news", "sport"]}, sensitive="topic")
    assert (reached.classes, reached.k, reached.distinct_l, reached.t_equal) == (1, 3, 2, 0)


def test_a_value_that_nobody_lacks_does_not_bring_classes_nearer_and_absence_lies_one_from_every_bin() -> None:
    order = ("<1", "1-2", "3-4", ">=5")
    spent = ["<1", "<1", "1-2", "3-4", "1-2", "3-4", ">=5", ">=5"]
    table = {"city": list("aaaabbbb"), "spend": spent}
    nobody = measure(table, sensitive="spend", order=order, absent="unknown").t_ordered
    assert nobody == pytest.approx(measure(table, sensitive="spend", order=order).t_ordered) == pytest.approx(1 / 4)
    # one of the highest of the second city is absent instead: 1/8 of it comes from a bin, at 1
    table["spend"] = [*spent[:-1], "unknown"]
    reached = measure(table, sensitive="spend", order=order, absent="unknown")
    both = np.array([[2, 1, 1, 0, 0], [0, 1, 1, 1, 1]])
    near = Closeness(0, Distance.ORDERED, absent=True)
    assert reached.t_ordered == pytest.approx(max(distance(one, both.sum(axis=0), near) for one in both))


def test_an_empty_table_reaches_nothing() -> None:
    assert measure({"city": []}).k == 0


def test_a_homogeneous_class_is_reported() -> None:
    reached = measure({"city": ["a", "a", "b", "b"], "topic": ["x", "x", "x", "y"]}, sensitive="topic")
    assert (reached.distinct_l, reached.largest_share) == (1, 1.0)
    assert reached.entropy_l == pytest.approx(1.0)
    assert reached.t_equal == pytest.approx(0.25)
    assert reached.t_ordered == pytest.approx(0.25)
