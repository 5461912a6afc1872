"""Adult with ARX's hierarchies: the precision reached on real data, and pyCANON's word on the criteria."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pycanon import anonymity

from pdms.anonymize import Closeness, Criteria, Diversity, FrequencyTable, Hierarchy, anonymize, from_arx, tabulate

pytestmark = pytest.mark.real_data

NAMES = ("sex", "age", "race", "marital-status", "education", "native-country", "workclass", "occupation")


def load(folder: Path, *, sensitive: str = "") -> tuple[FrequencyTable, list[Hierarchy], np.ndarray, pd.Series | None]:
    frame = pd.read_csv(folder / "adult" / "adult.csv", sep=";", dtype=str)
    hierarchies = [
        from_arx(name, (folder / "adult" / f"adult_hierarchy_{name}.csv").read_text(), numeric=name == "age")
        for name in NAMES
        if name != sensitive
    ]
    codes = np.stack([hierarchy.encode(frame[hierarchy.name]) for hierarchy in hierarchies], axis=1)
    values = frame[sensitive] if sensitive else None
    table, tuple_of_row = tabulate(codes, sensitive=None if values is None else pd.factorize(values, sort=True)[0])
    return table, hierarchies, tuple_of_row, values


@pytest.mark.parametrize(("k", "bound"), [(5, 0.0520), (10, 0.0762), (50, 0.1485)])
def test_precision_at_k(real_data: Path, k: int, bound: float) -> None:
    table, hierarchies, _, _ = load(real_data)
    result = anonymize(table, hierarchies, Criteria(k=k), suppression_limit=0.001)
    assert anonymity.k_anonymity(pd.DataFrame(result.rows(hierarchies)), list(NAMES)) >= k
    assert result.loss.ncp <= bound
    assert result.loss.suppressed_share <= 0.001


@pytest.mark.parametrize(
    ("sensitive", "criteria", "bound"),
    [
        ("occupation", Criteria(k=5, diversity=Diversity(3)), 0.0320),
        ("salary-class", Criteria(k=5, diversity=Diversity(2)), 0.1180),
        ("salary-class", Criteria(k=5, closeness=Closeness(0.2)), 0.2330),
        ("occupation", Criteria(k=5, closeness=Closeness(0.2)), 0.4335),
    ],
)
def test_precision_under_l_and_t(real_data: Path, sensitive: str, criteria: Criteria, bound: float) -> None:
    table, hierarchies, tuple_of_row, values = load(real_data, sensitive=sensitive)
    result = anonymize(table, hierarchies, criteria, suppression_limit=0.02)
    assert result.loss.ncp <= bound
    class_of_row = result.class_of[tuple_of_row]
    kept = np.flatnonzero(class_of_row >= 0)
    published = pd.DataFrame(
        {name: np.array(labels)[class_of_row[kept]] for name, labels in result.labels(hierarchies).items()}
    )
    assert values is not None
    published[sensitive] = values.to_numpy()[kept]
    keys = [hierarchy.name for hierarchy in hierarchies]
    assert anonymity.k_anonymity(published, keys) >= 5
    if criteria.diversity is not None:
        assert anonymity.l_diversity(published, keys, [sensitive]) >= criteria.diversity.l
    if criteria.closeness is not None:
        # pyCANON takes the published rows for the whole table; the left-out ones shift it by their share at most
        slack = result.loss.suppressed_share + 1e-9
        assert anonymity.t_closeness(published, keys, [sensitive]) <= criteria.closeness.t + slack
