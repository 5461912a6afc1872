"""A rule held against the hierarchies of one view: the same rule on exact values and on equivalence classes.

Guarantees: thresholds are edges that the view declares and labels are nodes of its hierarchies, so a rule is a set of
tuples of leaf codes; a class is a box of leaves, INSIDE only if every tuple of the box matches, OUTSIDE only if none
does. PARTLY is exact too, except where a rule asks for the same feature more than once and a box has more than
MAX_CELLS distinguishable cells: there a class may be called PARTLY that is wholly one or the other.
Deliberately not here: where rows come from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.hierarchies import Hierarchy
from pdms.errors import InvalidInput
from pdms.segments.rules import All, AnyOf, Not, OneOf, Part, Range, Rule, Score, atoms_of, features_of

OUTSIDE, PARTLY, INSIDE = 0, 1, 2
MAX_CELLS = 4096

Ints = NDArray[np.int64]
Verdicts = NDArray[np.int8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule and, for each of its comparisons, what each leaf of each feature contributes."""

    rule: Rule
    features: tuple[str, ...]
    space: Mapping[str, Hierarchy]
    tables: Mapping[tuple[int, str], Ints]
    """(position of the comparison, feature) → per leaf: 0 or 1 for ranges and sets, points for scores."""

    def mask_codes(self, codes: Mapping[str, Any]) -> Mask:
        """Return which rows match; `codes` holds one equally long array of leaf codes per feature of the rule."""
        arrays = self._columns(codes)

        def atom(position: int, node: Range | OneOf | Score) -> tuple[Mask, Mask]:
            if isinstance(node, Score):
                total = sum((self.tables[position, p.feature][arrays[p.feature]] for p in node.parts), np.int64(0))
                hit = _within(np.asarray(total), np.asarray(total), node)[0]
            else:
                hit = self.tables[position, node.feature][arrays[node.feature]] > 0
            return hit, hit

        return _fold(self.rule, atom)[0]

    def mask(self, columns: Mapping[str, Any]) -> Mask:
        """Return which members match; `columns` holds exact numbers (NaN where absent) or leaf labels.

        :raises InvalidInput: a column is missing, or holds a value that its hierarchy does not cover.
        """
        codes = {}
        for name in self.features:
            if name not in columns:
                raise InvalidInput(f"the column {name} is missing")
            hierarchy = self.space[name]
            values = np.asarray(columns[name])
            numeric = bool(hierarchy.edges) and values.dtype.kind in "iuf"
            codes[name] = hierarchy.encode_numbers(values) if numeric else hierarchy.encode(values.tolist())
        return self.mask_codes(codes)

    def verdicts(self, boxes: Mapping[str, Any]) -> Verdicts:
        """Return OUTSIDE, PARTLY or INSIDE for each class.

        :param boxes: per feature of the rule an int array [n, 2]: first leaf of the class, and one past its last.
        """
        arrays = self._columns(boxes)

        def atom(position: int, node: Range | OneOf | Score) -> tuple[Mask, Mask]:
            if isinstance(node, Score):
                bounds = [_extremes(self.tables[position, p.feature], arrays[p.feature]) for p in node.parts]
                return _within(sum(b[0] for b in bounds), sum(b[1] for b in bounds), node)
            low, high = _extremes(self.tables[position, node.feature], arrays[node.feature])
            return low > 0, high > 0

        surely, possibly = _fold(self.rule, atom)
        found = surely.astype(np.int8) + possibly.astype(np.int8)
        if not self._single_use:
            for row in np.flatnonzero(found == PARTLY):
                found[row] = self._refined({name: arrays[name][row] for name in self.features})
        return found

    @property
    def _single_use(self) -> bool:
        """Whether extremes per comparison already decide exactly: each feature asked once, scores one-sided."""
        asked = [f for (_, f) in self.tables]
        one_sided = all(a.at_least is None or a.at_most is None for a in atoms_of(self.rule) if isinstance(a, Score))
        return one_sided and len(asked) == len(set(asked))

    def _refined(self, box: Mapping[str, Ints]) -> int:
        """Decide one box by trying one leaf of each kind that the rule can tell apart."""
        kinds: list[Ints] = []
        cells = 1
        for name in self.features:
            first, last = (int(v) for v in box[name])
            contributions = np.stack([table[first:last] for (_, f), table in self.tables.items() if f == name])
            _, representative = np.unique(contributions, axis=1, return_index=True)
            kinds.append(representative.astype(np.int64) + first)
            cells *= len(representative)
            if cells > MAX_CELLS:
                return PARTLY
        tuples = np.array(list(product(*kinds)), dtype=np.int64)
        hit = self.mask_codes({name: tuples[:, i] for i, name in enumerate(self.features)})
        return INSIDE if hit.all() else PARTLY if hit.any() else OUTSIDE

    def _columns(self, given: Mapping[str, Any]) -> dict[str, Ints]:
        missing = [name for name in self.features if name not in given]
        if missing:
            raise InvalidInput(f"the column {missing[0]} is missing")
        return {name: np.asarray(given[name], dtype=np.int64) for name in self.features}


