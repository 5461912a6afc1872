"""The rule form is read strictly, bounded, and round-trips."""

import pytest

from pdms.errors import InvalidInput
from pdms.segments.rules import All, Not, OneOf, Part, Range, Score, features_of, parse, to_document

GOOD = {
    "all": [
        {"feature": "recency_days", "below": 90},
        {"feature": "orders", "at_least": 3, "below": 10},
        {"not": {"feature": "city_tier", "in": ["unknown"]}},
        {"score": {"of": {"spend": {"edges": [100, 500], "points": [1, 2, 3], "missing": 1}}, "at_least": 2}},
    ]
}


def test_a_rule_is_read_into_its_parts():
    assert parse(GOOD) == All(
        (
            Range("recency_days", None, 90.0),
            Range("orders", 3.0, 10.0),
            Not(OneOf("city_tier", ("unknown",))),
            Score((Part("spend", (100.0, 500.0), (1, 2, 3), 1),), 2, None),
        )
    )


def test_the_canonical_form_reads_back_to_the_same_rule():
    assert to_document(parse(GOOD)) == GOOD


def test_features_are_named_once_in_order():
    assert features_of(parse({"any": [GOOD, GOOD]})) == ("recency_days", "orders", "city_tier", "spend")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "rule: a mapping is needed"),
        ({}, "exactly one of feature, all, any, not, score"),
        ({"all": [], "any": []}, "exactly one of"),
        ({"all": []}, "rule.all: a list of at least one rule"),
        ({"all": [{"feature": "x", "below": 1}], "note": 1}, "a key is unknown"),
        ({"feature": "x"}, "at_least, below or in is needed"),
        ({"feature": "x; drop", "below": 1}, "rule.feature: a feature name"),
        ({"feature": "x", "below": "1"}, "rule.below: a finite number"),
        ({"feature": "x", "below": True}, "rule.below: a finite number"),
        ({"feature": "x", "below": float("nan")}, "rule.below: a finite number"),
        ({"feature": "x", "below": 10**400}, "rule.below: a finite number"),
        ({"feature": "x", "at_least": 2, "below": 2}, "at_least must lie below"),
        ({"feature": "x", "in": ["a"], "below": 2}, "a key is unknown"),
        ({"feature": "x", "in": []}, "rule.in: at least one label"),
        ({"feature": "x", "in": "abc"}, "rule.in: a list is needed"),
        ({"feature": "x", "in": ["a", "a"]}, "a label stands twice"),
        ({"feature": "x", "in": [True]}, "labels are text"),
        ({"feature": "x", "in": [str(i) for i in range(201)]}, "at most 200 entries"),
        ({"score": {"of": {}, "at_least": 1}}, "rule.score.of: at least one feature"),
        ({"score": {"of": {"x": {"edges": [1], "points": [1, 2]}}}}, "at_least or at_most is needed"),
        ({"score": {"of": {"x": {"edges": [1], "points": [1]}}, "at_least": 1}}, "one more number than edges"),
        ({"score": {"of": {"x": {"edges": [2, 1], "points": [1, 2, 3]}}, "at_least": 1}}, "edges must ascend"),
        ({"score": {"of": {"x": {"edges": [1], "points": [1, 2.5]}}, "at_least": 1}}, "a whole number"),
        ({"score": {"of": {"x": {"edges": [1], "points": [1, 2]}}, "at_least": 2, "at_most": 1}}, "lies above at_most"),
    ],
)
def test_what_breaks_the_form_is_refused_with_its_place(document, message):
    with pytest.raises(InvalidInput, match=message.replace(".", r"\.").replace("[", r"\[")):
        parse(document)


def test_a_message_never_repeats_what_was_given():
    secret = "13800138000"
    for document in (
        {secret: 1},
        {"feature": secret + "@", "below": 1},
        {"feature": "x", "below": secret},
        {"feature": "x", "in": [[secret]]},
    ):
        with pytest.raises(InvalidInput) as caught:
            parse(document)
        assert secret not in str(caught.value)


def test_depth_and_size_are_bounded():
    deep: object = {"feature": "x", "below": 1}
    for _ in range(8):
        deep = {"not": deep}
    with pytest.raises(InvalidInput, match="nest at most 8 deep"):
        parse(deep)
    with pytest.raises(InvalidInput, match="at most 200 parts"):
        parse({"any": [{"feature": "x", "below": i} for i in range(200)]})


def test_a_document_that_contains_itself_ends():
    loop: dict[str, object] = {}
    loop["all"] = [loop, loop]
    with pytest.raises(InvalidInput):
        parse(loop)
