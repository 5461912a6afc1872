"""From a frequency table to the bytes of a release, and the judgement on them. Pure: no database, no clock, no files.

Guarantees: what is judged is the bytes as a reader would open them, measured by code that shares nothing with the
algorithm; a release is refused where it misses k, a risk threshold, the smallest cell, or the l or t of its sensitive
feature, or where a label is none of the view's, or where more members than the view allows would be held back beside
the releases that are out. A sensitive feature is published by its leaves alone; k, l and t hold
for the classes that the other columns make, and who knows a member's value of it learns nothing more by it.
"""

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize import (
    Anonymized,
    Closeness,
    Criteria,
    Distance,
    Diversity,
    DiversityKind,
    FrequencyTable,
    Hierarchy,
    Loss,
    Measured,
    Method,
    Risk,
    anonymize,
    measure,
    tabulate,
)
from pdms.anonymize.ledger import HeldBack
from pdms.errors import Conflict, Denied, Reason
from pdms.policy.definitions import View
from pdms.policy.reasons import reason
from pdms.views.definitions import order_of

if TYPE_CHECKING:
    from pdms.publish.together import Beside

LEVEL_ROWS = 3
"""GB/T 42460: quasi-identifiers remain, their risk is acceptable. Rows get no better level."""
LEVEL_RISKY = 2


@dataclass(frozen=True, slots=True)
class Made:
    """A release before it is written: its bytes, and what was measured on them."""

    data: bytes = field(repr=False)
    sha256: str
    measured: Measured
    loss: Loss
    risk: Risk
    suppressed: int
    level: int
    algorithm: str
    grouped: "Grouped" = field(repr=False)
    asked: int
    """Members that must share what is said of them, here and in every release that is out."""
    reached: Mapping[str, float] = field(default_factory=dict)
    """Figures of the sensitive feature, see `reached_of`."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Who is in which class: `class_of` (-1: none) and `out`, members who stay out, both int64 [cells]."""

    result: Anonymized
    class_of: NDArray[np.int64]
    out: NDArray[np.int64]
    held_back: HeldBack
    algorithm: str
    """What made the classes, whatever the view asked for."""


def make(view: View, table: FrequencyTable, space: Mapping[str, Hierarchy], here: "Beside | None" = None) -> Made:
    """Anonymise `table` and judge the result.

    :param here: the releases that are out, as members of the table hold them; None where there are none.
    :raises Denied: too few members, criteria out of reach, or a release that fails the independent re-check.
    """
    from pdms.views import store

    if table.rows < view.min_cell:
        raise refusal(reason("BELOW_MIN_CELL"))
    criteria = criteria_of(view, space)
    criteria = replace(criteria, k=max(criteria.k, 0 if here is None else here.k))
    try:
        grouped = _grouped(view, table, space, criteria, here)
    except Conflict as error:
        if error.code not in ("SUPPRESSION_LIMIT", "LEDGER_SMALL_ROW"):
            raise
        raise refusal(reason(error.code)) from None
    if grouped.held_back.total > view.held_back_limit * table.rows:
        raise refusal(reason("LEDGER_HELD_BACK"))
    result = grouped.result
    data = store.encode(store.release_table(*_published(view, result, space)))
    measured, found = recheck(view, data, space)
    if found:
        raise refusal(*found)
    return Made(
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        measured=measured,
        loss=result.loss,
        risk=risk_of(measured),
        suppressed=result.suppressed,
        level=level_of(view, measured),
        algorithm=grouped.algorithm,
        grouped=grouped,
        asked=criteria.smallest_class,
        reached=reached_of(view, measured),
    )