def compile_rule(rule: Rule, space: Mapping[str, Hierarchy]) -> CompiledRule:
    """Hold `rule` against a view's hierarchies, given by feature name.

    :raises InvalidInput: a feature is not in the view, a threshold is not a declared edge, a label is not a node.
    """
    features = features_of(rule)
    for name in features:
        if name not in space:
            raise InvalidInput("rule: a feature is not a column of the view")
    tables: dict[tuple[int, str], Ints] = {}
    for position, atom in enumerate(atoms_of(rule)):
        match atom:
            case Range(feature, at_least, below):
                tables[position, feature] = _range_table(space[feature], feature, at_least, below)
            case OneOf(feature, labels):
                table = np.zeros(len(space[feature].leaves), dtype=np.int64)
                for label in labels:
                    first, last = space[feature].leaf_range(*_node(space[feature], feature, label))
                    table[first:last] = 1
                tables[position, feature] = table
            case Score(parts):
                for part in parts:
                    tables[position, part.feature] = _points_table(space[part.feature], part)
    return CompiledRule(rule=rule, features=features, space=dict(space), tables=tables)


def _fold(rule: Rule, atom: Callable[[int, Range | OneOf | Score], tuple[Mask, Mask]]) -> tuple[Mask, Mask]:
    """Evaluate `rule` on pairs (surely, possibly), comparisons numbered as `atoms_of` gives them."""
    position = -1

    def walk(node: Rule) -> tuple[Mask, Mask]:
        nonlocal position
        match node:
            case All(of):
                pairs = [walk(inner) for inner in of]
                return np.logical_and.reduce([p[0] for p in pairs]), np.logical_and.reduce([p[1] for p in pairs])
            case AnyOf(of):
                pairs = [walk(inner) for inner in of]
                return np.logical_or.reduce([p[0] for p in pairs]), np.logical_or.reduce([p[1] for p in pairs])
            case Not(inner):
                surely, possibly = walk(inner)
                return ~possibly, ~surely
            case _:
                position += 1
                return atom(position, node)

    return walk(rule)


def _within(low: Any, high: Any, score: Score) -> tuple[Mask, Mask]:
    """Return whether sums between `low` and `high` surely, possibly satisfy the limits of `score`."""
    surely, possibly = np.ones(np.shape(low), dtype=np.bool_), np.ones(np.shape(low), dtype=np.bool_)
    if score.at_least is not None:
        surely, possibly = surely & (low >= score.at_least), possibly & (high >= score.at_least)
    if score.at_most is not None:
        surely, possibly = surely & (high <= score.at_most), possibly & (low <= score.at_most)
    return surely, possibly


def _extremes(table: Ints, boxes: Ints) -> tuple[Ints, Ints]:
    """Return minimum and maximum of `table` over each run of leaves; few runs are distinct."""
    runs, inverse = np.unique(boxes.reshape(-1, 2), axis=0, return_inverse=True)
    low = np.array([table[a:b].min() for a, b in runs], dtype=np.int64)
    high = np.array([table[a:b].max() for a, b in runs], dtype=np.int64)
    return low[inverse.reshape(-1)], high[inverse.reshape(-1)]


def _bins(hierarchy: Hierarchy) -> list[tuple[float, float] | None]:
    return [hierarchy.bounds(0, leaf) for leaf in range(len(hierarchy.leaves))]


def _declared(hierarchy: Hierarchy, feature: str, edges: tuple[float, ...]) -> None:
    if not hierarchy.edges:
        raise InvalidInput(f"rule: {feature} is a category; ask with `in`")
    if any(edge not in hierarchy.edges for edge in edges):
        known = ", ".join(f"{edge:g}" for edge in hierarchy.edges)
        raise InvalidInput(
            f"rule: a threshold of {feature} is not an edge that the view declares; its edges are {known} "
            f"(`pdms view hierarchy show VIEW.{feature}`)"
        )


def _range_table(hierarchy: Hierarchy, feature: str, at_least: float | None, below: float | None) -> Ints:
    _declared(hierarchy, feature, tuple(e for e in (at_least, below) if e is not None))
    low = float("-inf") if at_least is None else at_least
    high = float("inf") if below is None else below
    bins = _bins(hierarchy)
    return np.array([b is not None and b[0] >= low and b[1] <= high for b in bins], dtype=np.int64)


def _points_table(hierarchy: Hierarchy, part: Part) -> Ints:
    _declared(hierarchy, part.feature, part.edges)
    bins = _bins(hierarchy)
    points = [part.missing if b is None else part.points[sum(edge <= b[0] for edge in part.edges)] for b in bins]
    return np.array(points, dtype=np.int64)


def _node(hierarchy: Hierarchy, feature: str, label: str) -> tuple[int, int]:
    try:
        return hierarchy.node_of(label)
    except InvalidInput:
        raise InvalidInput(f"rule: a label of {feature} is not a node of its hierarchy") from None
