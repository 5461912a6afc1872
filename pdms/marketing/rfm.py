"""Recency, frequency and monetary value on a release: how many members each RFM segment holds, as far as classes tell.

Guarantees: scores 1 to 5 come from the edges that the view declares, never from quantiles of the members; every count
is a rounded range, since a generalised class may straddle a border; each segment is an ordinary rule that can be saved
and sent to. It scores nobody: scoring one member would be profiling inside the boundary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pdms.anonymize.hierarchies import Hierarchy
from pdms.errors import InvalidInput
from pdms.segments.classes import Classes
from pdms.segments.compiled import INSIDE, PARTLY, compile_rule
from pdms.segments.counts import CountRange, RoundedCount, rounded
from pdms.segments.rules import All, Part, Rule, Score, to_document

LEVELS = 5
"""Scores run from 1 to 5, 5 the best; a feature with fewer bins has fewer scores."""

BANDS: tuple[tuple[str, tuple[int, int], tuple[int, int]], ...] = (
    ("champions", (4, 5), (4, 5)),
    ("loyal", (3, 3), (4, 5)),
    ("promising", (4, 5), (2, 3)),
    ("new", (4, 5), (1, 1)),
    ("needs_attention", (3, 3), (1, 3)),
    ("at_risk", (1, 2), (4, 5)),
    ("hibernating", (1, 2), (1, 3)),
)
"""Segments of the grid: name, recency scores, frequency scores. They cover the grid without overlap."""


@dataclass(frozen=True, slots=True)
class RfmSegment:
    """One named segment of the grid, with the rule that means the same."""

    name: str
    members: CountRange
    rule: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RfmCell:
    """Classes that lie in one cell of recency and frequency scores (1 to 5) and their members."""

    recency: int
    frequency: int
    members: RoundedCount


@dataclass(frozen=True, slots=True)
class RfmTable:
    """RFM of one release; `undetermined` members lie in classes that straddle cells."""

    view: str
    release_id: str
    segments: tuple[RfmSegment, ...]
    grid: tuple[RfmCell, ...]
    monetary: tuple[CountRange, ...]
    """Members per monetary score, 1 first; empty where the view has no such feature."""
    undetermined: RoundedCount
    total: RoundedCount


@dataclass(frozen=True, slots=True)
class RfmFeatures:
    """Which features of a view are read as recency (days since), frequency (a count) and monetary value."""

    recency: str = "recency_days"
    frequency: str = "orders"
    monetary: str | None = "spend"


def scale(hierarchy: Hierarchy, *, name: str, best_low: bool) -> Part:
    """Return points 1 to 5 by the declared edges of `hierarchy`; an absent value scores 1.

    :raises InvalidInput: the feature has no edges.
    """
    if not hierarchy.edges:
        raise InvalidInput(f"rfm: {name} has no declared edges to score by")
    inner = [e for leaf in range(1, len(hierarchy.leaves)) if (e := _low(hierarchy, leaf)) is not None]
    bins = len(inner) + 1
    points = [
        1 + i * LEVELS // bins if bins >= LEVELS else 1 + round(i * (LEVELS - 1) / max(bins - 1, 1))
        for i in range(bins)
    ]
    if best_low:
        points = [LEVELS + 1 - p for p in points]
    kept = [i for i, (a, b) in enumerate(pairwise(points)) if a != b]
    edges = tuple(inner[i] for i in kept)
    return Part(name, edges, tuple(points[i] for i in [*kept, bins - 1]), missing=1)


def rules(space: Mapping[str, Hierarchy], features: RfmFeatures) -> dict[str, Rule]:
    """Return the rule of each named segment over a view's hierarchies. :raises InvalidInput: a feature is missing."""
    for name in (features.recency, features.frequency):
        if name not in space:
            raise InvalidInput(f"rfm: {name} is not a column of the view")
    recency = scale(space[features.recency], name=features.recency, best_low=True)
    frequency = scale(space[features.frequency], name=features.frequency, best_low=False)
    return {name: All((Score((recency,), *r), Score((frequency,), *f))) for name, r, f in BANDS}


def table(
    classes: Classes,
    space: Mapping[str, Hierarchy],
    *,
    view: str,
    release_id: str,
    min_cell: int,
    features: RfmFeatures | None = None,
) -> RfmTable:
    """Return the RFM table of a release's classes. :raises InvalidInput: the view lacks recency or frequency."""
    chosen = features or RfmFeatures()

    def count(rule: Rule) -> CountRange:
        verdicts = compile_rule(rule, space).verdicts(classes.boxes)
        low = int(classes.sizes[verdicts == INSIDE].sum())
        return _range(low, low + int(classes.sizes[verdicts == PARTLY].sum()), min_cell)

    segments = tuple(RfmSegment(n, count(r), to_document(r)) for n, r in rules(space, chosen).items())
    recency = scale(space[chosen.recency], name=chosen.recency, best_low=True)
    frequency = scale(space[chosen.frequency], name=chosen.frequency, best_low=False)
    grid, determined = [], 0
    for r in sorted(set(recency.points) | {1}):
        for f in sorted(set(frequency.points) | {1}):
            rule = compile_rule(All((Score((recency,), r, r), Score((frequency,), f, f))), space)
            inside = int(classes.sizes[rule.verdicts(classes.boxes) == INSIDE].sum())
            determined += inside
            grid.append(RfmCell(r, f, rounded(inside, min_cell=min_cell)))
    monetary: tuple[CountRange, ...] = ()
    if chosen.monetary is not None and chosen.monetary in space:
        part = scale(space[chosen.monetary], name=chosen.monetary, best_low=False)
        monetary = tuple(count(Score((part,), p, p)) for p in range(1, LEVELS + 1))
    return RfmTable(
        view=view,
        release_id=release_id,
        segments=segments,
        grid=tuple(grid),
        monetary=monetary,
        undetermined=rounded(classes.total - determined, min_cell=min_cell),
        total=rounded(classes.total, min_cell=min_cell),
    )


def _range(low: int, high: int, min_cell: int) -> CountRange:
    return CountRange(rounded(low, min_cell=min_cell), rounded(high, min_cell=min_cell))


def _low(hierarchy: Hierarchy, leaf: int) -> float | None:
    bounds = hierarchy.bounds(0, leaf)
    return None if bounds is None else bounds[0]
