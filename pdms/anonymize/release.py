"""The facade: a frequency table in, classes that satisfy the criteria out.

Guarantees: every class satisfies every criterion, judged once more from its own histogram before it is returned; the
suppression limit holds or the call fails; the same input gives the same output, and nothing here is random.
Deliberately not here: rows. The caller maps tuples to rows, or publishes `labels` as they are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import weights_of
from pdms.anonymize.classes import Classes, sum_by_class
from pdms.anonymize.criteria import Closeness, Criteria, Method, distances, satisfied
from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.hierarchies import Hierarchy
from pdms.anonymize.loss import Loss, measure_loss
from pdms.anonymize.risk import Risk, measure_risk
from pdms.errors import Conflict, IntegrityBroken, InvalidInput

MOST_ATTRIBUTES = 16
MOST_ROUNDS = 4
"""How often t is tightened, at most, until classes keep it against the distribution of what is published."""


@dataclass(frozen=True, slots=True, eq=False)
class Anonymized:
    """What may be published, class by class, and how good it is.

    `class_of`: int64 [tuples], the class of each input tuple, -1 where suppressed. `levels`: int16 and `nodes`: int32
    [classes, attributes], the lowest node of each attribute's hierarchy that covers the class; `spans`: int32 [classes,
    attributes, 2], the run of leaves published, see `Classes`. `sizes`: int64 [classes], members.
    `variant` names the way that gave the result. `sensitive`: int64 [classes, values], members of each class by
    sensitive value, or None.
    """

    class_of: NDArray[np.int64]
    levels: NDArray[np.int16]
    nodes: NDArray[np.int32]
    spans: NDArray[np.int32]
    sizes: NDArray[np.int64]
    suppressed: int
    loss: Loss
    risk: Risk
    variant: str
    sensitive: NDArray[np.int64] | None = None

    def labels(self, hierarchies: Sequence[Hierarchy]) -> dict[str, list[str]]:
        """Return per attribute the published label of each class, in class order."""
        return {
            hierarchy.name: (self._run_labels if hierarchy.runs else self._node_labels)(hierarchy, column)
            for column, hierarchy in enumerate(hierarchies)
        }

    def _node_labels(self, hierarchy: Hierarchy, column: int) -> list[str]:
        cells = zip(self.levels[:, column].tolist(), self.nodes[:, column].tolist(), strict=True)
        return [hierarchy.labels[level][node] for level, node in cells]

    def _run_labels(self, hierarchy: Hierarchy, column: int) -> list[str]:
        runs = [(first, last) for first, last in self.spans[:, column].tolist()]
        label_of = {run: hierarchy.label_of(*run) for run in set(runs)}
        return [label_of[run] for run in runs]

    def rows(self, hierarchies: Sequence[Hierarchy]) -> dict[str, list[str]]:
        """Return the published table, one row a member, in class order, which owes nothing to the input's order."""
        repeats = self.sizes.tolist()
        return {
            name: [label for label, repeat in zip(labels, repeats, strict=True) for _ in range(repeat)]
            for name, labels in self.labels(hierarchies).items()
        }


def anonymize(
    table: FrequencyTable,
    hierarchies: Sequence[Hierarchy],
    criteria: Criteria,
    *,
    suppression_limit: float,
    weights: Sequence[float] | None = None,
    method: Method = Method.AUTO,
) -> Anonymized:
    """Group the tuples so that every class satisfies `criteria`, at the least loss found.

    `hierarchies`: one for each attribute of the table, in its order; `weights`: how much each attribute's precision
    matters (default alike); `suppression_limit`: greatest share of members that may be left out, 0 to 1; `method`: see
    `Method`. An empty table gives no classes. A member of whom nothing would be said counts as left out; a table with
    fewer members than k can only be left out as a whole. Raises InvalidInput for what does not fit together, Conflict
    (code SUPPRESSION_LIMIT) if more members would have to be left out.
    """
    _check(table, hierarchies, criteria, suppression_limit)
    options = {"weights": weights, "method": method, "allowed": int(suppression_limit * table.rows + 1e-9)}
    variant, classes, loss = _coarse_enough(table, hierarchies, criteria, **options)
    if method == Method.BLIND and not _all_satisfied(table, criteria, classes):
        raise _out_of_reach()
    _judge(table, criteria, classes)
    return Anonymized(
        class_of=classes.class_of,
        levels=classes.levels,
        nodes=classes.nodes,
        spans=classes.spans,
        sizes=classes.sizes,
        suppressed=classes.suppressed,
        loss=loss,
        risk=measure_risk(classes.sizes, population=sum_by_class(table.population, classes)),
        variant=variant,
        sensitive=sum_by_class(table.sensitive, classes),
    )


_Found = tuple[str, Classes, Loss]


def _coarse_enough(
    table: FrequencyTable, hierarchies: Sequence[Hierarchy], criteria: Criteria, **options: Any
) -> _Found:
    """Return the best grouping whose average risk is low enough, by the least k at which it is."""
    found = _close_enough(table, hierarchies, criteria, **options)
    low, high = criteria.smallest_class, math.ceil(round(1 / criteria.max_average_risk, 9))
    if _average_risk(found) <= criteria.max_average_risk + 1e-12:
        return found
    found = _close_enough(table, hierarchies, replace(criteria, k=high), **options)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            tried = _close_enough(table, hierarchies, replace(criteria, k=middle), **options)
        except Conflict:
            tried = None
        if tried is not None and _average_risk(tried) <= criteria.max_average_risk + 1e-12:
            found, high = tried, middle
        else:
            low = middle
    return found