def _grouped(
    view: View, table: FrequencyTable, space: Mapping[str, Hierarchy], criteria: Criteria, here: "Beside | None"
) -> Grouped:
    """Group the tuples: by themselves where no release is out, else beside those that are."""
    from pdms.anonymize.ledger import compose

    apart = _apart(view, table, space)
    trees = [tree for name, tree in space.items() if name not in secret_of(view)]
    weights = [feature.weight for feature in view.features if feature.name not in secret_of(view)]
    limit = view.suppression_limit
    if here is None or len(here.leavers) == 0:
        wide = replace(criteria, k=math.ceil(criteria.smallest_class * view.headroom))
        found = anonymize(apart, trees, wide, suppression_limit=limit, weights=weights, method=Method(view.algorithm))
        out = np.where(found.class_of < 0, apart.counts, 0)
        return Grouped(found, found.class_of, out, HeldBack(0, 0, 0, 0), found.variant)
    if criteria.needs_histogram:
        # what its values were then is kept nowhere, and the rows of classes would have to satisfy l and t on them too
        raise refusal(reason("LEDGER_SENSITIVE"))
    composed = partial(
        compose,
        apart,
        trees,
        criteria,
        cells=here.cells,
        leavers=here.leavers,
        suppression_limit=limit,
        weights=weights,
        headroom=view.headroom,
        seed=here.seed,
        method=Method(view.algorithm),
    )
    made = composed()
    if len(made.sizes) > view.average_risk * int(made.sizes.sum()):
        made = composed(part=math.ceil(round(1 / view.average_risk, 9)))
    effective = f"peel within the classes of releases that are out; who is in none: {made.variant}"
    return Grouped(made.anonymized(), made.class_of, made.out, made.held_back, effective)


def criteria_of(view: View, space: Mapping[str, Hierarchy]) -> Criteria:
    """Return what every class of a release of `view` must satisfy."""
    sensitive = view.sensitive
    diversity = closeness = None
    if sensitive is not None and sensitive.diversity is not None:
        diversity = Diversity(sensitive.l, DiversityKind(sensitive.diversity), c=sensitive.c)
    if sensitive is not None and sensitive.t is not None:
        absent = order_of(space[sensitive.feature])[1] is not None
        closeness = Closeness(sensitive.t, Distance(sensitive.distance), absent=absent)
    return Criteria(
        k=view.k,
        max_risk=view.risk_threshold,
        max_average_risk=view.average_risk,
        diversity=diversity,
        closeness=closeness,
    )


def secret_of(view: View) -> tuple[str, ...]:
    """Return the columns that are no quasi-identifiers: the sensitive feature, if there is one."""
    return () if view.sensitive is None else (view.sensitive.feature,)


def _apart(view: View, table: FrequencyTable, space: Mapping[str, Hierarchy]) -> FrequencyTable:
    """Return the table of the quasi-identifiers alone, the sensitive feature beside it."""
    if view.sensitive is None:
        return table
    column = list(space).index(view.sensitive.feature)
    others = [position for position in range(len(space)) if position != column]
    values = len(space[view.sensitive.feature].leaves)
    apart, _ = tabulate(
        table.codes[:, others], counts=table.counts, sensitive=table.codes[:, column], sensitive_values=values
    )
    return apart


def _published(view: View, result: Anonymized, space: Mapping[str, Hierarchy]) -> tuple[dict[str, list[str]], Any]:
    """Return labels and number of rows: of each class, or of each sensitive value within each class."""
    labels = result.labels([tree for name, tree in space.items() if name not in secret_of(view)])
    if view.sensitive is None or result.sensitive is None:
        return labels, result.sizes
    owner, value = np.nonzero(result.sensitive)
    cells = {name: [column[one] for one in owner.tolist()] for name, column in labels.items()}
    leaves = space[view.sensitive.feature].leaves
    cells[view.sensitive.feature] = [leaves[one] for one in value.tolist()]
    return {name: cells[name] for name in space}, result.sensitive[owner, value]


