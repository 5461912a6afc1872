"""Rules with one meaning have one canonical form, and rules with two have two."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.anonymize.hierarchies import from_edges, from_rows
from pdms.segments import canonical as canonicals
from pdms.segments.canonical import canonical
from pdms.segments.compiled import compile_rule
from pdms.segments.rules import parse

SPACE = {
    "days": from_edges("days", [30, 90, 180], open_low=True, open_high=True, style="integer"),
    "orders": from_edges("orders", [2, 5], open_low=True, open_high=True, missing="unknown", style="integer"),
    "goods": from_rows("goods", [("apple", "food", "*"), ("bread", "food", "*"), ("shirt", "wear", "*")]),
}
GRID = np.indices([len(h.leaves) for h in SPACE.values()]).reshape(3, -1)
CODES = dict(zip(SPACE, GRID, strict=True))

ATOMS = st.one_of(
    st.sampled_from([{"feature": "days", "at_least": a} for a in (30, 90, 180)]),
    st.sampled_from([{"feature": "days", "below": b} for b in (30, 90, 180)]),
    st.sampled_from([{"feature": "orders", "at_least": a} for a in (2, 5)]),
    st.lists(st.sampled_from(["apple", "bread", "shirt", "food", "wear"]), min_size=1, unique=True).map(
        lambda labels: {"feature": "goods", "in": labels}
    ),
)
RULES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"all": of}),
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"any": of}),
        inner.map(lambda of: {"not": of}),
    ),
    max_leaves=6,
)


def form(document):
    return canonical(compile_rule(parse(document), SPACE))


@settings(max_examples=150, deadline=None)
@given(RULES, RULES)
def test_forms_agree_exactly_where_meanings_do(one, other):
    masks = [np.broadcast_to(compile_rule(parse(r), SPACE).mask_codes(CODES), GRID.shape[1]) for r in (one, other)]
    assert (form(one) == form(other)) == bool((masks[0] == masks[1]).all())


@settings(max_examples=60, deadline=None)
@given(RULES, RULES)
def test_paraphrases_are_one(one, other):
    assert form({"all": [one, other]}) == form({"not": {"any": [{"not": other}, {"not": one}]}})
    assert form({"any": [one, {"all": [one, other]}]}) == form(one)


def test_a_score_and_a_range_that_mean_the_same_are_one():
    score = {"score": {"of": {"days": {"edges": [90], "points": [1, 0]}}, "at_least": 1}}
    assert form(score) == form({"feature": "days", "below": 90})


def test_what_is_too_large_to_try_is_taken_as_written(monkeypatch):
    monkeypatch.setattr(canonicals, "MAX_CELLS", 3)
    rule = {"all": [{"feature": "days", "below": 90}, {"feature": "orders", "at_least": 2}]}
    assert form(rule) == form(rule)
    assert form(rule) != form({"all": list(reversed(rule["all"]))})


@pytest.mark.parametrize("document", [{"any": [{"feature": "days", "below": 30}, {"feature": "days", "at_least": 30}]}])
def test_a_rule_that_matches_everybody_is_all_of_them(document):
    other = {"not": {"all": [{"feature": "orders", "at_least": 2}, {"not": {"feature": "orders", "at_least": 2}}]}}
    assert form(document) == form(other)
