"""The space of a view: what gives one, and what must never."""

from dataclasses import fields, replace

import numpy as np
import pytest

from pdms.errors import InvalidInput, NotFound
from pdms.policy.definitions import Feature, HierarchyTable, Policy, View
from pdms.views.definitions import leaf_of, space_of
from pdms.views.rounding import rounded

RECENCY = Feature(
    name="recency_days", measure="recency_days", edges=(30, 90), coarser=((90,),), hierarchy=None, unit="", weight=1.0
)
TIER = replace(RECENCY, name="tier", measure="city_tier", edges=None, coarser=(), hierarchy="tiers")
TABLES = {"tiers": (("1", "large", "*"), ("2", "large", "*"), ("other", "other", "*"))}


def space(*features):
    view = View(
        name="value", label={}, purpose="segment", features=features, window_days=365, k=3, risk_threshold=0.34,
        min_cell=5, suppression_limit=0.5, consumers=(), expiry_days=30,
    )  # fmt: skip
    said = {"views": {"value": view}, "hierarchies": {n: HierarchyTable(n, rows, "") for n, rows in TABLES.items()}}
    return space_of(Policy(**{f.name: said.get(f.name, {}) for f in fields(Policy)}), "value")


def test_numbers_are_cut_at_the_declared_edges_and_categories_follow_their_table():
    found = space(RECENCY, TIER)
    assert list(found) == ["recency_days", "tier"]
    assert found["recency_days"].leaves == ("<30", "30-89", ">=90")
    assert found["recency_days"].labels[1] == ("<90", ">=90")
    assert found["tier"].leaves == ("1", "2", "other", "unknown")
    assert leaf_of(found["tier"]) == ("unknown", "other")


def test_money_is_not_labelled_as_if_it_were_counted():
    assert space(replace(RECENCY, name="spend", measure="spend"))["spend"].leaves[1] == "[30,90)"


@pytest.mark.parametrize(("measure", "absent"), [("tenure_days", True), ("average_order", True), ("orders", False)])
def test_a_number_has_a_leaf_for_absence_only_where_it_can_be_absent(measure, absent):
    tree = space(replace(RECENCY, name="n", measure=measure))["n"]
    assert ("unknown" in tree.leaves) is absent
    if absent:
        assert tree.leaves[tree.encode_numbers(np.array([np.nan]))[0]] == "unknown"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"name": "phone"}, "identifier"),
        ({"name": "member_token"}, "identifier"),
        ({"measure": "pseudonym"}, "identifier"),
        ({"measure": "shoe_size"}, "no known measure"),
        ({"edges": None}, "exact number"),
        ({"edges": ()}, "exact number"),
        ({"measure": "city_tier", "edges": None}, "without a hierarchy"),
        ({"measure": "city_tier", "edges": None, "hierarchy": "no-such"}, "without a hierarchy"),
        ({"edges": (90, 30)}, "ascend"),
    ],
)
def test_a_feature_that_identifies_or_is_exact_gives_no_space(change, rule):
    with pytest.raises(InvalidInput, match=rule):
        space(replace(RECENCY, **change))


def test_a_view_has_one_to_six_features_of_different_names():
    with pytest.raises(InvalidInput):
        space()
    with pytest.raises(InvalidInput):
        space(*[replace(RECENCY, name=f"f{n}") for n in range(7)])
    with pytest.raises(InvalidInput):
        space(RECENCY, RECENCY)


def test_an_unknown_view_is_not_found():
    with pytest.raises(NotFound):
        space_of(Policy(**{f.name: {} for f in fields(Policy)}), "value")


@pytest.mark.parametrize(("number", "shown"), [(0, 50), (49, 50)])
def test_small_counts_are_shown_as_small(number, shown):
    assert rounded(number, min_cell=50) == {"below": shown}


@pytest.mark.parametrize(("number", "shown"), [(50, 50), (54, 50), (55, 60), (1004, 1000)])
def test_other_counts_are_rounded_to_ten(number, shown):
    assert rounded(number, min_cell=50) == {"about": shown}