def recheck(view: View, data: bytes, space: Mapping[str, Hierarchy]) -> tuple[Measured, tuple[Reason, ...]]:
    """Open the bytes of a release as a reader would, measure them, and return what speaks against them."""
    import pyarrow.parquet as pq

    rows = pq.read_table(io.BytesIO(data))
    known = rows.column_names == list(space)
    measured = _measured(view, rows, space) if known else measure(rows)
    found = []
    if not known:
        found.append(reason("RISK_TOO_HIGH", detail="a column of the release is none of the view's"))
    elif any(
        label is None or not tree.bears(label)
        for name, tree in space.items()
        for label in rows[name].combine_chunks().unique().to_pylist()
    ):
        found.append(reason("RISK_TOO_HIGH", detail="a label of the release is none of its hierarchy's"))
    if measured.rows < view.min_cell:
        found.append(reason("BELOW_MIN_CELL"))
    if measured.rows and measured.k < view.k:
        found.append(reason("RISK_TOO_HIGH", detail="a class is smaller than k"))
    if measured.rows and 1 / measured.k > view.risk_threshold + 1e-12:
        found.append(reason("RISK_TOO_HIGH"))
    if measured.rows and measured.classes / measured.rows > view.average_risk + 1e-12:
        found.append(reason("RISK_TOO_HIGH", detail="the average risk is above the threshold"))
    if measured.rows and known and not _hides(view, measured):
        found.append(reason("RISK_TOO_HIGH", detail="a class tells too much of the sensitive feature"))
    return measured, tuple(found)


def _measured(view: View, rows: Any, space: Mapping[str, Hierarchy]) -> Measured:
    if view.sensitive is None:
        return measure(rows)
    name = view.sensitive.feature
    order, absent = order_of(space[name])
    return measure(rows, sensitive=name, order=order, absent=absent, l=int(view.sensitive.l))


def _hides(view: View, measured: Measured) -> bool:
    """Tell whether the classes keep what the view asks for its sensitive feature, by the figures measured."""
    sensitive = view.sensitive
    if sensitive is None:
        return True
    reached = reached_of(view, measured)
    return (
        reached.get("l", np.inf) >= sensitive.l - 1e-9
        and reached.get("recursive_c", 0.0) < sensitive.c
        and (sensitive.t is None or reached["t"] <= sensitive.t + 1e-9)
    )


def reached_of(view: View, measured: Measured) -> dict[str, float]:
    """Return the figures that the criteria on the sensitive feature are held against; nothing without one.

    An l or t that was not measured counts as the worst there is.
    """
    sensitive = view.sensitive
    if sensitive is None:
        return {}
    reached: dict[str, float] = {}
    if sensitive.diversity == "recursive":
        reached["recursive_c"] = np.inf if measured.recursive_c is None else measured.recursive_c
    elif sensitive.diversity is not None:
        entropy = sensitive.diversity == "entropy"
        reached["l"] = float((measured.entropy_l if entropy else measured.distinct_l) or 0)
    if sensitive.t is not None:
        ordered = sensitive.distance == "ordered"
        distance = measured.t_ordered if ordered else measured.t_equal
        reached["t"] = 1.0 if distance is None else distance
    return reached


def level_of(view: View, measured: Measured) -> int:
    """Return the level of GB/T 42460 that published rows reach."""
    acceptable = measured.rows > 0 and measured.k >= view.k and 1 / measured.k <= view.risk_threshold + 1e-12
    acceptable = acceptable and _hides(view, measured)
    return LEVEL_ROWS if acceptable else LEVEL_RISKY


def refusal(*reasons: Reason) -> Denied:
    """Return the error that refuses a release."""
    return Denied("the release was refused", reasons=reasons, code="RELEASE_REFUSED")


def risk_of(measured: Measured) -> Risk:
    """Return the risks of published rows from what was measured on them.

    No wider population is known, so that the release itself is the journalist's population: the worst case.
    """
    if not measured.rows:
        return Risk(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    highest, average = 1 / measured.k, measured.classes / measured.rows
    return Risk(measured.k, highest, average, highest, average, average)
