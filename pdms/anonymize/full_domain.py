"""Exact full-domain search: one level for each attribute over the whole table, the best there is.

Guarantees: of all lattice nodes that leave out at most the members allowed, the one of least loss (left-out members
costing everything), ties going to the node met first in ascending loss; deterministic.
Pruning rests on two facts. A node's mean loss with nobody left out bounds its loss from below, so that nodes above the
best found so far are never visited. Under k, distinct l and presence-free criteria a more general node leaves out no
more members, so that below a node that leaves out too many there is nothing to find.
"""

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays
from pdms.anonymize.compiled import compiled
from pdms.anonymize.criteria import Criteria, DiversityKind
from pdms.anonymize.sensitive import Histograms, Rules, holds
from pdms.errors import InvalidInput

Ints = NDArray[np.int64]

MOST_NODES = 1 << 20
LOOK_AT = 0.8
"""Where in the ascending list of open nodes to look next: high enough to prune much, low enough to improve the best."""


def search(
    codes: NDArray[np.int32],
    arrays: Arrays,
    criteria: Criteria,
    *,
    histograms: Histograms,
    whole: NDArray[np.float64],
    rules: Rules,
    allowed: int,
) -> tuple[Ints, Ints] | None:
    """Return the levels of the best node (int64 [attributes]) and group numbers (int64 [tuples], -1 left out), or None.

    None if even the most general node leaves out more than `allowed` members. Raises InvalidInput for a lattice of more
    than a million nodes.
    """
    attributes = len(arrays.height)
    if float(np.prod(arrays.height.astype(np.float64))) > MOST_NODES:
        raise InvalidInput("full-domain search: the lattice has more than a million nodes; use fewer levels")
    counts = histograms[:, :-1].sum(axis=1)
    rows = int(counts.sum())
    levels = np.indices(arrays.height.tolist()).reshape(attributes, -1).T.astype(np.int16)
    bound = np.zeros(len(levels))
    for column in range(attributes):
        costs = [
            float(arrays.loss[arrays.offset[column, level] + codes[:, column]] @ counts)
            for level in range(arrays.height[column])
        ]
        bound += np.array(costs)[levels[:, column]]
    ascending = np.argsort(bound, kind="stable")
    open_nodes = np.ones(len(levels), dtype=bool)
    monotone = criteria.closeness is None and criteria.presence is None
    if criteria.diversity is not None:
        monotone = monotone and criteria.diversity.kind == DiversityKind.DISTINCT
    slots = 16
    while slots < 2 * len(codes):
        slots *= 2
    # one line of memory a slot: stamp, group number, path words, histogram
    width = 2 + arrays.packed.shape[0] + histograms.shape[1]
    spare = (np.zeros((slots, width), np.int64), np.empty(len(codes), np.int64))
    best, best_loss, stamp = -1, float(attributes * rows) + 1, 0
    group_of = np.full(len(codes), -1, dtype=np.int64)
    while True:
        candidates = ascending[open_nodes[ascending] & (bound[ascending] < best_loss)]
        if len(candidates) == 0:
            break
        node = int(candidates[int(LOOK_AT * len(candidates))])
        stamp += 1
        out, extra = _visit(
            *_inputs(codes, histograms, whole, rules, arrays, levels[node]), *spare, stamp, allowed, group_of
        )
        open_nodes[node] = False
        if out > allowed:
            if monotone:
                open_nodes &= ~np.all(levels <= levels[node], axis=1)
        elif bound[node] + extra < best_loss:
            best, best_loss = node, bound[node] + extra
    if best < 0:
        return None
    _visit(*_inputs(codes, histograms, whole, rules, arrays, levels[best]), *spare, stamp + 1, allowed, group_of)
    return levels[best].astype(np.int64), group_of


def _inputs(
    codes: NDArray[np.int32],
    histograms: Histograms,
    whole: NDArray[np.float64],
    rules: Rules,
    arrays: Arrays,
    levels: NDArray[np.int16],
) -> tuple[NDArray[np.int32], Histograms, NDArray[np.float64], Rules, Ints, Ints, NDArray[np.float64], Ints]:
    columns = np.arange(len(levels))
    mask = np.bitwise_or.reduce(arrays.masks[columns, levels], axis=0)
    return codes, histograms, whole, rules, arrays.packed, mask, arrays.loss, arrays.offset[columns, levels]


def _visit_plain(
    codes: NDArray[np.int32],
    histograms: Histograms,
    whole: NDArray[np.float64],
    rules: Rules,
    packed: Ints,
    mask: Ints,
    loss: NDArray[np.float64],
    offset: Ints,
    cells: Ints,
    slot: Ints,
    stamp: int,
    allowed: int,
    group_of: Ints,
) -> tuple[int, float]:
    """Group the tuples at a node; return the members left out (where too many, some of them) and what that adds."""
    tuples, attributes, columns = codes.shape[0], codes.shape[1], histograms.shape[1]
    words, slots = packed.shape[0], cells.shape[0]
    histogram = 2 + words
    shift, power = 64, slots
    while power > 1:
        power //= 2
        shift -= 1
    for i in range(tuples):
        key = packed[0, i] & mask[0]
        for w in range(1, words):
            key = (key ^ (key >> 29)) * 0x2127599BF4325C37 + (packed[w, i] & mask[w])
        at = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))
        # exact here: a class joined by a collision would not bear one label in full-domain recoding
        while cells[at, 0] == stamp:
            same = True
            for w in range(words):
                same = same and cells[at, 2 + w] == packed[w, i] & mask[w]
            if same:
                break
            at = (at + 1) & (slots - 1)
        if cells[at, 0] != stamp:
            cells[at, 0], cells[at, 1] = stamp, -2
            for w in range(words):
                cells[at, 2 + w] = packed[w, i] & mask[w]
            for s in range(columns):
                cells[at, histogram + s] = 0
        for s in range(columns):
            cells[at, histogram + s] += histograms[i, s]
        slot[i] = at
    out, extra, groups = 0, 0.0, 0
    for i in range(tuples):
        at = slot[i]
        if cells[at, 1] == -2:
            cells[at, 1] = -1
            if holds(cells[at, histogram:], whole, rules):
                cells[at, 1] = groups
                groups += 1
        group_of[i] = cells[at, 1]
        if cells[at, 1] == -1:
            members = 0
            for s in range(columns - 1):
                members += histograms[i, s]
            out += members
            if out > allowed:
                break
            kept = 0.0
            for a in range(attributes):
                kept += loss[offset[a] + codes[i, a]]
            extra += members * (attributes - kept)
    return out, extra


_visit = compiled(_visit_plain)
