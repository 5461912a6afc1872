"""The rule path: a model learned on a k-anonymous release and applied to exact features, beside one learned raw.

Half of the members are published (k = 10, edges fixed beforehand, the target as a column of its own) and learned from,
the other half, exact, tell how well a model ranks them; the raw model learns from the exact features of the first half.
Mean over several halvings. scikit-learn runs in an environment of its own below the system's temporary folder.

Histograms: the first half is counted by target and declared bin of each feature, noised once for all of it within
epsilon = 1, and nothing else is read: see `from_histograms`.

Clusters (k-means on log(1 + R, F, M), standardised) are learned on the points that classes stand for, the middles of
their cells on that scale, weighted by size, and assigned to exact members; mean over several draws of nine members in
ten. Three ways that are no release say what limits them: raw members with the tenth put back (how far k-means itself
reproduces), members by their bins alone (edges, no k), and the exact mean of each class (grouping, nothing published).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("PDMS_REAL_DATA", ROOT.parent / "shared" / "data")) / "retail"
LEARNER = Path(tempfile.gettempdir()) / "pdms-bench-learner"
K = 10
HALVINGS = 20
TENTHS = 10
"""How often a tenth of the members is set aside for the clusters."""
EPSILON = 1.0
FRESH = 1000
"""First seed of the halvings that histograms are measured on; how to learn from them was chosen on those from 0 on."""
WAYS = {
    "tight": "tight ranges", "tree": "nodes of the tree", "raw": "raw, a tenth more members", "bins": "bins, not k",
    "means": "exact means of classes",
}  # fmt: skip
"""What clusters are learned on; the first two are releases."""
DAYS = (1, 2, 3, 4, 5, 7, 10, 14, 18, 21, 25, 30, 37, 45, 52, 60, 75, 90, 105, 120, 135, 150, 180, 210, 240, 270)
COUNTS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 21, 25, 30, 40, 50, 60, 75, 100, 125, 150, 200, 250, 300, 400)
MONEY = (
    10, 20, 35, 50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000,
    6000, 7500, 10000, 15000, 20000, 30000, 50000,
)  # fmt: skip
LEAST = {"recency_days": 0, "tenure_days": 0, "spend": 5}
"""Least value of a feature, for the leaf below the first edge; 1 for counts."""
EDGES = {
    "recency_days": DAYS, "orders": COUNTS, "spend": MONEY, "tenure_days": DAYS, "kinds": COUNTS,
    "months": tuple(range(2, 13)),
}  # fmt: skip
RFM = ("recency_days", "orders", "spend")
GOALS = {("logistic", 3): 0.005, ("tree", 3): 0.011, ("logistic", 6): 0.010, ("tree", 6): 0.015}

Row = dict[str, Any]


def run(quick: bool) -> Iterator[Row]:
    """Yield one row per figure: loss of AUC, and agreement of clusters."""
    if not DATA.is_dir():
        raise SystemExit(f"the orders are not at {DATA} (set PDMS_REAL_DATA)")
    python = _learner()
    if python is None:
        raise SystemExit("scikit-learn could not be installed")
    for name, made in (("Online Retail", online_retail), ("Complete Journey", complete_journey)):
        frame = made()
        for names in (RFM, tuple(EDGES)):
            with tempfile.TemporaryDirectory() as folder:
                ncp = _prepare(frame, names, Path(folder), halvings=4 if quick else HALVINGS)
                _prepare_histograms(frame, names, Path(folder), halvings=4 if quick else HALVINGS)
                if len(names) == len(RFM):
                    _prepare_clusters(frame, Path(folder), tenths=2 if quick else TENTHS)
                answer = subprocess.run(
                    [python, str(Path(__file__).with_name("_rulepath_learner.py")), folder],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
            found = json.loads(answer.stdout)
            case = f"{name}, {len(names)} features, k={K}"
            yield _row(f"{case}: information loss", ncp, "NCP")
            for model in ("logistic", "tree"):
                raw, ours, spread = (found[f"{model}_{what}"] for what in ("raw", "release", "error"))
                goal = GOALS[model, len(names)]
                yield _row(f"{case}: {model}, AUC raw {raw:.4f}", raw - ours, f"AUC lost (± {spread:.4f})", goal=goal)
            unit = f"AUC lost (± {found['histograms_error']:.4f})"
            case_of = f"{case.rsplit(',', 1)[0]}: from histograms at ε = 1, AUC raw {found['histograms_raw']:.4f}"
            yield _row(case_of, found["histograms_raw"] - found["histograms_ours"], unit, goal=0.016)
            for cluster in found.get("clusters", ()):
                goal = 0.94 if cluster["way"] in ("tight", "tree") else None
                case_of = f"{case}: k-means, {cluster['clusters']} clusters, {WAYS[cluster['way']]}"
                unit = f"ARI to raw (worst {cluster['worst']:.2f}; inertia +{cluster['excess']:.2%})"
                yield _row(case_of, cluster["ari"], unit, goal=goal, least=True)


def _row(case: str, value: float, unit: str, *, goal: float | None = None, least: bool = False) -> Row:
    met = None if goal is None else value >= goal if least else value <= goal
    return {
        "bench": "rulepath", "case": case, "value": round(value, 4), "unit": unit, "peer": None, "ratio": None,
        "goal": goal, "met": met,
    }  # fmt: skip


def online_retail() -> pd.DataFrame:
    """Return features of each customer up to September 2011, and whether they bought in the hundred days after."""
    lines = pd.read_csv(DATA / "online_retail" / "online_retail.csv.gz", parse_dates=["InvoiceDate"])
    lines = lines[lines["CustomerID"].notna() & (lines["Quantity"] > 0) & (lines["UnitPrice"] > 0)]
    lines = lines.assign(
        member=lines["CustomerID"], at=lines["InvoiceDate"], basket=lines["InvoiceNo"], kind=lines["StockCode"],
        money=lines["Quantity"] * lines["UnitPrice"],
    )  # fmt: skip
    return _features(lines, pd.Timestamp("2011-09-01"), lambda after: after.groupby("member").size() > 0)


def complete_journey() -> pd.DataFrame:
    """Return features of each household up to October 2017, and whether it spent 250 dollars in the quarter after."""
    folder = DATA / "complete_journey"
    lines = pd.read_csv(folder / "transactions.csv.gz", parse_dates=["transaction_timestamp"])
    lines = lines.assign(
        member=lines["household_id"], at=lines["transaction_timestamp"], basket=lines["basket_id"],
        kind=lines["product_id"], money=lines["sales_value"],
    )  # fmt: skip
    return _features(lines, pd.Timestamp("2017-10-01"), lambda after: after.groupby("member")["money"].sum() > 250)


def _features(lines: pd.DataFrame, cut: pd.Timestamp, target: Any) -> pd.DataFrame:
    before = lines[lines["at"] < cut]
    by = before.groupby("member")
    found = pd.DataFrame(
        {
            "recency_days": (cut - by["at"].max()).dt.days,
            "orders": by["basket"].nunique(),
            "spend": by["money"].sum(),
            "tenure_days": (cut - by["at"].min()).dt.days,
            "kinds": by["kind"].nunique(),
            "months": by["at"].agg(lambda at: at.dt.month.nunique()),
        }
    )
    hit = target(lines[lines["at"] >= cut])
    return found.assign(target=hit.reindex(found.index, fill_value=False).astype(int))


def space_of(names: tuple[str, ...], *, tight: bool = False) -> list[Any]:
    """Return one hierarchy for each feature, from edges that nobody's data chose."""
    from pdms.anonymize import from_edges

    return [from_edges(name, EDGES[name], open_low=True, runs=tight) for name in names]


