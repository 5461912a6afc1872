"""Generalisation hierarchies: from what is known of a member to what may be said about a group.

Guarantees: every hierarchy here is one tree with one root; each node has one parent; its leaves stand in hierarchy
order, so that every node covers one run of consecutive leaf codes; a label that stands for two different sets of
leaves is refused, since a reader of a release sees only labels.
Deliberately not here: edges drawn from data. Quantiles of the members themselves are a disclosure; edges are declared.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pdms.errors import InvalidInput

ROOT = "*"
"""Label of every root, and of every cell of which nothing is said."""

Codes = NDArray[np.int32]

MAX_LEAVES = 1 << 20


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One tree of labels over an attribute.

    `labels[level][node]` names a node; level 0 are the leaves, the last level is the root alone.
    `parents[level][node]` is the node's parent on `level + 1`; the root has none, so `parents` is one shorter.
    `edges` are the borders of numeric bins, in which case leaf `i` covers `[edges[i], edges[i+1])` shifted by one where
    `open_low`; empty for categories. `missing` is the leaf label for an absent value, or None where absence is refused.
    `numeric` leaves are numbers themselves, and loss is then the width of a node over the observed range.
    `runs`: a cell may bear any run of consecutive bins, from `edges`, and not only a node; see `label_of`.
    """

    name: str
    labels: tuple[tuple[str, ...], ...]
    parents: tuple[tuple[int, ...], ...]
    numeric: bool = False
    edges: tuple[float, ...] = ()
    open_low: bool = False
    open_high: bool = True
    missing: str | None = None
    runs: bool = False
    style: Literal["interval", "integer"] = "interval"
    ancestors: Codes = field(init=False, repr=False, compare=False)
    """int32 [levels, leaves]: the node of each level above each leaf."""
    spans: tuple[NDArray[np.int32], ...] = field(init=False, repr=False, compare=False)
    """Per level, int32 [nodes, 2]: first leaf of a node, and one past its last."""
    _span_of_node: Mapping[str, tuple[int, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the tree and derive ancestors and spans; raises InvalidInput."""
        _check_shape(self)
        rows = [np.arange(len(self.labels[0]), dtype=np.int32)]
        for parent in self.parents:
            rows.append(np.asarray(parent, dtype=np.int32)[rows[-1]])
        ancestors = np.stack(rows)
        if np.any(np.diff(ancestors, axis=1) < 0):
            raise InvalidInput(f"hierarchy {self.name}: leaves do not stand in hierarchy order")
        spans = []
        for level, row in enumerate(ancestors):
            nodes = np.arange(len(self.labels[level]))
            spans.append(
                np.stack([np.searchsorted(row, nodes), np.searchsorted(row, nodes, side="right")], axis=1).astype(
                    np.int32
                )
            )
        object.__setattr__(self, "ancestors", ancestors)
        object.__setattr__(self, "spans", tuple(spans))
        object.__setattr__(self, "_span_of_node", _spans_of_labels(self))
        if self.runs:
            _check_runs(self)

    @property
    def leaves(self) -> tuple[str, ...]:
        """Labels of the leaves; the position is the leaf code."""
        return self.labels[0]

    @property
    def height(self) -> int:
        """Number of levels, leaves and root included."""
        return len(self.labels)

    def encode(self, values: Iterable[object]) -> Codes:
        """Return the leaf code of each label; raises InvalidInput where one is no leaf, naming how many, not which."""
        index = {label: code for code, label in enumerate(self.leaves)}
        absent = -1 if self.missing is None else index[self.missing]
        listed = list(values)
        codes = np.fromiter(
            (absent if _is_missing(v) else index.get(str(v), -2) for v in listed), dtype=np.int32, count=len(listed)
        )
        _refuse_uncovered(self, codes)
        return codes

    def encode_numbers(self, values: Any) -> Codes:
        """Return the bin code of each number (array-like of floats, NaN = missing) of a hierarchy made from edges.

        Raises InvalidInput where a number lies outside the declared edges, or is missing and no missing leaf exists.
        """
        if not self.edges:
            raise InvalidInput(f"hierarchy {self.name}: it has no numeric edges")
        numbers = np.asarray(values, dtype=np.float64)
        codes = np.searchsorted(np.asarray(self.edges), numbers, side="right").astype(np.int32)
        if not self.open_low:
            codes -= 1
        bins = len(self.leaves) - (self.missing is not None)
        codes[(codes < 0) | (codes >= bins)] = -2
        absent = -1 if self.missing is None else bins
        codes[np.isnan(numbers)] = absent
        _refuse_uncovered(self, codes)
        return codes

    def node_of(self, label: str) -> tuple[int, int]:
        """Return the lowest (level, node) that bears `label`; raises InvalidInput if none does."""
        for level, labels in enumerate(self.labels):
            if label in labels:
                return level, labels.index(label)
        raise InvalidInput(f"hierarchy {self.name}: a label is not one of its nodes")

    def leaf_range(self, level: int, node: int) -> tuple[int, int]:
        """Return the run of leaf codes under a node: first, and one past the last."""
        first, last = self.spans[level][node]
        return int(first), int(last)

    @property
    def bins(self) -> int:
        """How many leaves are bins of numbers: all but the leaf of absent values."""
        return len(self.leaves) - (self.missing is not None)

    def run_of(self, first: Codes, last: Codes) -> Codes:
        """Return int32 [n, 2], the least run that may be published of leaf codes `first` to `last` (int32 [n] each).

        First leaf, and one past the last; of `runs` only. What mixes numbers with absent values is the root's run, and
        so are all numbers together where no node stands for them.
        """
        if not self.runs:
            raise InvalidInput(f"hierarchy {self.name}: it has no runs")
        run = np.stack([first, last + 1], axis=1).astype(np.int32)
        numbers = (run[:, 0] == 0) & (run[:, 1] == self.bins)
        if any((spans == (0, self.bins)).all(axis=1).any() for spans in self.spans):
            numbers[:] = False
        run[numbers | ((run[:, 1] > self.bins) & (first < last))] = self.spans[-1]
        return run

    def label_of(self, first: int, last: int) -> str:
        """Return the label of the run of leaves from `first` to before `last`: its lowest node's, or that of its edges.

        Raises InvalidInput where it is no node and there are no `runs`.
        """
        for level, spans in enumerate(self.spans):
            at = int(np.searchsorted(spans[:, 0], first))
            if at < len(spans) and tuple(spans[at].tolist()) == (first, last):
                return self.labels[level][at]
        if not self.runs or not 0 <= first < last <= self.bins:
            raise InvalidInput(f"hierarchy {self.name}: a run of leaves is none of its nodes")
        low, high = self.borders(first, last)
        return _interval(low, high, style=self.style)

    def span_of(self, label: str) -> tuple[int, int]:
        """Return the run of leaves that a published label stands for, as `leaf_range`; raises InvalidInput if none."""
        if label in self._span_of_node:
            return self._span_of_node[label]
        found = _read_interval(label, style=self.style) if self.runs else None
        if found is not None and {border for border in found if border is not None} <= set(self.edges):
            low, high = found
            first = 0 if low is None else self.edges.index(low) + self.open_low
            last = self.bins if high is None else self.edges.index(high) + self.open_low
            if 0 <= first < last and self.label_of(first, last) == label:
                return first, last
        raise InvalidInput(f"hierarchy {self.name}: a label is not one of its nodes")

    def bears(self, label: str) -> bool:
        """Tell whether a label can be published."""
        try:
            self.span_of(label)
        except InvalidInput:
            return False
        return True

    def level_of(self, label: str) -> int:
        """Return the lowest level a node of which covers what a published label stands for; raises InvalidInput."""
        first, last = self.span_of(label)
        return int(np.argmax(self.ancestors[:, first] == self.ancestors[:, last - 1]))

    def borders(self, first: int, last: int) -> tuple[float | None, float | None]:
        """Return the border below bin `first` and the one below bin `last`; None where there is no end."""
        borders = [*[None] * self.open_low, *self.edges, *[None] * self.open_high]
        return borders[first], borders[last]

    def bounds(self, level: int, node: int) -> tuple[float, float] | None:
        """Return the numbers that a node of numeric edges covers, low included, high not; None for a missing leaf."""
        if not self.edges:
            raise InvalidInput(f"hierarchy {self.name}: it has no numeric edges")
        borders = (float("-inf"),) * self.open_low + self.edges + (float("inf"),) * self.open_high
        first, last = self.leaf_range(level, node)
        if last > len(borders) - 1:
            if last - first == 1:
                return None
            last = len(borders) - 1
        return borders[first], borders[last]

    def to_arx(self) -> str:
        """Return the hierarchy in ARX's CSV form, one leaf a line."""
        out = io.StringIO()
        writer = csv.writer(out, delimiter=";", lineterminator="\n")
        for leaf in range(len(self.leaves)):
            writer.writerow([self.labels[level][self.ancestors[level, leaf]] for level in range(self.height)])
        return out.getvalue()


def from_arx(
    name: str, text: str, *, delimiter: str = ";", numeric: bool = False, missing: str | None = None
) -> Hierarchy:
    """Read ARX's CSV form: one leaf a line, `leaf;...;*`, every line equally deep. Raises InvalidInput."""
    rows = [row for row in csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter) if row]
    return from_rows(name, rows, numeric=numeric, missing=missing)


def from_rows(
    name: str, rows: Sequence[Sequence[str]], *, numeric: bool = False, missing: str | None = None
) -> Hierarchy:
    """Build a hierarchy from one path per leaf, leaf first and root last. A root is added where the paths have none.

    A node is known by its level and label; a label with two parents makes the tree ambiguous and is refused.
    """
    if not rows:
        raise InvalidInput(f"hierarchy {name}: it has no leaves")
    depth = len(rows[0])
    if any(len(row) != depth for row in rows):
        raise InvalidInput(f"hierarchy {name}: lines are not equally deep")
    paths = [tuple(row) for row in rows]
    if len({path[-1] for path in paths}) > 1:
        paths = [(*path, ROOT) for path in paths]
        depth += 1
    if depth == 1:
        paths = [(path[0], ROOT) for path in paths]
        depth = 2
    parent_of: list[dict[str, str]] = [{} for _ in range(depth - 1)]
    for path in paths:
        for level, (node, parent) in enumerate(pairwise(path)):
            if parent_of[level].setdefault(node, parent) != parent:
                raise InvalidInput(f"hierarchy {name}: a node of level {level} has two parents")
    if len(parent_of[0]) != len(paths):
        raise InvalidInput(f"hierarchy {name}: a leaf is listed twice")
    return _from_paths(name, paths, numeric=numeric, missing=missing)


def _from_paths(name: str, paths: Sequence[tuple[str, ...]], **options: Any) -> Hierarchy:
    """Order the leaves so that each node is one run, nodes by first appearance, and number the nodes."""
    depth = len(paths[0])
    first: list[dict[str, int]] = [{} for _ in range(depth)]
    for path in paths:
        for level, node in enumerate(path):
            first[level].setdefault(node, len(first[level]))
    ordered = sorted(paths, key=lambda path: tuple(first[level][path[level]] for level in reversed(range(depth))))
    labels: list[list[str]] = [[] for _ in range(depth)]
    parents: list[list[int]] = [[] for _ in range(depth - 1)]
    previous: tuple[str, ...] | None = None
    for path in ordered:
        for level in reversed(range(depth)):
            if previous is None or path[level] != previous[level]:
                labels[level].append(path[level])
                if level < depth - 1:
                    parents[level].append(len(labels[level + 1]) - 1)
        previous = path
    return Hierarchy(
        name=name,
        labels=tuple(tuple(level) for level in labels),
        parents=tuple(tuple(level) for level in parents),
        **options,
    )


def from_edges(
    name: str,
    edges: Sequence[float],
    *,
    coarser: Sequence[Sequence[float]] | None = None,
    open_low: bool = False,
    open_high: bool = True,
    missing: str | None = None,
    style: Literal["interval", "integer"] = "interval",
    runs: bool = False,
) -> Hierarchy:
    """Build a hierarchy over numbers from declared `edges`: bins `[e0, e1)`, `[e1, e2)`, … are the leaves.

    `open_low` adds a bin below the first edge, `open_high` one from the last edge on, `missing` a leaf of that label
    for absent values. `coarser` lists, level by level, which edges still separate; without it every level drops every
    second edge. `style="integer"` labels `[20, 30)` as `20-29`. `runs`: cells may bear any run of consecutive bins.
    Raises InvalidInput for unordered or unknown edges.
    """
    borders = tuple(float(edge) for edge in edges)
    if not borders or not all(np.isfinite(borders)):
        raise InvalidInput(f"hierarchy {name}: edges must be finite numbers, one at least")
    if any(high <= low for low, high in pairwise(borders)):
        raise InvalidInput(f"hierarchy {name}: edges must ascend")
    if style == "integer" and any(edge != int(edge) for edge in borders):
        raise InvalidInput(f"hierarchy {name}: style integer needs whole edges")
    bins = len(borders) - 1 + open_low + open_high
    if bins < 1:
        raise InvalidInput(f"hierarchy {name}: edges make no bin")
    inner = list(borders[0 if open_low else 1 : len(borders) if open_high else -1])
    levels = _halvings(inner) if coarser is None else [[float(e) for e in level] for level in coarser]
    paths: list[list[str]] = [[] for _ in range(bins)]
    cuts = inner
    for kept in [inner, *levels]:
        # outermost closed edges may be repeated in a coarser level: they separate nothing
        kept_inner = [edge for edge in kept if edge in inner]
        if any(edge not in borders for edge in kept) or any(edge not in cuts for edge in kept_inner):
            raise InvalidInput(f"hierarchy {name}: a coarser level keeps an edge that the level below does not have")
        cuts = sorted(kept_inner)
        limits = [None if open_low else borders[0], *cuts, None if open_high else borders[-1]]
        for leaf in range(bins):
            start = inner[leaf - 1] if leaf else float("-inf")
            position = sum(cut <= start for cut in cuts)
            paths[leaf].append(_interval(limits[position], limits[position + 1], style=style))
    if missing is not None:
        paths.append([missing] * len(paths[0]))
    return _from_paths(
        name,
        [(*path, ROOT) for path in paths],
        edges=borders,
        open_low=open_low,
        open_high=open_high,
        missing=missing,
        runs=runs,
        style=style,
    )


def flat(name: str, values: Sequence[str], *, missing: str | None = None) -> Hierarchy:
    """Build the two-level hierarchy of a category without any: the values, and the root."""
    return from_rows(name, [(value, ROOT) for value in values], missing=missing)


def _halvings(inner: list[float]) -> list[list[float]]:
    levels = []
    while len(inner) > 1:
        inner = inner[1::2]
        levels.append(inner)
    return levels


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _interval(low: float | None, high: float | None, *, style: str) -> str:
    if low is None and high is None:
        return ROOT
    if low is None:
        return f"<{_number(high)}" if high is not None else ROOT
    if high is None:
        return f">={_number(low)}"
    if style == "integer":
        last = int(high) - 1
        return _number(low) if last == low else f"{_number(low)}-{last}"
    return f"[{_number(low)},{_number(high)})"


def _read_interval(label: str, *, style: str) -> tuple[float | None, float | None] | None:
    """Return the borders that a label of `_interval` names, None for an open end; None where it is no such label."""
    found = _INTERVALS[style].fullmatch(label)
    if found is None:
        return None
    low, high = found["low"] or found["least"], found["high"] or found["below"]
    borders = [None if text is None else float(text) for text in (low, high)]
    if style == "integer" and found["high"] is not None:
        borders[1] = float(found["high"]) + 1
    return borders[0], borders[1]


_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:e[-+][0-9]+)?"
_INTERVALS = {
    style: re.compile(rf"{closed}|>=(?P<least>{_NUMBER})|<(?P<below>{_NUMBER})")
    for style, closed in (
        ("interval", rf"\[(?P<low>{_NUMBER}),(?P<high>{_NUMBER})\)"),
        ("integer", rf"(?P<low>{_NUMBER})-(?P<high>{_NUMBER})"),
    )
}


