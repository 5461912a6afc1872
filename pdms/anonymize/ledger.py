"""A release beside those that are still out there: nobody's row of classes, this release included, is shared by few.

Whoever holds several releases of one family learns for each member the row of classes held in them (absence is a
value like any other). `compose` makes the next partition so that every such row is shared by k members: who holds the
same row so far is partitioned apart from all others, who is in no release is partitioned afresh, and of a row that some
leave (consent withdrawn, erased, data gone) as many stay out with them as make k, or all where that would leave fewer
than k inside. No choice for one row bears on another, and each row's is the least that satisfies both sides of it.

Guarantees: every class holds k members of each row in it; the same input and seed give the same partition.
Deliberately not here: ids, and criteria beyond the size of a class. A sensitive column that changes between releases
needs diversity on the rows of classes, and is refused here until a view declares one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.arrays import Arrays, flatten
from pdms.anonymize.classes import Classes, silence, tighten_groups
from pdms.anonymize.criteria import Criteria, Method
from pdms.anonymize.frequency import FrequencyTable
from pdms.anonymize.hierarchies import Hierarchy
from pdms.anonymize.loss import Loss, measure_loss
from pdms.anonymize.release import Anonymized, anonymize
from pdms.anonymize.risk import Risk, measure_risk
from pdms.errors import Conflict, InvalidInput

Ints = NDArray[np.int64]

NEW = -1
"""Row number of who is in no live release."""
LEAST_GAIN = 0.02
"""A class is kept whole unless its parts cost this much less NCP a cell: smaller classes are held back more often."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Members by the row of classes that they hold so far and the tuple that they hold now.

    `row`: int64 [cells], number of the row, `NEW` for who is in no live release; `tuple_`: int64 [cells], index into
    the frequency table; `counts`: int64 [cells], each at least 1. No pair occurs twice.
    """

    row: Ints
    tuple_: Ints
    counts: Ints

    @property
    def members(self) -> int:
        """How many members there are."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Members who are left out of a release because of others, by reason.

    `padding`: so that who left a class is one of k; `remainder`: the rest of a class that falls below k without them;
    `joiners`: new members too few, or too unlike, for classes of their own; `silent`: who together have nothing in
    common of which anything would be said.
    """

    padding: int
    remainder: int
    joiners: int
    silent: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.padding + self.remainder + self.joiners + self.silent


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """What may be published beside the releases that are out.

    `class_of`: int64 [cells], class of the cell's members, -1 where none is published; `out`: int64 [cells], how many
    members of the cell stay out. `levels`: int16, `nodes`: int32 [classes, attributes], `spans`: int32 [classes,
    attributes, 2]; `sizes`: int64 [classes], see `Classes`.
    `suppressed`: new members left out by the algorithm; `loss` counts whoever is left out as suppressed.
    """

    class_of: Ints
    out: Ints
    levels: NDArray[np.int16]
    nodes: NDArray[np.int32]
    spans: NDArray[np.int32]
    sizes: Ints
    suppressed: int
    held_back: HeldBack
    loss: Loss
    risk: Risk
    variant: str

    def anonymized(self) -> Anonymized:
        """Return the classes as a release of its own gives them; its `class_of` is that of the cells."""
        return Anonymized(
            class_of=self.class_of,
            levels=self.levels,
            nodes=self.nodes,
            spans=self.spans,
            sizes=self.sizes,
            suppressed=self.suppressed,
            loss=self.loss,
            risk=self.risk,
            variant=self.variant,
        )


def cells_of(row: Ints, tuple_: Ints) -> tuple[Cells, Ints]:
    """Group members by row and tuple (each int64 [members]); return the cells and the cell of each member."""
    width = int(tuple_.max(initial=0)) + 1
    key, cell_of, counts = np.unique((row - NEW) * width + tuple_, return_inverse=True, return_counts=True)
    return Cells(key // width + NEW, key % width, counts.astype(np.int64)), cell_of.astype(np.int64)


def compose(
    table: FrequencyTable,
    hierarchies: Sequence[Hierarchy],
    criteria: Criteria,
    *,
    cells: Cells,
    leavers: Ints,
    suppression_limit: float,
    weights: Sequence[float] | None = None,
    headroom: float = 1.0,
    seed: int = 0,
    part: int = 0,
    method: Method = Method.AUTO,
) -> Composition:
    """Partition the members of `cells` so that every row of classes is shared by k, or by nobody.

    `table`: their tuples; `leavers`: int64 [rows], who hold a row and may not be in this release, the erased included;
    `headroom`: least size of a new class, in multiples of k: larger ones outlast more leavers; `seed`: decides who of a
    row stays out; `part`: least size of a part that a row of classes is split into, k where that is more; `method`: of
    who is in no release (rows of classes are split by the peel whatever it is). With no row at all this is `anonymize`,
    but that nothing is refused: who would make it refuse is held back.
    Raises InvalidInput for what does not fit together or criteria beyond class sizes, Conflict (code LEDGER_SMALL_ROW)
    where a row is shared by too few already, so that nothing can be published beside it.
    """
    _check(table, criteria, cells, leavers, headroom)
    least = criteria.smallest_class
    rows = len(leavers)
    stayers = np.bincount(cells.row[cells.row >= 0], weights=cells.counts[cells.row >= 0], minlength=rows)
    stayers = stayers.astype(np.int64)
    if rows and int((stayers + leavers).min()) < least:
        raise Conflict(
            "ledger: members of a former release are too few for the class size asked", code="LEDGER_SMALL_ROW"
        )
    pads, remainder = staying_out(stayers, leavers, least=least)
    out = np.where((cells.row >= 0) & np.r_[remainder > 0, False][cells.row], cells.counts, 0)
    out += _padding(cells, pads, seed)
    inside = cells.counts - out
    codes = np.ascontiguousarray(table.codes[cells.tuple_])
    arrays = flatten(hierarchies, codes, weights=weights)
    group_of = _by_row(codes, inside, np.where(inside > 0, cells.row, NEW), arrays, rows=rows, least=max(least, part))
    fresh = np.flatnonzero(cells.row == NEW)
    variant, joiners, beyond = "nothing new", 0, False
    if len(fresh):
        wide = replace(criteria, k=int(np.ceil(criteria.smallest_class * headroom)))
        found, beyond = _fresh(table, hierarchies, wide, cells, fresh, suppression_limit, weights, method)
        if found is None:
            joiners = int(cells.counts[fresh].sum())
        else:
            variant = found.variant
            group_of[fresh] = np.where(found.class_of >= 0, found.class_of + group_of.max(initial=-1) + 1, -1)
    tight = tighten_groups(codes, inside, hierarchies, group_of)
    classes = silence(tight, hierarchies)
    lost = (tight.class_of >= 0) & (classes.class_of < 0)
    suppressed = int(inside[fresh][classes.class_of[fresh] < 0].sum()) - joiners
    if beyond:
        joiners, suppressed = suppressed, 0
    silent = int(inside[lost & (cells.row >= 0)].sum())
    out = np.where(classes.class_of < 0, cells.counts, out)
    return _composition(
        hierarchies, table, classes, out, suppressed, variant,
        HeldBack(int(pads.sum()), int(remainder.sum()), joiners, silent),
    )  # fmt: skip


def staying_out(stayers: Ints, leavers: Ints, *, least: int) -> tuple[Ints, Ints]:
    """Return per row how many stayers pad its leavers to `least`, and how many stay out as what is left of a class.

    `stayers` + `leavers` of each row are `least` at least. The fewest possible: a row splits into who is out and who is
    inside, and each side counts nobody or `least`.
    """
    missing = np.where((leavers > 0) & (leavers < least), np.minimum(least - leavers, stayers), 0)
    rest = stayers - missing
    remainder = np.where(rest < least, rest, 0)
    whole = remainder > 0
    return np.where(whole, 0, missing), np.where(whole, stayers, 0)


def _check(table: FrequencyTable, criteria: Criteria, cells: Cells, leavers: Ints, headroom: float) -> None:
    if criteria.needs_histogram:
        raise InvalidInput("ledger: criteria beyond the size of a class are not composed over releases")
    if not (1 <= headroom <= 100):
        raise InvalidInput("headroom: must lie between 1 and 100")
    if not (len(cells.row) == len(cells.tuple_) == len(cells.counts)) or np.any(cells.counts < 1):
        raise InvalidInput("ledger: each cell needs a row, a tuple and a positive count")
    if len(cells.row) and (cells.row.min() < NEW or cells.row.max() >= len(leavers)):
        raise InvalidInput("ledger: a cell names a row that is none")
    if np.any(leavers < 0):
        raise InvalidInput("ledger: leavers must not be negative")
    held = np.bincount(cells.tuple_, weights=cells.counts, minlength=len(table.counts))
    if len(held) != len(table.counts) or np.any(held != table.counts):
        raise InvalidInput("ledger: the cells do not sum to the counts of the frequency table")


def _padding(cells: Cells, pads: Ints, seed: int) -> Ints:
    """Return int64 [cells]: how many members of each cell pad the leavers of their row, drawn alike from all."""
    taken = np.zeros(len(cells.row), dtype=np.int64)
    here = np.flatnonzero((cells.row >= 0) & np.r_[pads > 0, False][cells.row])
    if len(here) == 0:
        return taken
    # one entry a member: a cell of many is drawn from as often as it counts
    member = np.repeat(here, cells.counts[here])
    order = np.random.default_rng(seed).permutation(len(member))
    member = member[order]
    member = member[np.argsort(cells.row[member], kind="stable")]
    row = cells.row[member]
    first = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    rank = np.arange(len(row)) - np.repeat(first, np.diff(np.r_[first, len(row)]))
    np.add.at(taken, member[rank < pads[row]], 1)
    return taken


def _by_row(codes: NDArray[np.int32], inside: Ints, row: Ints, arrays: Arrays, *, rows: int, least: int) -> Ints:
    """Return a group for each cell that stays inside (-1 for others): its row, or a part of it of `least` members."""
    group_of = row.copy()
    kept = np.flatnonzero(row >= 0)
    if len(kept) == 0:
        return group_of
    order = kept[np.argsort(row[kept], kind="stable")]
    starts = np.flatnonzero(np.r_[True, row[order][1:] != row[order][:-1]])
    whole = _cost(codes, order, starts, arrays)
    size = np.add.reduceat(inside[order], starts)
    stops = np.r_[starts[1:], len(order)]
    wide = np.flatnonzero((size >= 2 * least) & (whole > LEAST_GAIN * len(arrays.height)))
    if len(wide) == 0:
        return group_of
    from pdms.anonymize.peel import peel_blocks  # numba loads with it

    blocks = np.concatenate([order[starts[w] : stops[w]] for w in wide])
    block_starts = np.r_[0, np.cumsum(stops[wide] - starts[wide])]
    part_of = peel_blocks(codes, inside, arrays, blocks, block_starts, least=least)
    _take_in(part_of, blocks, block_starts)
    parted = blocks[part_of[blocks] >= 0]
    by_part = parted[np.argsort(part_of[parted], kind="stable")]
    part_starts = np.flatnonzero(np.r_[True, part_of[by_part][1:] != part_of[by_part][:-1]])
    cost = _cost(codes, by_part, part_starts, arrays) * np.add.reduceat(inside[by_part], part_starts)
    spent = np.bincount(row[by_part[part_starts]], weights=cost, minlength=rows)
    gain = whole[wide] - spent[row[order[starts[wide]]]] / size[wide]
    better = np.zeros(rows, dtype=bool)
    better[row[order[starts[wide]]]] = gain >= LEAST_GAIN * len(arrays.height)
    use = parted[better[row[parted]]]
    group_of[use] = rows + part_of[use]
    return group_of


def _take_in(part_of: Ints, blocks: Ints, starts: Ints) -> None:
    """Let what no part of a block took join its last part, the coarsest."""
    lengths = np.diff(starts)
    last = np.maximum.reduceat(part_of[blocks], starts[:-1])
    left = part_of[blocks] < 0
    part_of[blocks[left]] = np.repeat(last, lengths)[left]


def _cost(codes: NDArray[np.int32], order: Ints, starts: Ints, arrays: Arrays) -> NDArray[np.float64]:
    """Return the loss of a member of each group, over all attributes; `order`: by group, which begin at `starts`."""
    low = np.minimum.reduceat(codes[order], starts, axis=0)
    high = np.maximum.reduceat(codes[order], starts, axis=0)
    total = np.zeros(len(starts))
    for a, height in enumerate(arrays.height.tolist()):
        open_ = np.ones(len(starts), dtype=bool)
        for level in range(height):
            at = arrays.offset[a, level]
            met = open_ & (arrays.node[at + low[:, a]] == arrays.node[at + high[:, a]])
            total[met] += arrays.loss[at + low[met, a]]
            open_ &= ~met
    return total


def _fresh(
    table: FrequencyTable,
    hierarchies: Sequence[Hierarchy],
    criteria: Criteria,
    cells: Cells,
    fresh: Ints,
    suppression_limit: float,
    weights: Sequence[float] | None,
    method: Method,
) -> tuple[Anonymized | None, bool]:
    """Anonymise who is in no live release, apart from all others; None where they are too few for that.

    Also tells whether more of them stay out than `suppression_limit` of all members: beside other releases that is
    holding back.
    """
    joining = FrequencyTable(codes=table.codes[cells.tuple_[fresh]], counts=cells.counts[fresh])
    if joining.rows < criteria.smallest_class:
        return None, False
    alike = partial(anonymize, joining, hierarchies, criteria, weights=weights, method=method)
    try:
        return alike(suppression_limit=min(1.0, suppression_limit * cells.members / joining.rows)), False
    except Conflict:
        return alike(suppression_limit=1.0), True


def _composition(
    hierarchies: Sequence[Hierarchy],
    table: FrequencyTable,
    classes: Classes,
    out: Ints,
    suppressed: int,
    variant: str,
    held_back: HeldBack,
) -> Composition:
    loss = measure_loss(hierarchies, table.codes, classes=classes, suppressed=int(out.sum()))
    return Composition(
        class_of=classes.class_of,
        out=out,
        levels=classes.levels,
        nodes=classes.nodes,
        spans=classes.spans,
        sizes=classes.sizes,
        suppressed=suppressed,
        held_back=held_back,
        loss=loss,
        risk=measure_risk(classes.sizes),
        variant=variant,
    )
