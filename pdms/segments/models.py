"""Fitted models in a bounded declarative form: read strictly, and turned into a rule over the view's declared edges.

Guarantees: a model is numbers and feature names, of bounded size; nothing is executed or unpickled; what comes out is
an ordinary rule, so that thresholds must be declared edges and every guarantee of rules holds. Deliberately not here:
fitting. A model is one mapping with `kind`:

    {kind: logistic, intercept: b, of: {F: {edges: [...], weights: [...], missing: w}}, at_least: p}
        the probability 1/(1+exp(-(b + sum of weights))) is at least p
    {kind: tree, tree: NODE}   NODE is {leaf: true|false} or {feature: F, below: a, then: NODE, else: NODE}
        an absent value takes `else`; at most four questions deep; each leaf must hold k rows of the live release
    {kind: centroids, of: {F: {edges: [...], values: [...], missing: v}}, centers: [[...], ...], take: i}
        of the centers (one number a feature, in the order of `of`) the i-th is the nearest; ties go to the first

Weights and distances become whole points of at most 1000 a feature, so that a member within a thousandth of the
threshold may fall on its other side.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pdms.errors import InvalidInput
from pdms.segments.rules import MAX_POINTS, All, AnyOf, Not, Part, Range, Rule, Score, parse

MAX_TREE_DEPTH = 4
MAX_CENTERS = 8
MAX_FEATURES = 6
MAX_BINS = 64


@dataclass(frozen=True, slots=True)
class Model:
    """A model as a rule; `leaves`: of a tree, the rule of each leaf, which must hold k rows."""

    rule: Rule
    leaves: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class _Column:
    feature: str
    edges: tuple[float, ...]
    values: tuple[float, ...]
    """One for each bin, then the one of an absent value."""


def read_model(document: object) -> Model:
    """Read a model from parsed YAML or JSON.

    :raises InvalidInput: it breaks the form above or a limit; the message names the place and the rule, not the value.
    """
    mapping = _mapping(document, "model")
    kind = mapping.get("kind")
    if kind == "logistic":
        found = Model(_logistic(mapping))
    elif kind == "centroids":
        found = Model(_centroids(mapping))
    elif kind == "tree":
        _only(mapping, {"kind", "tree"}, "model")
        leaves = list(_leaves(mapping.get("tree"), "model.tree", ()))
        taken = tuple(rule for rule, take in leaves if take)
        if not taken or len(taken) == len(leaves):
            raise InvalidInput("model.tree: some leaves must be taken and some not")
        found = Model(AnyOf(taken), tuple(rule for rule, _ in leaves))
    else:
        raise InvalidInput("model.kind: logistic, tree or centroids is needed")
    return found


def _logistic(mapping: Mapping[str, object]) -> Rule:
    _only(mapping, {"kind", "intercept", "of", "at_least"}, "model")
    columns = _columns(mapping.get("of"), "weights")
    at_least = _number(mapping.get("at_least"), "model.at_least")
    if not 0 < at_least < 1:
        raise InvalidInput("model.at_least: a probability between 0 and 1 is needed")
    threshold = math.log(at_least / (1 - at_least)) - _number(mapping.get("intercept"), "model.intercept")
    return _score(columns, threshold, strict=False)


def _centroids(mapping: Mapping[str, object]) -> Rule:
    _only(mapping, {"kind", "of", "centers", "take"}, "model")
    columns = _columns(mapping.get("of"), "values")
    given = _list(mapping.get("centers"), "model.centers", most=MAX_CENTERS)
    centers = [[_number(x, "model.centers") for x in _list(c, "model.centers", most=MAX_FEATURES)] for c in given]
    if len(centers) < 2 or any(len(center) != len(columns) for center in centers):
        raise InvalidInput("model.centers: two centers at least, one number for each feature of `of`")
    take = mapping.get("take")
    if isinstance(take, bool) or not isinstance(take, int) or not 0 <= take < len(centers):
        raise InvalidInput("model.take: the number of a center is needed, the first is 0")
    nearer: list[Rule] = []
    for other, center in enumerate(centers):
        if other == take:
            continue
        # |v - other|^2 - |v - taken|^2, feature by feature
        gaps = [
            _Column(
                column.feature,
                column.edges,
                tuple((value - theirs) ** 2 - (value - ours) ** 2 for value in column.values),
            )
            for column, theirs, ours in zip(columns, center, centers[take], strict=True)
        ]
        nearer.append(_score(gaps, 0.0, strict=other < take))
    return All(tuple(nearer))


def _score(columns: list[_Column], threshold: float, *, strict: bool) -> Score:
    """Return the comparison of a sum with a threshold in whole points, the largest of which is MAX_POINTS."""
    largest = max(*(abs(value) for column in columns for value in column.values), abs(threshold), 1e-12)
    scale = (MAX_POINTS - 1) / largest
    parts = []
    for column in columns:
        points = [round(value * scale) for value in column.values]
        parts.append(Part(column.feature, column.edges, tuple(points[:-1]), points[-1]))
    return Score(tuple(parts), at_least=math.ceil(threshold * scale - 1e-9) + strict)


def _leaves(node: object, path: str, above: tuple[Rule, ...]) -> Iterator[tuple[Rule, bool]]:
    mapping = _mapping(node, path)
    if "leaf" in mapping:
        _only(mapping, {"leaf"}, path)
        if not isinstance(mapping["leaf"], bool):
            raise InvalidInput(f"{path}.leaf: true or false is needed")
        if not above:
            raise InvalidInput(f"{path}: a tree asks one question at least")
        yield All(above), mapping["leaf"]
        return
    _only(mapping, {"feature", "below", "then", "else"}, path)
    if len(above) == MAX_TREE_DEPTH:
        raise InvalidInput(f"{path}: a tree is at most {MAX_TREE_DEPTH} questions deep")
    asked = parse({"feature": mapping.get("feature"), "below": mapping.get("below")})
    if not isinstance(asked, Range) or asked.below is None:
        raise InvalidInput(f"{path}.below: a number is needed")
    yield from _leaves(mapping.get("then"), f"{path}.then", (*above, asked))
    yield from _leaves(mapping.get("else"), f"{path}.else", (*above, Not(asked)))


def _columns(node: object, what: str) -> list[_Column]:
    of = _mapping(node, "model.of")
    if not 1 <= len(of) <= MAX_FEATURES:
        raise InvalidInput(f"model.of: between 1 and {MAX_FEATURES} features are needed")
    columns = []
    for name, value in of.items():
        part = _mapping(value, "model.of")
        _only(part, {"edges", what, "missing"}, "model.of")
        edges = tuple(_number(e, "model.of.edges") for e in _list(part.get("edges"), "model.of.edges", most=MAX_BINS))
        values = tuple(_number(v, f"model.of.{what}") for v in _list(part.get(what), f"model.of.{what}", most=MAX_BINS))
        if len(values) != len(edges) + 1 or any(np.diff(edges) <= 0):
            raise InvalidInput(f"model.of.{what}: edges ascend, and there is one number more than edges")
        parse({"feature": name, "below": 0})  # the name has the form of a feature's
        columns.append(_Column(str(name), edges, (*values, _number(part.get("missing", 0), "model.of.missing"))))
    return columns


def _mapping(node: object, path: str) -> Mapping[str, object]:
    if not isinstance(node, Mapping):
        raise InvalidInput(f"{path}: a mapping is needed")
    return node


def _only(mapping: Mapping[str, object], known: set[str], path: str) -> None:
    if not known.issuperset(mapping):
        raise InvalidInput(f"{path}: a key is unknown here; known are {', '.join(sorted(known))}")


def _list(node: object, path: str, *, most: int) -> list[object] | tuple[object, ...]:
    if not isinstance(node, list | tuple) or not 1 <= len(node) <= most:
        raise InvalidInput(f"{path}: a list of 1 to {most} entries is needed")
    return node


def _number(node: object, path: str) -> float:
    # The size comes first: `isfinite` cannot take a whole number beyond a float.
    if isinstance(node, bool) or not isinstance(node, int | float) or abs(node) > 1e9 or not math.isfinite(node):
        raise InvalidInput(f"{path}: a finite number of at most a thousand million is needed")
    return float(node)
