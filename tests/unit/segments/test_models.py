"""Fitted models as rules: they decide as the model would, and nothing but their bounded form is read."""

import numpy as np
import pytest

from pdms.anonymize import from_edges
from pdms.errors import InvalidInput
from pdms.segments.compiled import compile_rule
from pdms.segments.models import read_model
from pdms.segments.rules import parse, to_document

SPACE = {
    "recency": from_edges("recency", [30, 90, 180], open_low=True, missing="none"),
    "orders": from_edges("orders", [2, 5, 10], open_low=True),
}
LOGISTIC = {
    "kind": "logistic", "intercept": -0.4, "at_least": 0.6,
    "of": {
        "recency": {"edges": [30, 90], "weights": [0.8, 0.1, -0.9], "missing": -0.2},
        "orders": {"edges": [2, 5, 10], "weights": [-0.5, 0.2, 0.7, 1.3]},
    },
}  # fmt: skip
TREE = {
    "kind": "tree",
    "tree": {
        "feature": "recency", "below": 90,
        "then": {"feature": "orders", "below": 5, "then": {"leaf": False}, "else": {"leaf": True}},
        "else": {"leaf": False},
    },
}  # fmt: skip
CENTROIDS = {
    "kind": "centroids", "take": 1,
    "of": {
        "recency": {"edges": [30, 90, 180], "values": [0.0, 1.0, 2.0, 3.0], "missing": 4.0},
        "orders": {"edges": [2, 5, 10], "values": [0.0, 1.0, 2.0, 3.0]},
    },
    "centers": [[0.1, 2.6], [1.4, 1.2], [3.2, 0.3]],
}  # fmt: skip
RECENCY = np.array([5.0, 40, 100, 400, np.nan])
ORDERS = np.array([1.0, 3, 7, 20])


def members() -> dict[str, np.ndarray]:
    grid = np.array([(r, o) for r in RECENCY for o in ORDERS])
    return {"recency": grid[:, 0], "orders": grid[:, 1]}


def taken(document) -> list[bool]:
    rule = parse(to_document(read_model(document).rule))  # as it is stored and read again
    return compile_rule(rule, SPACE).mask(members()).tolist()


def bins(values: np.ndarray, edges: list[float], weights: list[float], missing: float) -> np.ndarray:
    found = np.array(weights)[np.searchsorted(edges, values, side="right").clip(max=len(edges))]
    return np.where(np.isnan(values), missing, found)


def test_a_logistic_model_decides_as_its_coefficients_do() -> None:
    exact = members()
    linear = (
        -0.4
        + bins(exact["recency"], [30, 90], [0.8, 0.1, -0.9], -0.2)
        + bins(exact["orders"], [2, 5, 10], [-0.5, 0.2, 0.7, 1.3], 0)
    )
    assert taken(LOGISTIC) == (1 / (1 + np.exp(-linear)) >= 0.6).tolist()
    assert {True, False} == set(taken(LOGISTIC))


def test_a_tree_decides_as_its_questions_do_and_absence_takes_else() -> None:
    exact = members()
    assert taken(TREE) == ((exact["recency"] < 90) & (exact["orders"] >= 5)).tolist()
    assert len(read_model(TREE).leaves) == 3


def test_centroids_take_whoever_is_nearest() -> None:
    exact = members()
    place = np.stack(
        [bins(exact["recency"], [30, 90, 180], [0, 1, 2, 3], 4), bins(exact["orders"], [2, 5, 10], [0, 1, 2, 3], 0)], 1
    )
    nearest = np.argmin(((place[:, None] - np.array(CENTROIDS["centers"])) ** 2).sum(axis=2), axis=1)
    for take in range(3):
        assert taken({**CENTROIDS, "take": take}) == (nearest == take).tolist()


def deep(levels: int) -> dict:
    node: dict = {"leaf": True}
    for _ in range(levels):
        node = {"feature": "recency", "below": 90, "then": node, "else": {"leaf": False}}
    return {"kind": "tree", "tree": node}


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ("!!python/object/apply:os.system [id]", "a mapping is needed"),
        ({"kind": "pickle", "bytes": "gASV"}, "logistic, tree or centroids"),
        ({**LOGISTIC, "penalty": 1}, "a key is unknown"),
        ({**LOGISTIC, "at_least": 1.0}, "between 0 and 1"),
        ({**LOGISTIC, "intercept": float("nan")}, "finite"),
        ({**LOGISTIC, "intercept": 1e300}, "finite"),
        ({**LOGISTIC, "intercept": 10**400}, "finite"),
        ({**LOGISTIC, "of": {}}, "between 1 and 6"),
        ({**LOGISTIC, "of": {"recency": {"edges": [90, 30], "weights": [1, 2, 3]}}}, "edges ascend"),
        ({**LOGISTIC, "of": {"recency": {"edges": [30], "weights": [1, True]}}}, "finite"),
        ({**LOGISTIC, "of": {"recency; drop": {"edges": [30], "weights": [1, 2]}}}, "feature name"),
        (deep(5), "at most 4 questions"),
        ({"kind": "tree", "tree": {"leaf": True}}, "one question at least"),
        ({"kind": "tree", "tree": {**TREE["tree"], "then": {"leaf": 1}}}, "true or false"),
        ({"kind": "tree", "tree": {**TREE["tree"], "then": {"leaf": False}}}, "some leaves"),
        ({**CENTROIDS, "take": 3}, "number of a center"),
        ({**CENTROIDS, "centers": [[1, 2]]}, "two centers"),
        ({**CENTROIDS, "centers": [[1, 2], [3]]}, "one number for each"),
        ({**CENTROIDS, "centers": [[1, 2]] * 9}, "1 to 8"),
    ],
)
def test_what_is_no_model_is_refused(document: object, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule):
        read_model(document)


def test_a_threshold_that_the_view_does_not_declare_is_refused_as_in_any_rule() -> None:
    document = {**LOGISTIC, "of": {"recency": {"edges": [31], "weights": [1, 2]}}}
    with pytest.raises(InvalidInput, match="not an edge"):
        compile_rule(read_model(document).rule, SPACE)
