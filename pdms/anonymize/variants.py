"""The ways of grouping that are tried on a table, the best of which is kept.

Guarantees: which ways are tried follows from the criteria and the number of tuples alone. Peeling in one block loses
least but costs more the larger the block; l and t have no way that is best for every sensitive attribute.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import flatten
from pdms.anonymize.criteria import Criteria
from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.hierarchies import Hierarchy
from pdms.anonymize.mondrian import divide
from pdms.anonymize.peel import STEPS, peel
from pdms.anonymize.peel_sensitive import peel_sensitive
from pdms.anonymize.sensitive import histograms_of, rules_of, shares_of

WHOLE = 20_000
"""Up to this many tuples the whole table is one block."""
BLOCK = 8_000
"""Most tuples of a block beyond that."""

PEELS = ((STEPS, 1.0, 0.0), (20, 0.55, 2.0))
"""Steps, ceiling and spread of the peels tried under l and t."""
SPREADS = (0.0, 2.0, 4.0)
"""Spreads of the constrained Mondrians tried under l and t."""


def groupings(
    table: FrequencyTable, hierarchies: Sequence[Hierarchy], criteria: Criteria, *, weights: Sequence[float] | None
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield the name of each way tried and its group number for each tuple (int64 [tuples], -1 = in none).

    Under k alone the first is the best, and the second leaves nobody out; the caller stops when it has enough.
    """
    codes = np.ascontiguousarray(table.codes)
    if len(codes) == 0:
        yield "nothing to group", np.zeros(0, dtype=np.int64)
        return
    arrays = flatten(hierarchies, codes, weights=weights)
    limit = len(codes) if len(codes) <= WHOLE else BLOCK
    if not criteria.needs_histogram:
        yield "peel", peel(codes, table.counts, arrays, least=criteria.smallest_class, limit=limit)
    rules, histograms = rules_of(criteria), histograms_of(table)
    for spread in SPREADS if criteria.needs_histogram else (0.0,):
        group_of = np.full(len(codes), -1, dtype=np.int64)
        divide(
            np.arange(len(codes)),
            codes,
            histograms,
            shares_of(histograms),
            arrays,
            rules=rules,
            spread=spread,
            group_of=group_of,
            groups=0,
        )
        yield f"constrained Mondrian, spread {spread:g}", group_of
    if not criteria.needs_histogram:
        return
    for steps, ceiling, spread in PEELS:
        name = f"peel, {steps} steps to {ceiling:g}, spread {spread:g}"
        yield (
            name,
            peel_sensitive(
                codes, histograms, arrays, rules=rules, limit=limit, steps=steps, ceiling=ceiling, spread=spread
            ),
        )