def limits(tree: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return log(1 + x) of the least and greatest value of each leaf, which a reader of the view knows."""
    edges = np.asarray(tree.edges)
    whole = 0 if tree.name == "spend" else 1  # the last whole number below an edge
    low = np.log1p(np.concatenate([[LEAST.get(tree.name, 1)], edges]))
    return low, np.log1p(np.concatenate([edges - whole, [edges[-1] * 2]]))


def spread_of(first: np.ndarray, last: np.ndarray, sizes: np.ndarray, leaves: int) -> np.ndarray:
    """Return float64 [classes, leaves]: how the members of a class may lie over the leaves that its cell covers.

    Estimated from the release alone, by expectation and maximisation of the whole column's distribution.
    """
    covered = (first[:, None] <= np.arange(leaves)) & (np.arange(leaves) < last[:, None])
    shares = np.full(leaves, 1 / leaves)
    for _ in range(100):
        spread = covered * shares
        spread /= spread.sum(axis=1, keepdims=True)
        shares = np.maximum(sizes @ spread / sizes.sum(), 1e-9)
    return spread


def released(exact: np.ndarray, target: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """Publish members at k; return what a reader learns from: rows of numbers, their targets, the NCP.

    A cell that covers several leaves stands for their mean.
    """
    from pdms.anonymize import Criteria, anonymize, tabulate

    space = space_of(names)
    codes = np.stack([tree.encode_numbers(exact[:, column]) for column, tree in enumerate(space)], axis=1)
    table, _ = tabulate(codes, sensitive=target, sensitive_values=2)
    result = anonymize(table, space, Criteria(k=K), suppression_limit=0.01)
    owner, value = np.nonzero(result.sensitive)
    repeats = result.sensitive[owner, value]
    of_row = np.repeat(owner, repeats)
    rows = np.zeros((len(of_row), len(space)))
    for column, tree in enumerate(space):
        nodes = zip(result.levels[:, column].tolist(), result.nodes[:, column].tolist(), strict=True)
        first, last = np.array([tree.leaf_range(level, node) for level, node in nodes]).T
        spread = spread_of(first, last, result.sizes, len(tree.leaves))
        low, high = limits(tree)
        rows[:, column] = np.expm1(spread @ ((low + high) / 2))[of_row]
    return rows, np.repeat(value, repeats), result.loss.ncp


def _prepare(frame: pd.DataFrame, names: tuple[str, ...], folder: Path, *, halvings: int) -> float:
    exact, target = frame[list(names)].to_numpy(dtype=np.float64), frame["target"].to_numpy()
    lost = []
    for halving in range(halvings):
        order = np.random.default_rng(halving).permutation(len(exact))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        cells, values, ncp = released(exact[first], target[first], names)
        lost.append(ncp)
        np.savez(
            folder / f"{halving}.npz", raw=exact[first], raw_target=target[first], cells=cells, cells_target=values,
            test=exact[second], test_target=target[second],
        )  # fmt: skip
    return float(np.mean(lost))


def from_histograms(codes: np.ndarray, target: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Return points for each leaf of each feature, learned from one noised vector of histograms by target.

    A member stands in one cell of each feature's histogram, so that the vector moves by their number. The
    logarithm of the odds is fitted by a parabola over the bins, weighted by what the cells hold, and each feature's
    points by the fourth power of what it tells alone (AUC - .5, read off the same noised histograms), since features
    that tell the same thing would count twice.
    """
    from pdms.anonymize.noise import noised_purely

    cells = [
        np.bincount(codes[:, column] * 2 + target, minlength=2 * size) for column, size in enumerate(sizes)
    ]  # fmt: skip
    told = noised_purely(np.concatenate(cells).tolist(), moved=len(sizes), epsilon=EPSILON).values
    found, begin = [], 0
    for size in sizes:
        held = np.maximum(np.array(told[begin : begin + 2 * size], dtype=np.float64).reshape(size, 2), 0) + 1
        begin += 2 * size
        shares = held / held.sum(axis=0)
        place = np.linspace(-1, 1, size)
        design = np.stack([np.ones(size), place, place**2], axis=1)
        weighted = design * np.sqrt(held.prod(axis=1) / held.sum(axis=1))[:, None]
        odds = np.log(shares[:, 1] / shares[:, 0]) * weighted[:, 0]
        fitted = design @ np.linalg.solve(weighted.T @ weighted + 1e-3 * np.eye(3), weighted.T @ odds)
        ranked = shares[np.argsort(fitted, kind="stable")]
        alone = float(ranked[:, 1] @ (np.cumsum(ranked[:, 0]) - ranked[:, 0] / 2))
        found.append(max(alone - 0.5, 0.0) ** 4 * fitted)
    return found


def _prepare_histograms(frame: pd.DataFrame, names: tuple[str, ...], folder: Path, *, halvings: int) -> None:
    exact, target = frame[list(names)].to_numpy(dtype=np.float64), frame["target"].to_numpy()
    space = space_of(names)
    codes = np.stack([tree.encode_numbers(exact[:, column]) for column, tree in enumerate(space)], axis=1)
    for halving in range(halvings):
        order = np.random.default_rng(FRESH + halving).permutation(len(exact))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        points = from_histograms(codes[first], target[first], [len(tree.leaves) for tree in space])
        score = sum(of[codes[second, column]] for column, of in enumerate(points))
        np.savez(
            folder / f"histograms-{halving}.npz", raw=exact[first], raw_target=target[first], test=exact[second],
            test_target=target[second], score=score,
        )  # fmt: skip


def points(exact: np.ndarray, *, tight: bool) -> tuple[np.ndarray, ...]:
    """Publish R, F and M at k; return what a reader learns clusters from, and what nobody is shown.

    Points of the classes, float64 [classes, 3] of log(1 + x), their sizes, and their exact means.
    """
    from pdms.anonymize import Criteria, anonymize, tabulate

    space = space_of(RFM, tight=tight)
    codes = np.stack([tree.encode_numbers(exact[:, column]) for column, tree in enumerate(space)], axis=1)
    table, tuple_of_row = tabulate(codes)
    result = anonymize(table, space, Criteria(k=K), suppression_limit=0.01)
    class_of = result.class_of[tuple_of_row]
    inside = class_of >= 0
    middles, means = np.zeros((2, len(result.sizes), len(space)))
    for column, tree in enumerate(space):
        low, high = limits(tree)
        first, last = result.spans[:, column].T
        middles[:, column] = (low[first] + high[last - 1]) / 2
        means[:, column] = np.bincount(class_of[inside], np.log1p(exact[inside, column])) / result.sizes
    return middles, result.sizes, means


def _prepare_clusters(frame: pd.DataFrame, folder: Path, *, tenths: int) -> None:
    exact = frame[list(RFM)].to_numpy(dtype=np.float64)
    for tenth in range(tenths):
        kept = np.sort(np.random.default_rng(tenth).permutation(len(exact))[len(exact) // 10 :])
        bins = np.zeros((len(kept), len(RFM)))
        for column, tree in enumerate(space_of(RFM)):
            low, high = limits(tree)
            bins[:, column] = ((low + high) / 2)[tree.encode_numbers(exact[kept, column])]
        tree_middles, tree_sizes, _ = points(exact[kept], tight=False)
        tight_middles, tight_sizes, means = points(exact[kept], tight=True)
        np.savez(
            folder / f"clusters-{tenth}.npz", members=np.log1p(exact[kept]), raw=np.log1p(exact), bins=bins,
            tree=tree_middles, tree_sizes=tree_sizes, tight=tight_middles, tight_sizes=tight_sizes, means=means,
            means_sizes=tight_sizes,
        )  # fmt: skip


def _learner() -> str | None:
    """Return the interpreter of an environment with scikit-learn, made on first use; None where it cannot be made."""
    python = LEARNER / "bin" / "python"
    if not python.is_file():
        uv = shutil.which("uv")
        make = [uv, "venv", "-q", str(LEARNER)] if uv else [sys.executable, "-m", "venv", str(LEARNER)]
        pip = [uv, "pip", "install", "-q", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
        for command in (make, [*pip, "scikit-learn==1.7.2"]):
            if subprocess.run(command, check=False, capture_output=True).returncode:
                shutil.rmtree(LEARNER, ignore_errors=True)
                return None
    return str(python)
