"""A rule against a view's hierarchies: thresholds, labels, exact values and classes."""

import numpy as np
import pytest

from pdms.anonymize.hierarchies import from_edges, from_rows
from pdms.errors import InvalidInput
from pdms.segments.compiled import INSIDE, OUTSIDE, PARTLY, compile_rule
from pdms.segments.rules import parse

SPACE = {
    "recency": from_edges("recency", [30, 90, 180], open_low=True, missing="none"),
    "orders": from_edges("orders", [2, 5, 10], open_low=True),
    "goods": from_rows(
        "goods",
        [("apple", "food", "*"), ("bread", "food", "*"), ("shirt", "wear", "*"), ("shoe", "wear", "*")],
    ),
}


def compiled(document):
    return compile_rule(parse(document), SPACE)


def test_exact_values_fall_on_the_right_side_of_an_edge():
    rule = compiled({"feature": "recency", "at_least": 30, "below": 90})
    values = np.array([0, 29.9, 30, 89.99, 90, np.nan])
    assert rule.mask({"recency": values}).tolist() == [False, False, True, True, False, False]


def test_not_a_range_holds_for_an_absent_value():
    rule = compiled({"not": {"feature": "recency", "below": 90}})
    assert rule.mask({"recency": np.array([10.0, np.nan])}).tolist() == [False, True]


def test_absence_is_asked_by_its_label():
    rule = compiled({"feature": "recency", "in": ["none"]})
    assert rule.mask({"recency": np.array([10.0, np.nan])}).tolist() == [False, True]


def test_a_label_of_a_higher_level_stands_for_its_leaves():
    rule = compiled({"feature": "goods", "in": ["food"]})
    assert rule.mask({"goods": ["apple", "shirt", "bread"]}).tolist() == [True, False, True]


def test_scores_add_up():
    rule = compiled(
        {
            "score": {
                "of": {
                    "recency": {"edges": [30, 90], "points": [3, 2, 1]},
                    "orders": {"edges": [5], "points": [1, 3]},
                },
                "at_least": 5,
            }
        }
    )
    columns = {"recency": np.array([10.0, 40, 100, np.nan]), "orders": np.array([1, 7, 7, 7])}
    assert rule.mask(columns).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"feature": "age", "below": 1}, "not a column of the view"),
        (
            {"feature": "recency", "below": 31},
            "threshold of recency is not an edge .* are 30, 90, 180 .*VIEW.recency",
        ),
        ({"feature": "goods", "below": 31}, "goods is a category"),
        ({"feature": "goods", "in": ["fish"]}, "label of goods is not a node"),
        ({"score": {"of": {"orders": {"edges": [3], "points": [0, 1]}}, "at_least": 1}}, "threshold of orders"),
        ({"score": {"of": {"goods": {"edges": [3], "points": [0, 1]}}, "at_least": 1}}, "goods is a category"),
    ],
)
def test_a_rule_that_the_view_does_not_declare_is_refused(document, message):
    with pytest.raises(InvalidInput, match=message):
        compiled(document)


def test_classes_inside_outside_and_partly():
    rule = compiled({"feature": "recency", "below": 90})
    boxes = np.array([[0, 1], [0, 2], [0, 3], [2, 4], [4, 5], [0, 5]])
    assert rule.verdicts({"recency": boxes}).tolist() == [INSIDE, INSIDE, PARTLY, OUTSIDE, OUTSIDE, PARTLY]


def test_a_tautology_is_inside_although_each_half_is_only_partly():
    rule = compiled({"any": [{"feature": "orders", "below": 5}, {"feature": "orders", "at_least": 5}]})
    assert rule.verdicts({"orders": np.array([[0, 4]])}).tolist() == [INSIDE]


def test_a_two_sided_score_skipped_by_its_sums_is_outside():
    document = {"score": {"of": {"orders": {"edges": [5], "points": [0, 9]}}, "at_least": 3, "at_most": 5}}
    assert compiled(document).verdicts({"orders": np.array([[0, 4]])}).tolist() == [OUTSIDE]


def test_a_missing_column_is_named():
    rule = compiled({"feature": "orders", "below": 5})
    with pytest.raises(InvalidInput, match="column orders is missing"):
        rule.mask({})
    with pytest.raises(InvalidInput, match="column orders is missing"):
        rule.verdicts({})
