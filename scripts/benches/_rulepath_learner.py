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

CLUSTERS = (2, 3, 4)
STARTS = 20


def clusters(points, members, *, number, weights=None):
    """Return the cluster of each member by k-means on weighted points, standardised as the points are; and inertia.

    The inertia is that of the members, standardised as the members are, around the centers learned.
    """
    middle = np.average(points, axis=0, weights=weights)
    width = np.sqrt(np.average((points - middle) ** 2, axis=0, weights=weights))
    fitted = KMeans(number, n_init=STARTS, random_state=0, tol=1e-6).fit((points - middle) / width, None, weights)
    labels = fitted.predict((members - middle) / width)
    gaps = (members - (fitted.cluster_centers_ * width + middle)[labels]) / members.std(axis=0)
    return labels, float((gaps**2).sum())


def agreement(folders: list[Path]) -> list[dict]:
    """Return, by number of clusters and way of learning, how far clusters agree with those of the raw members."""
    found = []
    for number in CLUSTERS:
        reached = {}
        for path in folders:
            data = np.load(path)
            members = data["members"]
            best, least = clusters(members, members, number=number)
            for way in ("tight", "tree", "raw", "bins", "means"):
                weights = data[f"{way}_sizes"].astype(float) if f"{way}_sizes" in data else None
                labels, inertia = clusters(data[way], members, number=number, weights=weights)
                reached.setdefault(way, []).append((adjusted_rand_score(best, labels), inertia / least - 1))
        for way, pairs in reached.items():
            ari, excess = np.array(pairs).T
            found.append(
                {"clusters": number, "way": way, "ari": ari.mean(), "worst": ari.min(), "excess": excess.mean()}
            )
    return found


def model(kind: str):
    logs = FunctionTransformer(np.log1p)
    if kind == "logistic":
        return make_pipeline(logs, StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    return make_pipeline(logs, DecisionTreeClassifier(max_depth=4, min_samples_leaf=40, random_state=0))


def main(folder: Path) -> None:
    found: dict = {}
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
    pairs = []
    for path in sorted(folder.glob("histograms-*.npz")):
        half = np.load(path)
        fitted = model("logistic").fit(half["raw"], half["raw_target"])
        chances = fitted.predict_proba(half["test"])[:, 1]
        pairs.append([roc_auc_score(half["test_target"], score) for score in (chances, half["score"])])
    raw, ours = np.array(pairs).T
    found |= {
        "histograms_raw": raw.mean(), "histograms_ours": ours.mean(),
        "histograms_error": (raw - ours).std() / np.sqrt(len(pairs)),
    }  # fmt: skip
    drawn = sorted(folder.glob("clusters-*.npz"))
    if drawn:
        found["clusters"] = agreement(drawn)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
