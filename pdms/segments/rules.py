"""Segment rules: their documented form, read strictly. A rule says which members are meant and names none of them.

Guarantees: what `parse` accepts is bounded in depth and size, `parse(to_document(rule)) == rule`, and an unknown key is
an error. Whether features, edges and labels exist is not known here: `compiled.compile_rule` holds a rule against the
hierarchies of a view. Nothing is ever executed or unpickled.

A rule is one mapping with exactly one operator:

    {feature: F, at_least: a, below: b}   a <= value < b; one of the two bounds may be absent
    {feature: F, in: [label, ...]}        the value lies under one of these labels of the feature's hierarchy
    {all: [...]}, {any: [...]}, {not: rule}
    {score: {of: {F: {edges: [...], points: [...], missing: p}}, at_least: n, at_most: m}}

An absent value lies in no range; `not` of a range therefore holds for it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pdms.errors import InvalidInput

MAX_DEPTH = 8
MAX_NODES = 200
MAX_LABELS = 200
MAX_TEXT = 200
MAX_POINTS = 1000


@dataclass(frozen=True, slots=True)
class Range:
    """A value of `feature` lies in [at_least, below)."""

    feature: str
    at_least: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value of `feature` lies under one of `labels`."""

    feature: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Points for one feature: `points[i]` for values in [edges[i-1], edges[i]), `missing` for an absent value."""

    feature: str
    edges: tuple[float, ...]
    points: tuple[int, ...]
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    """The sum of the parts' points lies between `at_least` and `at_most`, both included."""

    parts: tuple[Part, ...]
    at_least: int | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class All:
    """Every one of `of` holds."""

    of: tuple["Rule", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of `of` holds."""

    of: tuple["Rule", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`of` does not hold."""

    of: "Rule"


Rule = Range | OneOf | Score | All | AnyOf | Not


def parse(document: object) -> Rule:
    """Read a rule from parsed YAML or JSON.

    :raises InvalidInput: it breaks the form above or a limit; the message names the place and the rule, not the value.
    """
    return _Parser().rule(document, path="rule", depth=1)


def to_document(rule: Rule) -> dict[str, Any]:
    """Return the canonical mapping of `rule`."""
    match rule:
        case Range(feature, at_least, below):
            bounds = {"at_least": at_least, "below": below}
            return {"feature": feature, **{k: _plain(v) for k, v in bounds.items() if v is not None}}
        case OneOf(feature, labels):
            return {"feature": feature, "in": list(labels)}
        case All(of):
            return {"all": [to_document(r) for r in of]}
        case AnyOf(of):
            return {"any": [to_document(r) for r in of]}
        case Not(of):
            return {"not": to_document(of)}
        case Score(parts, at_least, at_most):
            limits = {"at_least": at_least, "at_most": at_most}
            return {
                "score": {
                    "of": {p.feature: _part_document(p) for p in parts},
                    **{k: v for k, v in limits.items() if v is not None},
                }
            }


def atoms_of(rule: Rule) -> Iterator[Range | OneOf | Score]:
    """Iterate over the comparisons at the leaves of `rule`, left to right."""
    match rule:
        case All(of) | AnyOf(of):
            for inner in of:
                yield from atoms_of(inner)
        case Not(inner):
            yield from atoms_of(inner)
        case _:
            yield rule


def features_of(rule: Rule) -> tuple[str, ...]:
    """Return the features that `rule` speaks of, each once, in order of appearance."""
    names: dict[str, None] = {}
    for atom in atoms_of(rule):
        names.update(dict.fromkeys([p.feature for p in atom.parts] if isinstance(atom, Score) else [atom.feature]))
    return tuple(names)


class _Parser:
    """Counts what it has read, so that a small text with many aliases cannot make a large rule."""

    def __init__(self) -> None:
        self.nodes = 0

    def rule(self, node: object, *, path: str, depth: int) -> Rule:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise InvalidInput(f"{path}: rules nest at most {MAX_DEPTH} deep")
        if self.nodes > MAX_NODES:
            raise InvalidInput(f"{path}: a rule has at most {MAX_NODES} parts")
        mapping = _mapping(node, path)
        if "feature" in mapping:
            return _comparison(mapping, path)
        operators = [name for name in ("all", "any", "not", "score") if name in mapping]
        if len(operators) != 1:
            raise InvalidInput(f"{path}: exactly one of feature, all, any, not, score is needed")
        operator = operators[0]
        _only(mapping, {operator}, path)
        inner, where = mapping[operator], f"{path}.{operator}"
        if operator == "not":
            return Not(self.rule(inner, path=where, depth=depth + 1))
        if operator == "score":
            return self._score(inner, where)
        if not isinstance(inner, list | tuple) or not inner:
            raise InvalidInput(f"{where}: a list of at least one rule is needed")
        of = tuple(self.rule(item, path=f"{where}[{i}]", depth=depth + 1) for i, item in enumerate(inner))
        return All(of) if operator == "all" else AnyOf(of)

    def _score(self, node: object, path: str) -> Score:
        mapping = _mapping(node, path)
        _only(mapping, {"of", "at_least", "at_most"}, path)
        of = _mapping(mapping.get("of"), f"{path}.of")
        if not of:
            raise InvalidInput(f"{path}.of: at least one feature is needed")
        parts = []
        for name, value in of.items():
            self.nodes += 1
            where = f"{path}.of.{_name(name, f'{path}.of')}"
            part = _mapping(value, where)
            _only(part, {"edges", "points", "missing"}, where)
            edges = tuple(_number(e, f"{where}.edges") for e in _list(part.get("edges"), f"{where}.edges"))
            if any(high <= low for low, high in pairwise(edges)):
                raise InvalidInput(f"{where}.edges: edges must ascend")
            points = tuple(_points(p, f"{where}.points") for p in _list(part.get("points"), f"{where}.points"))
            if len(points) != len(edges) + 1:
                raise InvalidInput(f"{where}.points: one more number than edges is needed")
            parts.append(Part(str(name), edges, points, _points(part.get("missing", 0), f"{where}.missing")))
        limits = {k: _points(mapping[k], f"{path}.{k}") for k in ("at_least", "at_most") if mapping.get(k) is not None}
        if not limits:
            raise InvalidInput(f"{path}: at_least or at_most is needed")
        low, high = limits.get("at_least"), limits.get("at_most")
        if low is not None and high is not None and low > high:
            raise InvalidInput(f"{path}: at_least lies above at_most")
        return Score(tuple(parts), low, high)


def _comparison(mapping: Mapping[str, object], path: str) -> Range | OneOf:
    _only(mapping, {"feature", "at_least", "below", "in"}, path)
    feature = _name(mapping["feature"], f"{path}.feature")
    if "in" in mapping:
        _only(mapping, {"feature", "in"}, path)
        labels = tuple(_label(label, f"{path}.in") for label in _list(mapping["in"], f"{path}.in"))
        if not labels:
            raise InvalidInput(f"{path}.in: at least one label is needed")
        if len(set(labels)) != len(labels):
            raise InvalidInput(f"{path}.in: a label stands twice")
        return OneOf(feature, labels)
    bounds = {k: _number(mapping[k], f"{path}.{k}") for k in ("at_least", "below") if mapping.get(k) is not None}
    if not bounds:
        raise InvalidInput(f"{path}: at_least, below or in is needed")
    low, high = bounds.get("at_least"), bounds.get("below")
    if low is not None and high is not None and low >= high:
        raise InvalidInput(f"{path}: at_least must lie below `below`")
    return Range(feature, low, high)


def _mapping(node: object, path: str) -> Mapping[str, object]:
    if not isinstance(node, Mapping):
        raise InvalidInput(f"{path}: a mapping is needed")
    return node


def _only(mapping: Mapping[str, object], known: set[str], path: str) -> None:
    # The unknown key itself is not named: whoever writes a rule may have pasted anything there.
    if not known.issuperset(mapping):
        raise InvalidInput(f"{path}: a key is unknown here; known are {', '.join(sorted(known))}")


def _list(node: object, path: str) -> list[object] | tuple[object, ...]:
    if not isinstance(node, list | tuple):
        raise InvalidInput(f"{path}: a list is needed")
    if len(node) > MAX_LABELS:
        raise InvalidInput(f"{path}: at most {MAX_LABELS} entries")
    return node


def _name(node: object, path: str) -> str:
    if not isinstance(node, str) or not node.isascii() or not node.replace("_", "a").isalnum() or len(node) > 64:
        raise InvalidInput(f"{path}: a feature name of at most 64 letters, digits and _ is needed")
    return node


def _label(node: object, path: str) -> str:
    if isinstance(node, bool) or not isinstance(node, str | int):
        raise InvalidInput(f"{path}: labels are text; quote it (YAML reads bare yes, no and dates otherwise)")
    text = str(node)
    if not text or len(text) > MAX_TEXT:
        raise InvalidInput(f"{path}: a label has 1 to {MAX_TEXT} characters")
    return text


def _number(node: object, path: str) -> float:
    if isinstance(node, bool) or not isinstance(node, int | float) or abs(node) > 1e15 or not math.isfinite(node):
        raise InvalidInput(f"{path}: a finite number is needed")
    return float(node)


def _points(node: object, path: str) -> int:
    if isinstance(node, bool) or not isinstance(node, int) or abs(node) > MAX_POINTS:
        raise InvalidInput(f"{path}: a whole number of at most {MAX_POINTS} is needed")
    return node


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _part_document(part: Part) -> dict[str, Any]:
    document: dict[str, Any] = {"edges": [_plain(e) for e in part.edges], "points": list(part.points)}
    return {**document, "missing": part.missing} if part.missing else document