def _average_risk(found: _Found) -> float:
    sizes = found[1].sizes
    return len(sizes) / int(sizes.sum()) if len(sizes) else 0.0


def _close_enough(
    table: FrequencyTable, hierarchies: Sequence[Hierarchy], criteria: Criteria, **options: Any
) -> _Found:
    """Return the best grouping whose classes lie within t of what they publish together.

    Rows left out shift the whole that a reader sees; t is tightened by what that takes.
    """
    wanted = criteria.closeness
    for _ in range(MOST_ROUNDS):
        found = _best(table, hierarchies, criteria, **options)
        over = _excess(table, wanted, found[1])
        if wanted is None or criteria.closeness is None or over <= 1e-12 or options["method"] == Method.BLIND:
            return found
        tighter = criteria.closeness.t - over - 1e-9
        if tighter < 0:
            break
        criteria = replace(criteria, closeness=replace(wanted, t=tighter))
    if options["allowed"] < table.rows:
        raise _out_of_reach()
    return _best(table, hierarchies, replace(criteria, k=table.rows + 1), **options)


def _excess(table: FrequencyTable, wanted: Closeness | None, classes: Classes) -> float:
    """Return by how much the farthest class exceeds t, measured against what the classes publish together."""
    histograms = sum_by_class(table.sensitive, classes)
    if wanted is None or histograms is None or len(histograms) == 0:
        return 0.0
    gaps = histograms / classes.sizes[:, None] - histograms.sum(axis=0) / classes.sizes.sum()
    return float(distances(gaps, wanted).max()) - wanted.t


def _best(
    table: FrequencyTable,
    hierarchies: Sequence[Hierarchy],
    criteria: Criteria,
    *,
    weights: Sequence[float] | None,
    method: Method,
    allowed: int,
) -> _Found:
    """Return the grouping of least loss, of those that leave out no more than `allowed` members."""
    from pdms.anonymize.variants import candidates  # numba loads with it

    if method == Method.BLIND:
        # sensitive values have no say in what is tried and which grouping is kept
        criteria, table = Criteria(k=criteria.smallest_class), FrequencyTable(table.codes, table.counts)
    scale = weights_of(weights, len(hierarchies))
    best: tuple[tuple[bool, bool, float], str, Classes, Loss] | None = None
    for variant, classes in candidates(table, hierarchies, criteria, method=method, weights=weights, allowed=allowed):
        loss = measure_loss(hierarchies, table.codes, classes=classes, suppressed=classes.suppressed)
        cost = float(np.average(loss.ncp_by_attribute, weights=scale))
        rank = (classes.suppressed > allowed, _excess(table, criteria.closeness, classes) > 1e-12, cost)
        if best is None or rank < best[0]:
            best = (rank, variant, classes, loss)
        if not criteria.needs_histogram and not best[0][0]:
            break  # further ways serve a limit that this one missed
    assert best is not None  # noqa: S101 - there is always one variant
    (exceeded, _, _), variant, classes, loss = best
    if exceeded:
        raise _out_of_reach()
    return variant, classes, loss


def _out_of_reach() -> Conflict:
    return Conflict(
        "suppression_limit: the criteria cannot be met without leaving out more members", code="SUPPRESSION_LIMIT"
    )


def _check(
    table: FrequencyTable, hierarchies: Sequence[Hierarchy], criteria: Criteria, suppression_limit: float
) -> None:
    table.check_against(hierarchies)
    if len({hierarchy.name for hierarchy in hierarchies}) < len(hierarchies):
        raise InvalidInput("hierarchies: two attributes bear one name")
    if len(hierarchies) > MOST_ATTRIBUTES:
        raise InvalidInput(f"hierarchies: more than {MOST_ATTRIBUTES} attributes")
    if not 0 <= suppression_limit <= 1:
        raise InvalidInput("suppression_limit: must lie between 0 and 1")
    if criteria.needs_sensitive and table.sensitive is None:
        raise InvalidInput("criteria: diversity and closeness need a sensitive attribute")
    if criteria.needs_population and table.population is None:
        raise InvalidInput("criteria: presence and journalist risk need population counts")


def _judge(table: FrequencyTable, criteria: Criteria, classes: Classes) -> None:
    """Raise IntegrityBroken unless every class satisfies the criteria: a mistake of ours must not leave the house."""
    if len(classes.sizes) and int(classes.sizes.min()) < criteria.smallest_class:
        raise IntegrityBroken("anonymize: a class holds fewer members than the criteria ask for")
    if len(classes.sizes) / max(int(classes.sizes.sum()), 1) > criteria.max_average_risk + 1e-12:
        raise IntegrityBroken("anonymize: the average risk is above what the criteria ask for")
    if not _all_satisfied(table, criteria, classes):
        raise IntegrityBroken("anonymize: a class does not satisfy the criteria")


def _all_satisfied(table: FrequencyTable, criteria: Criteria, classes: Classes) -> bool:
    """Tell whether every class satisfies every criterion, by its histogram."""
    if not criteria.needs_histogram:
        return True
    histograms = sum_by_class(table.sensitive, classes)
    population = sum_by_class(table.population, classes)
    whole = None if histograms is None else histograms.sum(axis=0)
    return all(
        satisfied(
            criteria,
            size,
            histogram=None if histograms is None else histograms[number],
            whole=whole,
            population=None if population is None else int(population[number]),
        )
        for number, size in enumerate(classes.sizes.tolist())
    )
