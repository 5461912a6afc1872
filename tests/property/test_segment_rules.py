"""What a rule says of an equivalence class is true of every member in it, and rules round-trip."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.anonymize.hierarchies import from_edges, from_rows
from pdms.segments.compiled import INSIDE, OUTSIDE, PARTLY, compile_rule
from pdms.segments.rules import parse, to_document

SPACE = {
    "a": from_edges("a", [0, 10, 20, 30], open_low=True, missing="none"),
    "b": from_edges("b", [1, 2], open_low=True),
    "c": from_rows("c", [("x", "xy", "*"), ("y", "xy", "*"), ("z", "zz", "*")]),
}
EDGES = {"a": [0, 10, 20, 30], "b": [1, 2]}
NODES = {"a": ["none", "<0", "[0,10)", "*"], "b": ["<1", "*"], "c": ["x", "y", "xy", "zz", "*"]}
POINT = st.integers(-3, 3)


@st.composite
def ranges(draw):
    feature = draw(st.sampled_from(["a", "b"]))
    low, high = draw(st.tuples(st.sampled_from([None, *EDGES[feature]]), st.sampled_from([None, *EDGES[feature]])))
    if low is not None and high is not None and low >= high:
        high = None
    if low is None and high is None:
        low = EDGES[feature][0]
    return {"feature": feature, **{k: v for k, v in (("at_least", low), ("below", high)) if v is not None}}


@st.composite
def sets(draw):
    feature = draw(st.sampled_from(list(NODES)))
    return {"feature": feature, "in": draw(st.lists(st.sampled_from(NODES[feature]), min_size=1, unique=True))}


@st.composite
def scores(draw):
    of = {}
    for feature in draw(st.lists(st.sampled_from(["a", "b"]), min_size=1, unique=True)):
        edges = sorted(draw(st.sets(st.sampled_from(EDGES[feature]))))
        points = draw(st.lists(POINT, min_size=len(edges) + 1, max_size=len(edges) + 1))
        of[feature] = {"edges": edges, "points": points, "missing": draw(POINT)}
    low, high = sorted(draw(st.tuples(st.integers(-6, 6), st.integers(-6, 6))))
    limits = draw(st.sampled_from([{"at_least": low}, {"at_most": high}, {"at_least": low, "at_most": high}]))
    return {"score": {"of": of, **limits}}


RULES = st.recursive(
    st.one_of(ranges(), sets(), scores()),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"all": of}),
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"any": of}),
        inner.map(lambda of: {"not": of}),
    ),
    max_leaves=5,
)


@st.composite
def boxes(draw):
    box = {}
    for name, hierarchy in SPACE.items():
        level = draw(st.integers(0, hierarchy.height - 1))
        node = draw(st.integers(0, len(hierarchy.labels[level]) - 1))
        box[name] = hierarchy.leaf_range(level, node)
    return box


@settings(max_examples=400, deadline=None)
@given(RULES, st.lists(boxes(), min_size=1, max_size=4))
def test_the_verdict_on_a_class_is_what_its_members_say(document, classes):
    rule = compile_rule(parse(document), SPACE)
    verdicts = rule.verdicts({name: np.array([box[name] for box in classes]) for name in SPACE})
    for verdict, box in zip(verdicts, classes, strict=True):
        members = np.array(list(product(*(range(*box[name]) for name in SPACE))))
        matches = rule.mask_codes({name: members[:, i] for i, name in enumerate(SPACE)})
        expected = INSIDE if matches.all() else PARTLY if matches.any() else OUTSIDE
        assert verdict == expected


@settings(max_examples=200, deadline=None)
@given(RULES, st.lists(st.tuples(st.floats(-50, 50) | st.just(float("nan")), st.floats(-5, 5), st.sampled_from("xyz"))))
def test_exact_values_and_leaf_codes_agree(document, rows):
    rule = compile_rule(parse(document), SPACE)
    columns = {
        "a": np.array([r[0] for r in rows], dtype=float),
        "b": np.array([r[1] for r in rows], dtype=float),
        "c": np.array([r[2] for r in rows], dtype=object),
    }
    codes = {
        "a": SPACE["a"].encode_numbers(columns["a"]),
        "b": SPACE["b"].encode_numbers(columns["b"]),
        "c": SPACE["c"].encode(columns["c"]),
    }
    assert rule.mask(columns).tolist() == rule.mask_codes(codes).tolist()


@given(RULES)
def test_the_canonical_form_reads_back(document):
    rule = parse(document)
    assert parse(to_document(rule)) == rule
