"""The facade: a frequency table in, classes that satisfy the criteria out.

Guarantees: every class satisfies every criterion, judged once more from its own histogram before it is returned; the
suppression limit holds or the call fails; the same input gives the same output, and nothing here is random.
Deliberately not here: rows. The caller maps tuples to rows, or publishes `labels` as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import weights_of
from pdms.anonymize.classes import Classes, sum_by_class
from pdms.anonymize.criteria import Criteria, Method, satisfied
from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.hierarchies import Hierarchy
from pdms.anonymize.loss import Loss, measure_loss
from pdms.anonymize.risk import Risk, measure_risk
from pdms.errors import Conflict, IntegrityBroken, InvalidInput

MOST_ATTRIBUTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Anonymized:
    """What may be published, class by class, and how good it is.

    `class_of`: int64 [tuples], the class of each input tuple, -1 where suppressed. `levels`: int16 and `nodes`: int32
    [classes, attributes], the published node of each attribute's hierarchy. `sizes`: int64 [classes], members.
    `variant` names the way that gave the result.
    """

    class_of: NDArray[np.int64]
    levels: NDArray[np.int16]
    nodes: NDArray[np.int32]
    sizes: NDArray[np.int64]
    suppressed: int
    loss: Loss
    risk: Risk
    variant: str

    def labels(self, hierarchies: Sequence[Hierarchy]) -> dict[str, list[str]]:
        """Return per attribute the published label of each class, in class order."""
        return {
            hierarchy.name: [
                hierarchy.labels[level][node]
                for level, node in zip(self.levels[:, column].tolist(), self.nodes[:, column].tolist(), strict=True)
            ]
            for column, hierarchy in enumerate(hierarchies)
        }

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
    from pdms.anonymize.variants import candidates  # numba loads with it

    scale = weights_of(weights, len(hierarchies))
    allowed = int(suppression_limit * table.rows + 1e-9)
    best: tuple[tuple[bool, float], str, Classes, Loss] | None = None
    for variant, classes in candidates(table, hierarchies, criteria, method=method, weights=weights, allowed=allowed):
        loss = measure_loss(
            hierarchies,
            table.codes,
            levels=classes.levels,
            nodes=classes.nodes,
            sizes=classes.sizes,
            suppressed=classes.suppressed,
        )
        cost = float(np.average(loss.ncp_by_attribute, weights=scale))
        rank = (classes.suppressed > allowed, cost)
        if best is None or rank < best[0]:
            best = (rank, variant, classes, loss)
        if not criteria.needs_histogram and not best[0][0]:
            break  # further ways serve a limit that this one missed
    assert best is not None  # noqa: S101 - there is always one variant
    (exceeded, _), variant, classes, loss = best
    if exceeded:
        raise Conflict(
            "suppression_limit: the criteria cannot be met without leaving out more members", code="SUPPRESSION_LIMIT"
        )
    _judge(table, criteria, classes)
    return Anonymized(
        class_of=classes.class_of,
        levels=classes.levels,
        nodes=classes.nodes,
        sizes=classes.sizes,
        suppressed=classes.suppressed,
        loss=loss,
        risk=measure_risk(classes.sizes, population=sum_by_class(table.population, classes)),
        variant=variant,
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
    if criteria.presence is not None and table.population is None:
        raise InvalidInput("criteria: presence needs population counts")


def _judge(table: FrequencyTable, criteria: Criteria, classes: Classes) -> None:
    """Raise IntegrityBroken unless every class satisfies the criteria: a mistake of ours must not leave the house."""
    if len(classes.sizes) and int(classes.sizes.min()) < criteria.smallest_class:
        raise IntegrityBroken("anonymize: a class holds fewer members than the criteria ask for")
    if not criteria.needs_histogram:
        return
    histograms = sum_by_class(table.sensitive, classes)
    population = sum_by_class(table.population, classes)
    whole = None if table.sensitive is None else table.sensitive.sum(axis=0)
    for number, size in enumerate(classes.sizes.tolist()):
        histogram = None if histograms is None else histograms[number]
        people = None if population is None else int(population[number])
        if not satisfied(criteria, size, histogram=histogram, whole=whole, population=people):
            raise IntegrityBroken("anonymize: a class does not satisfy the criteria")
