"""The ways of grouping that are tried on a table, the best of which is kept.

Guarantees: which ways are tried follows from the method, the criteria and the number of tuples alone. Peeling in one
block loses least but costs more the larger the block; l and t have no way that is best for every sensitive attribute.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.absorb import absorb
from pdms.anonymize.arrays import Arrays, flatten
from pdms.anonymize.classes import Classes, generalise, silence, tighten
from pdms.anonymize.criteria import Criteria, Method
from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.full_domain import search
from pdms.anonymize.hierarchies import Hierarchy
from pdms.anonymize.mondrian import divide
from pdms.anonymize.peel import peel
from pdms.anonymize.peel_sensitive import peel_sensitive
from pdms.anonymize.reconcile import reconcile
from pdms.anonymize.sensitive import histograms_of, rules_of, shares_of

WHOLE = 20_000
"""Up to this many tuples the whole table is one block."""
BLOCK = 8_000
"""Most tuples of a block beyond that."""

SPREADS = (0.0, 2.0)
"""Spreads of the constrained Mondrians tried under l and t."""
LOW_CEILING = 0.4
"""Under l and t, groups that the peel would take off above this are better dissolved into those below (measured)."""


def candidates(
    table: FrequencyTable,
    hierarchies: Sequence[Hierarchy],
    criteria: Criteria,
    *,
    method: Method,
    weights: Sequence[float] | None,
    allowed: int,
) -> Iterator[tuple[str, Classes]]:
    """Yield the name of each way tried and the classes it gives, one way at least.

    Under k alone the first is the best and a second leaves nobody out; the caller stops when it has enough.
    `allowed` members may be left out; a way may give classes that leave out more.
    """
    codes = np.ascontiguousarray(table.codes)
    arrays = flatten(hierarchies, codes, weights=weights)
    histograms, rules = histograms_of(table), rules_of(criteria)
    whole = shares_of(histograms)

    def local(group_of: NDArray[np.int64]) -> Classes:
        classes = silence(tighten(table, hierarchies, group_of), hierarchies)
        if classes.suppressed:
            taken = absorb(
                table, arrays, classes.class_of, histograms=histograms, whole=whole, rules=rules, allowed=allowed
            )
            classes = silence(tighten(table, hierarchies, taken), hierarchies)
        if criteria.closeness is not None and classes.suppressed:
            near = reconcile(table, arrays, classes.class_of, histograms=histograms, rules=rules)
            classes = silence(tighten(table, hierarchies, near), hierarchies)
        return classes

    nobody = np.full(len(codes), -1, dtype=np.int64)
    if len(codes) == 0:
        yield "nothing to group", tighten(table, hierarchies, nobody)
    elif method == Method.FULL_DOMAIN:
        found = search(codes, arrays, criteria, histograms=histograms, whole=whole, rules=rules, allowed=allowed)
        levels, group_of = found or (arrays.height - 1, nobody)
        yield "full domain", silence(generalise(table, hierarchies, group_of, levels=levels), hierarchies)
    else:
        limit = len(codes) if len(codes) <= WHOLE else BLOCK
        if method != Method.MONDRIAN:
            yield from _peels(codes, table, arrays, criteria, limit=limit, local=local)
        for spread in SPREADS if criteria.needs_histogram else SPREADS[:1]:
            group_of = nobody.copy()
            divide(
                np.arange(len(codes)),
                codes,
                histograms,
                whole,
                arrays,
                rules=rules,
                spread=spread,
                group_of=group_of,
                groups=0,
            )
            yield f"constrained Mondrian, spread {spread:g}", local(group_of)


def _peels(
    codes: NDArray[np.int32],
    table: FrequencyTable,
    arrays: Arrays,
    criteria: Criteria,
    *,
    limit: int,
    local: Callable[[NDArray[np.int64]], Classes],
) -> Iterator[tuple[str, Classes]]:
    if not criteria.needs_histogram:
        yield "peel", local(peel(codes, table.counts, arrays, least=criteria.smallest_class, limit=limit))
        return
    histograms, rules = histograms_of(table), rules_of(criteria)
    for ceiling, finish in ((1.0, True), (LOW_CEILING, False)):
        group_of = peel_sensitive(codes, histograms, arrays, rules=rules, limit=limit, ceiling=ceiling, finish=finish)
        yield f"peel to {ceiling:g}", local(group_of)
