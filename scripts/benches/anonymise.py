"""Anonymisation: precision and CPU time on Adult and on nearly unique synthetic members, beside peers from PyPI.

NCP as `pdms.anonymize.loss` defines it, the peers' published sets charged at their lowest common node. ARX's figures
are those measured once on the same data, in Java, and are printed as such. Python peers run in an environment of
their own, which the first full run makes below the system's temporary folder; `--quick` leaves them out.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("PDMS_REAL_DATA", ROOT.parent / "shared" / "data"))
PEERS = Path(tempfile.gettempdir()) / "pdms-bench-peers"
NAMES = ("sex", "age", "race", "marital-status", "education", "native-country", "workclass", "occupation")
NUMERIC = {"age", "income", "tenure"}
ARX_K = {5: (0.0545, 10.0), 10: (0.0786, 16.0), 50: (0.1495, 26.0)}
GOALS_K = {5: (0.0533, 0.2), 10: (0.0777, 0.3), 50: (0.149, 0.6)}
GOALS_MEMBERS = {300_000: (0.0955, 4.0, None), 1_000_000: (0.070, 10.0, 1.0), 10_000_000: (None, 60.0, 4.0)}
ARX_MEMBERS = {300_000: (0.0958, 279.0)}
FULL_DOMAIN_AT = 300_000

Row = dict[str, Any]


def run(quick: bool) -> Iterator[Row]:
    """Yield one row per figure: CPU seconds, NCP, share of members left out, memory."""
    if not (DATA / "adult").is_dir():
        raise SystemExit(f"the Adult data are not at {DATA} (set PDMS_REAL_DATA)")
    _warm()
    yield from _adult_k()
    yield from _adult_full_domain()
    yield from _adult_sensitive()
    if not quick:
        yield from _adult_peers()
    script = DATA.parent / "bench" / "make_members.py"
    if script.is_file():
        for rows in (30_000,) if quick else (30_000, 300_000, 1_000_000, 10_000_000):
            yield from _members(script, rows)
    yield from _recheck(100_000 if quick else 1_000_000, pycanon_rows=10_000 if quick else 100_000)


def _row(case: str, value: float, unit: str, *, peer: float | None = None, goal: float | None = None) -> Row:
    return {
        "bench": "anonymise",
        "case": case,
        "value": round(value, 5),
        "unit": unit,
        "peer": peer,
        "ratio": round(peer / value, 2) if peer is not None and value > 0 else None,
        "goal": goal,
        "met": None if goal is None else value <= goal,
    }


def _cpu(work: Callable[[], Any], *, repeats: int = 3) -> tuple[float, Any]:
    """Return the least CPU time of `repeats` runs, and what the work returned; `_warm` has been called before."""
    least, result = float("inf"), None
    for _ in range(repeats):
        begun = time.process_time()
        result = work()
        least = min(least, time.process_time() - begun)
    return least, result


def _warm() -> None:
    """Compile the loops, or read them from disk, before any clock starts."""
    from pdms.anonymize import Closeness, Criteria, anonymize, flat, measure, tabulate

    table, _ = tabulate([[0], [1]], sensitive=[0, 1])
    for criteria in (Criteria(k=1), Criteria(k=1, closeness=Closeness(0.5))):
        anonymize(table, [flat("warm", ["a", "b"])], criteria, suppression_limit=1)
    measure({"warm": ["a"], "topic": ["b"]}, sensitive="topic")


def _adult(sensitive: str = "") -> tuple[Any, list[Any], np.ndarray, pd.DataFrame]:
    from pdms.anonymize import from_arx, tabulate

    frame = pd.read_csv(DATA / "adult" / "adult.csv", sep=";", dtype=str)
    hierarchies = [
        from_arx(name, (DATA / "adult" / f"adult_hierarchy_{name}.csv").read_text(), numeric=name in NUMERIC)
        for name in NAMES
        if name != sensitive
    ]
    codes = np.stack([hierarchy.encode(frame[hierarchy.name]) for hierarchy in hierarchies], axis=1)
    values = pd.factorize(frame[sensitive], sort=True)[0] if sensitive else None
    table, _ = tabulate(codes, sensitive=values)
    return table, hierarchies, codes, frame


def _adult_k() -> Iterator[Row]:
    from pdms.anonymize import Criteria, anonymize

    table, hierarchies, _, _ = _adult()
    for k, (goal, seconds) in GOALS_K.items():
        cpu, result = _cpu(lambda k=k: anonymize(table, hierarchies, Criteria(k=k), suppression_limit=0.001))
        arx, arx_cpu = ARX_K[k]
        yield _row(f"Adult k={k}", result.loss.ncp, "NCP (peer: ARX)", peer=arx, goal=goal)
        yield _row(f"Adult k={k}", cpu, "s CPU (peer: ARX)", peer=arx_cpu, goal=seconds)
        yield _row(f"Adult k={k} left out", result.loss.suppressed_share, "share", goal=0.001)


def _adult_full_domain() -> Iterator[Row]:
    from pdms.anonymize import Criteria, Method, anonymize

    table, hierarchies, _, _ = _adult()
    cpu, result = _cpu(
        lambda: anonymize(table, hierarchies, Criteria(k=5), suppression_limit=0.02, method=Method.FULL_DOMAIN)
    )
    yield _row("Adult k=5 full domain, 2 % left out", result.loss.ncp, "NCP (peer: ARX)", peer=0.338)
    yield _row("Adult k=5 full domain, 2 % left out", cpu, "s CPU (peer: ARX)", peer=1.0, goal=1.0)


def _adult_sensitive() -> Iterator[Row]:
    from pdms.anonymize import Closeness, Criteria, Diversity, anonymize

    for name, sensitive, criteria, arx, goal, lost in (
        ("l=3 occupation", "occupation", Criteria(k=5, diversity=Diversity(3)), 0.0332, 0.0325, 0.001),
        ("l=2 salary", "salary-class", Criteria(k=5, diversity=Diversity(2)), 0.262, 0.210, 0.15),
        ("t=.2 salary", "salary-class", Criteria(k=5, closeness=Closeness(0.2)), 0.275, 0.275, 0.07),
        ("t=.2 occupation", "occupation", Criteria(k=5, closeness=Closeness(0.2)), 0.449, 0.449, 0.17),
    ):
        table, hierarchies, _, _ = _adult(sensitive)
        cpu, result = _cpu(
            lambda t=table, h=hierarchies, c=criteria: anonymize(t, h, c, suppression_limit=0.2), repeats=1
        )
        yield _row(f"Adult {name}", result.loss.ncp, "NCP (peer: ARX)", peer=arx, goal=goal)
        yield _row(f"Adult {name}", cpu, "s CPU")
        yield _row(f"Adult {name} left out", result.loss.suppressed_share, "share", goal=lost)


def _adult_peers() -> Iterator[Row]:
    """Python peers on the same table at k=5: at least 100 times less CPU than a Mondrian peer, NCP at most .6 of it."""
    from pdms.anonymize import Criteria, anonymize

    table, hierarchies, codes, _ = _adult()
    python = _peer_python()
    if python is None:
        return
    for peer, goal_ncp, goal_cpu in (("anonypy", 0.6, 0.01), ("anjana", 0.6, None)):
        with tempfile.TemporaryDirectory() as folder:
            answer = subprocess.run(
                [python, str(Path(__file__).with_name("_anonymise_peer.py")), peer, str(DATA / "adult"), folder],
                capture_output=True,
                text=True,
                check=False,
            )
            if answer.returncode:
                print(f"{peer} failed: {answer.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                continue
            theirs = json.loads(answer.stdout)
            ncp = _ncp_of_sets(json.loads((Path(folder) / "out.json").read_text()), hierarchies, codes)
        cpu, result = _cpu(lambda: anonymize(table, hierarchies, Criteria(k=5), suppression_limit=0.001))
        yield _row(
            f"Adult k=5 beside {peer}", result.loss.ncp, f"NCP (peer: {peer})", peer=round(ncp, 4), goal=goal_ncp * ncp
        )
        yield _row(
            f"Adult k=5 beside {peer}",
            cpu,
            f"s CPU (peer: {peer})",
            peer=round(theirs["cpu"], 2),
            goal=None if goal_cpu is None else goal_cpu * theirs["cpu"],
        )


def _ncp_of_sets(published: dict[str, Any], hierarchies: list[Any], codes: np.ndarray) -> float:
    """Charge each published set of leaves, or each node label, at its lowest common node."""
    from pdms.anonymize.loss import node_losses

    weights, lost, rows = published["count"], 0.0, len(codes)
    for column, hierarchy in enumerate(hierarchies):
        losses = node_losses(hierarchy, codes[:, column])
        index = {label: code for code, label in enumerate(hierarchy.leaves)}
        known: dict[tuple[str, ...], float] = {}
        for weight, labels in zip(weights, published[hierarchy.name], strict=True):
            key = tuple(labels)
            if key not in known:
                if all(label in index for label in key):
                    leaves = [index[label] for label in key]
                    level = 0
                    while hierarchy.ancestors[level, min(leaves)] != hierarchy.ancestors[level, max(leaves)]:
                        level += 1
                    known[key] = float(losses[level][hierarchy.ancestors[level, min(leaves)]])
                else:
                    level, node = hierarchy.node_of(key[0])
                    known[key] = float(losses[level][node])
            lost += weight * known[key]
    suppressed = rows - sum(weights)
    return (lost + suppressed * len(hierarchies)) / (rows * len(hierarchies))


def _peer_python() -> str | None:
    """Return the interpreter of the peers' own environment, made on first use; None where it cannot be made."""
    python = PEERS / "bin" / "python"
    if not python.is_file():
        uv = shutil.which("uv")
        make = [uv, "venv", "-q", str(PEERS)] if uv else [sys.executable, "-m", "venv", str(PEERS)]
        packages = ["anonypy==0.2.1", "anjana==1.2.3"]
        install = (
            [uv, "pip", "install", "-q", "--python", str(python), *packages]
            if uv
            else [str(python), "-m", "pip", "install", "-q", *packages]
        )
        for command in (make, install):
            if subprocess.run(command, check=False, capture_output=True).returncode:
                shutil.rmtree(PEERS, ignore_errors=True)
                print("peers could not be installed; their rows are left out", file=sys.stderr)
                return None
    return str(python)


