"""Every method against the same tables; the full-domain optimum against all lattice nodes tried one by one."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from pdms.anonymize import (
    Closeness,
    Criteria,
    Distance,
    Diversity,
    DiversityKind,
    Hierarchy,
    Method,
    anonymize,
    from_arx,
    from_edges,
    from_rows,
    measure,
    tabulate,
)
from pdms.anonymize.criteria import satisfied
from pdms.errors import Conflict, InvalidInput

CITY = from_rows("city", [(f"c{i}", f"p{i // 3}", f"r{i // 9}", "*") for i in range(18)])
SPEND = from_edges("spend", [0, 10, 20, 50, 100, 200])
GENDER = from_rows("gender", [("f", "*"), ("m", "*")])
SPACE = [CITY, SPEND, GENDER]


def members(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.stack(
        [np.minimum(rng.geometric(0.2, rows) - 1, 17), rng.integers(0, 6, rows), rng.integers(0, 2, rows)], axis=1
    )
    return codes, rng.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])


def optimum(codes: np.ndarray, sensitive: np.ndarray, criteria: Criteria, limit: float) -> float | None:
    """Try every lattice node and return the least loss among those that keep the limit."""
    best = None
    whole = np.bincount(sensitive, minlength=4)
    for levels in itertools.product(*(range(h.height) for h in SPACE)):
        nodes = np.stack(
            [h.ancestors[level][codes[:, c]] for c, (h, level) in enumerate(zip(SPACE, levels, strict=True))]
        )
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, key in enumerate(map(tuple, nodes.T.tolist())):
            groups.setdefault(key, []).append(row)
        lost, out = 0.0, 0
        root = all(level == h.height - 1 for level, h in zip(levels, SPACE, strict=True))
        for key, rows in groups.items():
            histogram = np.bincount(sensitive[rows], minlength=4)
            if satisfied(criteria, len(rows), histogram=histogram, whole=whole):
                cells = [
                    (h.leaf_range(level, node)[1] - h.leaf_range(level, node)[0] - 1) / (len(h.leaves) - 1)
                    for h, level, node in zip(SPACE, levels, key, strict=True)
                ]
                lost += len(rows) * sum(cells) / len(SPACE)
            else:
                lost += len(rows)
                out += len(rows)
        if out <= limit * len(codes) and not root and (best is None or lost < best):
            best = lost
    return None if best is None else best / len(codes)


@pytest.mark.parametrize("limit", [0.0, 0.03, 0.2])
@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(k=6),
        Criteria(k=3, diversity=Diversity(3)),
        Criteria(k=3, diversity=Diversity(2, DiversityKind.ENTROPY)),
        Criteria(k=3, diversity=Diversity(2, DiversityKind.RECURSIVE, c=2)),
        Criteria(k=3, closeness=Closeness(0.25)),
        Criteria(k=3, closeness=Closeness(0.2, Distance.ORDERED)),
    ],
)
def test_full_domain_finds_the_optimum(criteria: Criteria, limit: float) -> None:
    codes, sensitive = members(250, seed=1)
    table, _ = tabulate(codes, sensitive=sensitive, sensitive_values=4)
    expected = optimum(codes, sensitive, criteria, limit)
    if expected is None:
        with pytest.raises(Conflict):
            anonymize(table, SPACE, criteria, suppression_limit=limit, method=Method.FULL_DOMAIN)
        return
    result = anonymize(table, SPACE, criteria, suppression_limit=limit, method=Method.FULL_DOMAIN)
    assert result.loss.ncp == pytest.approx(expected)
    assert len(set(map(tuple, result.levels.tolist()))) == 1
    assert measure(result.rows(SPACE)).k >= criteria.k


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("seed", range(4))
def test_every_method_meets_k_and_local_recoding_loses_no_more(method: Method, seed: int) -> None:
    codes, _ = members(400, seed)
    table, _ = tabulate(codes)
    result = anonymize(table, SPACE, Criteria(k=8), suppression_limit=0.05, method=method)
    assert measure(result.rows(SPACE)).k >= 8
    assert result.suppressed <= 20
    full = anonymize(table, SPACE, Criteria(k=8), suppression_limit=0.05, method=Method.FULL_DOMAIN)
    assert result.loss.ncp <= full.loss.ncp


@pytest.mark.parametrize("method", list(Method))
def test_every_method_treats_the_ends_alike(method: Method) -> None:
    empty, _ = tabulate(np.zeros((0, 3), dtype=np.int32))
    assert len(anonymize(empty, SPACE, Criteria(k=2), suppression_limit=0, method=method).sizes) == 0
    few, _ = tabulate(members(5, seed=2)[0])
    with pytest.raises(Conflict):
        anonymize(few, SPACE, Criteria(k=6), suppression_limit=0.5, method=method)
    alike, _ = tabulate(np.ones((9, 3), dtype=np.int32))
    assert anonymize(alike, SPACE, Criteria(k=9), suppression_limit=0, method=method).loss.ncp == 0


def test_mondrian_steps_in_where_the_peel_leaves_out_too_many() -> None:
    rescued = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        space = [from_edges(f"e{c}", list(range(int(rng.integers(3, 9))))) for c in range(3)]
        codes = np.stack([rng.integers(0, len(h.leaves), 18) for h in space], axis=1)
        table, _ = tabulate(codes)
        try:
            result = anonymize(table, space, Criteria(k=5), suppression_limit=0)
        except Conflict:
            continue
        assert measure(result.rows(space)).k >= 5
        assert result.suppressed == 0
        rescued += result.variant.startswith("constrained Mondrian")
    assert rescued > 0


def test_a_lattice_too_large_to_search_is_refused() -> None:
    deep = [from_edges(f"e{c}", list(range(64))) for c in range(8)]
    table, _ = tabulate(np.random.default_rng(3).integers(0, 64, (50, 8)))
    with pytest.raises(InvalidInput, match="million nodes"):
        anonymize(table, deep, Criteria(k=2), suppression_limit=0.5, method=Method.FULL_DOMAIN)


@pytest.mark.real_data
def test_full_domain_on_adult_reaches_the_optimum_of_arx(real_data: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(real_data / "adult" / "adult.csv", sep=";", dtype=str)
    space: list[Hierarchy] = [
        from_arx(name, (real_data / "adult" / f"adult_hierarchy_{name}.csv").read_text())
        for name in frame.columns
        if name != "salary-class"
    ]
    table, _ = tabulate(np.stack([h.encode(frame[h.name]) for h in space], axis=1))
    result = anonymize(table, space, Criteria(k=5), suppression_limit=0.02, method=Method.FULL_DOMAIN)
    assert result.loss.ncp <= 0.338
    assert result.loss.suppressed_share <= 0.02
