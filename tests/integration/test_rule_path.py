"""The rule path on real members: what is learned on a release ranks exact members as well as what is learned raw."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "benches" / "rulepath.py"


def logistic(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the ridge logistic coefficients by Newton's method; the last is the intercept."""
    design = np.column_stack([features, np.ones(len(features))])
    weights = np.zeros(design.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-design @ weights))
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + np.eye(design.shape[1])
        weights += np.linalg.solve(curvature, design.T @ (target - chance) - weights)
    return weights


def auc(score: np.ndarray, target: np.ndarray) -> float:
    """Return the share of pairs of one hit and one miss that `score` puts in order, ties half."""
    hits, misses = np.sort(score[target == 1]), np.sort(score[target == 0])
    below, not_above = np.searchsorted(misses, hits, side="left"), np.searchsorted(misses, hits, side="right")
    return float((below + not_above).sum() / 2 / len(hits) / len(misses))


@pytest.mark.real_data
def test_a_model_learned_on_a_release_ranks_exact_members_like_one_learned_raw(real_data: Path) -> None:
    assert (real_data / "retail" / "online_retail").is_dir()
    spec = importlib.util.spec_from_file_location("rulepath_bench", BENCH)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    bench.DATA = real_data / "retail"
    frame = bench.online_retail()
    exact, target = frame[list(bench.RFM)].to_numpy(dtype=float), frame["target"].to_numpy()
    lost = []
    for halving in range(4):
        order = np.random.default_rng(halving).permutation(len(exact))
        learned, tested = order[: len(order) // 2], order[len(order) // 2 :]
        rows, values, ncp = bench.released(exact[learned], target[learned], bench.RFM)
        assert 0.02 < ncp < 0.2  # it was coarsened, and not to nothing
        test = np.column_stack([np.log1p(exact[tested]), np.ones(len(tested))])
        raw, ours = logistic(np.log1p(exact[learned]), target[learned]), logistic(np.log1p(rows), values)
        best = auc(test @ raw, target[tested])
        assert best > 0.7
        lost.append(best - auc(test @ ours, target[tested]))
    assert np.mean(lost) <= 0.005