def _is_missing(value: object) -> bool:
    return value is None or value != value  # NaN and NaT differ from themselves


def _refuse_uncovered(hierarchy: Hierarchy, codes: Codes) -> None:
    absent, unknown = int(np.sum(codes == -1)), int(np.sum(codes == -2))
    if absent:
        raise InvalidInput(f"{hierarchy.name}: {absent} values are missing and the hierarchy has no leaf for that")
    if unknown:
        raise InvalidInput(f"{hierarchy.name}: the hierarchy does not cover {unknown} values")


def _check_shape(hierarchy: Hierarchy) -> None:
    labels, parents, name = hierarchy.labels, hierarchy.parents, hierarchy.name
    if not labels or not labels[0]:
        raise InvalidInput(f"hierarchy {name}: it has no leaves")
    if len(labels[0]) > MAX_LEAVES:
        raise InvalidInput(f"hierarchy {name}: more than {MAX_LEAVES} leaves; bin the values first")
    if len(labels[-1]) != 1 or len(parents) != len(labels) - 1:
        raise InvalidInput(f"hierarchy {name}: it has no single root")
    for level, parent in enumerate(parents):
        if len(parent) != len(labels[level]):
            raise InvalidInput(f"hierarchy {name}: each node of level {level} needs one parent")
        if set(parent) != set(range(len(labels[level + 1]))):
            raise InvalidInput(f"hierarchy {name}: level {level + 1} has an unknown parent or a node without children")


