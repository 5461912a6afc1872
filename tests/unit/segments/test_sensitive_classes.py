"""Classes of a release with a sensitive feature: no rule takes a part of a class out by its sensitive value."""

import pyarrow as pa

from pdms.anonymize import flat, from_edges
from pdms.segments.classes import classes_of
from pdms.segments.compiled import INSIDE, OUTSIDE, PARTLY, compile_rule
from pdms.segments.rules import parse

SPACE = {"days": from_edges("days", [30], open_low=True), "topic": flat("topic", ["a", "b", "c", "d"])}
TABLE = pa.table({"days": ["<30"] * 4 + [">=30"] * 3, "topic": ["a", "a", "b", "c", "b", "c", "c"]})


def verdicts(document, **options) -> list[int]:
    return compile_rule(parse(document), SPACE).verdicts(classes_of(TABLE, SPACE, **options).boxes).tolist()


def test_rows_that_differ_in_the_sensitive_feature_alone_are_one_class():
    split, whole = classes_of(TABLE, SPACE), classes_of(TABLE, SPACE, sensitive="topic")
    assert sorted(split.sizes.tolist()) == [1, 1, 1, 2, 2]
    assert sorted(whole.sizes.tolist()) == [3, 4]
    assert whole.of_row.tolist() == [0] * 4 + [1] * 3


def test_a_rule_on_the_sensitive_feature_takes_whole_classes_or_none():
    wanted = {"feature": "topic", "in": ["a"]}
    assert INSIDE in verdicts(wanted)  # the two rows of topic a could be exported alone
    assert verdicts(wanted, sensitive="topic") == [PARTLY, OUTSIDE]
    assert verdicts({"feature": "topic", "in": ["a", "b", "c"]}, sensitive="topic") == [INSIDE, INSIDE]
    assert verdicts({"feature": "days", "below": 30}, sensitive="topic") == [INSIDE, OUTSIDE]