def _members(script: Path, rows: int) -> Iterator[Row]:
    """Anonymise synthetic members in a process of its own, so that its memory can be told."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(script), str(rows), folder], check=True)
        command = [sys.executable, str(Path(__file__)), folder]
        answer = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    figures = json.loads(answer.stdout)
    goal_ncp, goal_cpu, goal_memory = GOALS_MEMBERS.get(rows, (None, None, None))
    arx_ncp, arx_cpu = ARX_MEMBERS.get(rows, (None, None))
    yield _row(f"members {rows:,} k=5", figures["ncp"], "NCP (peer: ARX)", peer=arx_ncp, goal=goal_ncp)
    yield _row(f"members {rows:,} k=5", figures["cpu"], "s CPU (peer: ARX)", peer=arx_cpu, goal=goal_cpu)
    yield _row(f"members {rows:,} memory", figures["memory"], "GB above the loaded table")
    yield _row(f"members {rows:,} memory, all of the process", figures["peak"], "GB", goal=goal_memory)
    if "full_cpu" in figures:
        case = f"members {rows:,} k=5 full domain, 2 % left out"
        yield _row(case, figures["full_ncp"], "NCP")
        yield _row(case, figures["full_cpu"], "s CPU (peer: ARX)", peer=40.0, goal=20.0)


def _measure_members(folder: Path) -> None:
    """Print CPU time, NCP and memory of one table of members as JSON (called in a process of its own)."""
    import pyarrow.parquet as pq

    from pdms.anonymize import Criteria, Method, anonymize, from_arx, tabulate

    # a batch of one column at a time: the table of codes alone is held, not the labels of ten million members
    with pq.ParquetFile(folder / "members.parquet") as file:
        names = [n for n in file.schema_arrow.names if (folder / f"members_hierarchy_{n}.csv").is_file()]
        texts = [(folder / f"members_hierarchy_{name}.csv").read_text() for name in names]
        hierarchies = [from_arx(n, text, numeric=n in NUMERIC) for n, text in zip(names, texts, strict=True)]
        codes = np.empty((file.metadata.num_rows, len(names)), dtype=np.int32)
        for place, (name, hierarchy) in enumerate(zip(names, hierarchies, strict=True)):
            row = 0
            for batch in file.iter_batches(columns=[name], batch_size=1 << 18):
                column = batch.column(0).dictionary_encode()
                leaves = hierarchy.encode(column.dictionary.to_pylist())
                codes[row : row + len(column), place] = leaves[column.indices.to_numpy(zero_copy_only=False)]
                row += len(column)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    table, _ = tabulate(codes)
    result = anonymize(table, hierarchies, Criteria(k=5), suppression_limit=0.001)
    cpu = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {"cpu": cpu, "ncp": result.loss.ncp, "memory": (peak - before) / 1e6, "peak": peak / 1e6}
    if table.rows == FULL_DOMAIN_AT:
        begun = time.process_time()
        result = anonymize(table, hierarchies, Criteria(k=5), suppression_limit=0.02, method=Method.FULL_DOMAIN)
        figures |= {"full_cpu": time.process_time() - begun, "full_ncp": result.loss.ncp}
    print(json.dumps(figures))


def _recheck(rows: int, *, pycanon_rows: int) -> Iterator[Row]:
    """Measure k, l and t of a released table with independent code, beside pyCANON at a size that it bears."""
    from pycanon import anonymity

    from pdms.anonymize import measure

    rng = np.random.default_rng(5)
    keys = ["city", "age", "spend", "orders"]
    frame = pd.DataFrame({key: rng.integers(0, 18 if key == "city" else 8, rows).astype(str) for key in keys})
    frame["topic"] = rng.integers(0, 14, rows).astype(str)
    goal = 1.0 if rows == 1_000_000 else None
    cpu, _ = _cpu(lambda: measure(frame, sensitive="topic"), repeats=1)
    yield _row(f"re-check k, l, t of {rows:,} rows", cpu, "s CPU", goal=goal)
    small = (
        frame[frame["city"].isin(["0", "1"])].head(pycanon_rows).reset_index(drop=True)
    )  # pyCANON's cost follows classes times rows
    ours, _ = _cpu(lambda: measure(small, sensitive="topic"), repeats=1)
    begun = time.process_time()
    anonymity.k_anonymity(small, keys)
    anonymity.l_diversity(small, keys, ["topic"])
    anonymity.t_closeness(small, keys, ["topic"])
    theirs = time.process_time() - begun
    yield _row(f"re-check k, l, t of {len(small):,} rows", ours, "s CPU (peer: pyCANON)", peer=round(theirs, 2))


if __name__ == "__main__":
    _measure_members(Path(sys.argv[1]))
