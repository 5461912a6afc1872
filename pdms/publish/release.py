"""From a frequency table to the bytes of a release, and the judgement on them. Pure: no database, no clock, no files.

Guarantees: what is judged is the bytes as a reader would open them, measured by code that shares nothing with the
algorithm; a release is refused where it misses k, the risk threshold or the smallest cell, or where a label is none of
the view's.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from pdms.anonymize import Criteria, FrequencyTable, Hierarchy, Loss, Measured, Risk, anonymize, measure
from pdms.errors import Conflict, Denied, Reason
from pdms.policy.definitions import View
from pdms.policy.reasons import reason

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


def make(view: View, table: FrequencyTable, space: Mapping[str, Hierarchy]) -> Made:
    """Anonymise `table` and judge the result.

    :raises Denied: too few members, criteria out of reach, or a release that fails the independent re-check.
    """
    from pdms.views import store

    if table.rows < view.min_cell:
        raise refusal(reason("BELOW_MIN_CELL"))
    hierarchies = list(space.values())
    try:
        result = anonymize(
            table,
            hierarchies,
            Criteria(k=view.k, max_risk=view.risk_threshold),
            suppression_limit=view.suppression_limit,
            weights=[feature.weight for feature in view.features],
        )
    except Conflict as error:
        if error.code != "SUPPRESSION_LIMIT":
            raise
        raise refusal(reason("SUPPRESSION_LIMIT")) from None
    rows = store.release_table(dict(zip(space, result.labels(hierarchies).values(), strict=True)), result.sizes)
    data = store.encode(rows)
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
        algorithm=f"lattice {result.variant}",
    )


def recheck(view: View, data: bytes, space: Mapping[str, Hierarchy]) -> tuple[Measured, tuple[Reason, ...]]:
    """Open the bytes of a release as a reader would, measure them, and return what speaks against them."""
    import pyarrow.parquet as pq

    rows = pq.read_table(io.BytesIO(data))
    measured = measure(rows)
    found = []
    if rows.column_names != list(space):
        found.append(reason("RISK_TOO_HIGH", detail="a column of the release is none of the view's"))
    elif any(
        not set(rows[name].combine_chunks().unique().to_pylist()) <= {label for level in tree.labels for label in level}
        for name, tree in space.items()
    ):
        found.append(reason("RISK_TOO_HIGH", detail="a label of the release is none of its hierarchy's"))
    if measured.rows < view.min_cell:
        found.append(reason("BELOW_MIN_CELL"))
    if measured.rows and measured.k < view.k:
        found.append(reason("RISK_TOO_HIGH", detail="a class is smaller than k"))
    if measured.rows and 1 / measured.k > view.risk_threshold + 1e-12:
        found.append(reason("RISK_TOO_HIGH"))
    return measured, tuple(found)


def level_of(view: View, measured: Measured) -> int:
    """Return the level of GB/T 42460 that published rows reach."""
    acceptable = measured.rows > 0 and measured.k >= view.k and 1 / measured.k <= view.risk_threshold + 1e-12
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