def _spans_of_labels(hierarchy: Hierarchy) -> dict[str, tuple[int, int]]:
    """Return the leaves that each label stands for; raises InvalidInput where a label is empty or ambiguous."""
    seen: dict[str, tuple[int, int]] = {}
    for level, (labels, spans) in enumerate(zip(hierarchy.labels, hierarchy.spans, strict=True)):
        for label, (first, last) in zip(labels, spans.tolist(), strict=True):
            if not label:
                raise InvalidInput(f"hierarchy {hierarchy.name}: a node of level {level} has an empty label")
            if seen.setdefault(label, (first, last)) != (first, last):
                raise InvalidInput(f"hierarchy {hierarchy.name}: one label of level {level} stands for two nodes")
    return seen


def _check_runs(hierarchy: Hierarchy) -> None:
    """Refuse runs where a reader could not tell what a label stands for."""
    if not hierarchy.edges:
        raise InvalidInput(f"hierarchy {hierarchy.name}: only numbers with edges have runs")
    for label, spans in zip(hierarchy.labels, hierarchy.spans, strict=True):
        for text, (first, last) in zip(label, spans.tolist(), strict=True):
            found = _read_interval(text, style=hierarchy.style)
            if found is not None and (last > hierarchy.bins or hierarchy.borders(first, last) != found):
                raise InvalidInput(f"hierarchy {hierarchy.name}: a label reads like a run of bins that it is not")
