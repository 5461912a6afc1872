"""Runs one peer on Adult at k=5 in the peers' own environment; prints its CPU time, writes what it published.

usage: _anonymise_peer.py PEER ADULT_FOLDER OUT_FOLDER. Output: for each class or row its count, and for each attribute
the leaves that it may be, or one node label.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd

NAMES = ["sex", "age", "race", "marital-status", "education", "native-country", "workclass", "occupation"]


def with_anonypy(frame: pd.DataFrame) -> tuple[float, dict]:
    import anonypy

    for name in NAMES:
        if name != "age":
            frame[name] = frame[name].astype("category")
    begun = time.process_time()
    rows = anonypy.Preserver(frame, NAMES, "salary-class").anonymize_k_anonymity(k=5)
    cpu = time.process_time() - begun
    out = {name: [_leaves(name, row[name]) for row in rows] for name in NAMES}
    return cpu, {**out, "count": [int(row["count"]) for row in rows]}


def _leaves(name: str, published: object) -> list[str]:
    text = str(published[0] if isinstance(published, list) else published).strip("[]")
    if name != "age":
        return text.split(",")
    ends = text.split("-")
    return [ends[0], ends[-1]]


def with_anjana(frame: pd.DataFrame, folder: Path) -> tuple[float, dict]:
    from anjana.anonymity import k_anonymity

    hierarchies = {}
    for name in NAMES:
        table = pd.read_csv(folder / f"adult_hierarchy_{name}.csv", sep=";", header=None, dtype=str)
        hierarchies[name] = {level: table[level].to_numpy() for level in table.columns}
        frame[name] = frame[name].astype(str)
    begun = time.process_time()
    published = k_anonymity(frame, [], NAMES, 5, 2, hierarchies)
    cpu = time.process_time() - begun
    out = {name: [[label] for label in published[name].astype(str)] for name in NAMES}
    return cpu, {**out, "count": [1] * len(published)}


if __name__ == "__main__":
    peer, adult, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    data = pd.read_csv(adult / "adult.csv", sep=";")
    seconds, result = with_anonypy(data) if peer == "anonypy" else with_anjana(data, adult)
    (folder / "out.json").write_text(json.dumps(result))
    print(json.dumps({"cpu": seconds}))
