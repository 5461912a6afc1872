"""Fits models on raw and on released rows with scikit-learn, in its own environment; prints figures as JSON.

usage: _rulepath_learner.py FOLDER, as `rulepath` prepares it.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

CLUSTERS = 4


def model(kind: str):
    logs = FunctionTransformer(np.log1p)
    if kind == "logistic":
        return make_pipeline(logs, StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    return make_pipeline(logs, DecisionTreeClassifier(max_depth=4, min_samples_leaf=40, random_state=0))


def main(folder: Path) -> None:
    found: dict[str, float] = {}
    halves = [np.load(path) for path in sorted(folder.glob("[0-9]*.npz"))]
    for kind in ("logistic", "tree"):
        pairs = []
        for half in halves:
            scores = []
            for features, target in (("raw", "raw_target"), ("cells", "cells_target")):
                fitted = model(kind).fit(half[features], half[target])
                scores.append(roc_auc_score(half["test_target"], fitted.predict_proba(half["test"])[:, 1]))
            pairs.append(scores)
        raw, release = np.array(pairs).T
        found |= {
            f"{kind}_raw": raw.mean(), f"{kind}_release": release.mean(),
            f"{kind}_error": (raw - release).std() / np.sqrt(len(pairs)),
        }  # fmt: skip
    whole = np.load(folder / "all.npz")
    raw = np.log1p(whole["raw"])
    labels = []
    for learned in (whole["raw"], whole["drawn"]):
        logs = np.log1p(learned)
        middle, width = logs.mean(axis=0), logs.std(axis=0)
        clusters = KMeans(CLUSTERS, n_init=20, random_state=0).fit((logs - middle) / width)
        labels.append(clusters.predict((raw - middle) / width))
    found["ari"] = adjusted_rand_score(*labels)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
