"""Releases one after another: twelve months of synthetic members, 2 % leaving and 3 % joining, beside independent ones.

Each month's release is composed with the one before, which is out until its month is over; then the attacker who holds
both is played: members whose pair of classes (absence included) is shared by fewer than k. The same members released
independently each month are the peer. Stayers keep their values first; then income and tenure of some drift each month.
NCP is over published rows; whoever is held back or suppressed is counted in the shares beside it. `--quick`: 50,000.
"""

import importlib.util
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT.parent / "shared" / "bench" / "make_members.py"
NUMERIC = ("age", "income", "tenure")
LEAVE, JOIN, MONTHS = 0.02, 0.03, 12

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One history: class size, least new class in multiples of it, share whose income and tenure move each month."""

    k: int
    headroom: float
    drift: float
    goal: float | None


CASES = (Case(5, 1, 0, 0.10), Case(10, 2, 0, 0.15), Case(5, 1, 0.1, None))


def run(quick: bool) -> Iterator[Row]:
    """Yield one row per figure."""
    if not SCRIPT.is_file():
        raise SystemExit(f"the members' generator is not at {SCRIPT}")
    members = 50_000 if quick else 1_000_000
    months = 4 if quick else MONTHS
    trees, codes = _members(int(members * (1 + JOIN * MONTHS) + 1))
    yield from _independent(trees, codes, members)
    for case in CASES:
        yield from _history(case, trees, codes.copy(), members, months)


def _row(case: str, value: float, unit: str, *, peer: float | None = None, goal: float | None = None) -> Row:
    return {
        "bench": "releases",
        "case": case,
        "value": round(value, 5),
        "unit": unit,
        "peer": peer,
        "ratio": round(peer / value, 2) if peer is not None and value > 0 else None,
        "goal": goal,
        "met": None if goal is None else value <= goal,
    }


def _members(rows: int) -> tuple[list[Any], np.ndarray]:
    from pdms.anonymize import from_arx

    spec = importlib.util.spec_from_file_location("make_members", SCRIPT)
    if spec is None or spec.loader is None:
        raise SystemExit("the members' generator cannot be read")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    frame = made.members(rows)
    trees, columns = [], []
    with tempfile.TemporaryDirectory() as folder:
        made.hierarchies(Path(folder))
        for name in frame.columns:
            path = Path(folder) / f"members_hierarchy_{name}.csv"
            if path.is_file():
                tree = from_arx(name, path.read_text(), numeric=name in NUMERIC)
                values, place = np.unique(frame[name].astype(str), return_inverse=True)
                columns.append(tree.encode(values)[place].astype(np.int32))
                trees.append(tree)
    return trees, np.stack(columns, axis=1)


def _months(everybody: int, members: int, months: int) -> Iterator[np.ndarray]:
    """Yield who may be in each month's release: bool [everybody]."""
    rng = np.random.default_rng(3)
    may = np.zeros(everybody, dtype=bool)
    may[:members] = True
    joined = members
    for month in range(months):
        if month:
            may[rng.choice(np.flatnonzero(may), int(LEAVE * members), replace=False)] = False
            may[joined : joined + int(JOIN * members)] = True
            joined += int(JOIN * members)
        yield may


def _independent(trees: list[Any], codes: np.ndarray, members: int) -> Iterator[Row]:
    from pdms.anonymize import Criteria, anonymize, tabulate
    from pdms.anonymize.ledger_check import measure_together

    held = []
    for may in _months(len(codes), members, 2):
        table, tuple_ = tabulate(codes[may])
        found = anonymize(table, trees, Criteria(k=5), suppression_limit=0.001)
        class_of = np.full(len(codes), -1)
        class_of[may] = found.class_of[tuple_]
        held.append(class_of)
    pair = measure_together(held, asked=5)
    yield _row("independent k=5, members in pairs below 5", pair.below / pair.members, "share")


def _history(case: Case, trees: list[Any], codes: np.ndarray, members: int, months: int) -> Iterator[Row]:
    from pdms.anonymize import Criteria, tabulate
    from pdms.anonymize.ledger import cells_of, compose
    from pdms.anonymize.ledger_check import measure_together
    from pdms.anonymize.ledger_rows import Rows, leavers_of, with_release, with_releases_only
    from pdms.publish.together import drawn

    rng = np.random.default_rng(4)
    rows, row_of = Rows.none(), np.full(len(codes), -1, dtype=np.int64)
    below, worst_check, worst_cpu, held_back, naive, ncps = 0, 0.0, 0.0, [], [], []
    before = row_of
    for month, may in enumerate(_months(len(codes), members, months)):
        if month and case.drift:
            _drift(codes, trees, rng, case.drift)
        if rows.releases > 1:
            rows, row_of = with_releases_only(rows, row_of, [rows.releases - 1])
        who = np.flatnonzero(may)
        begun = time.process_time()
        table, tuple_ = tabulate(codes[who])
        cells, cell_of = cells_of(row_of[who], tuple_)
        leavers = leavers_of(rows, row_of, may)
        made = compose(
            table,
            trees,
            Criteria(k=case.k),
            cells=cells,
            leavers=leavers,
            suppression_limit=0.001,
            headroom=case.headroom,
        )
        class_of = np.full(len(codes), -1, dtype=np.int64)
        class_of[who] = drawn(made.class_of, made.out, cell_of, seed=month)
        worst_cpu = max(worst_cpu, time.process_time() - begun)
        begun = time.process_time()
        pair = measure_together([before, class_of], asked=case.k)
        worst_check = max(worst_check, time.process_time() - begun)
        below += pair.below
        stayers = np.bincount(cells.row[cells.row >= 0], weights=cells.counts[cells.row >= 0], minlength=len(leavers))
        whole = stayers[(leavers > 0) & (leavers < case.k) | (stayers < case.k)].sum()
        if month:
            held_back.append(made.held_back.total / len(who))
            naive.append(whole / len(who))
        published = int(made.sizes.sum())
        ncps.append((made.loss.ncp * len(who) - (len(who) - published)) / published)
        rows, row_of = with_release(rows, row_of, class_of)
        before = class_of
    name = f"{months} months, {members:,} members, k={case.k}"
    if case.headroom > 1:
        name += f", new classes of {case.headroom:g}k"
    if case.drift:
        name += f", income and tenure of {case.drift:.0%} move a month"
    yield _row(f"{name}: members in pairs below k", below, "members", goal=0)
    yield _row(
        f"{name}: held back, worst month", max(held_back), "share (peer: whole classes)",
        peer=round(max(naive), 4), goal=case.goal,
    )  # fmt: skip
    yield _row(f"{name}: check, worst month", worst_check, "s CPU", goal=2.0)
    yield _row(f"{name}: composing, worst month", worst_cpu, "s CPU")
    for month, ncp in enumerate(ncps, 1):
        yield _row(f"{name}: NCP of month {month}", ncp, "NCP")


def _drift(codes: np.ndarray, trees: list[Any], rng: np.random.Generator, share: float) -> None:
    """Move income and tenure of some by up to three steps either way."""
    for column, tree in enumerate(trees):
        if tree.name in ("income", "tenure"):
            moved = rng.random(len(codes)) < share
            step = rng.integers(-3, 4, int(moved.sum()))
            codes[moved, column] = np.clip(codes[moved, column] + step, 0, len(tree.leaves) - 1)
