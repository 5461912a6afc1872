"""Loss and risk against figures worked out by hand."""

import numpy as np
import pytest

from pdms.anonymize import Criteria, anonymize, from_rows, tabulate
from pdms.anonymize.loss import node_losses
from pdms.anonymize.risk import measure_risk

AGE = from_rows("age", [(str(age), f"{age // 10 * 10}s", "*") for age in range(20, 50)], numeric=True)
CITY = from_rows("city", [("a", "x", "*"), ("b", "x", "*"), ("c", "y", "*"), ("d", "y", "*"), ("e", "y", "*")])


def test_a_cell_costs_what_its_node_leaves_open() -> None:
    of_city = node_losses(CITY, np.array([0, 4], dtype=np.int32))
    assert [losses.tolist() for losses in of_city] == [[0] * 5, [0.25, 0.5], [1]]
    observed = AGE.encode(["22", "42"])  # range 20: a decade is nine years wide
    assert node_losses(AGE, observed)[1].tolist() == pytest.approx([9 / 20] * 3)
    assert node_losses(AGE, observed)[2].tolist() == [1]
    assert node_losses(AGE, observed[:1])[2].tolist() == [0]


def test_loss_of_a_release_worked_out_by_hand() -> None:
    table, _ = tabulate(np.stack([CITY.encode(list("aabbcd")), AGE.encode(["20"] * 5 + ["40"])], axis=1))
    loss = anonymize(table, [CITY, AGE], Criteria(k=2), suppression_limit=0).loss
    # classes a, b and {c, d} with ages 20 and 40: city .5 and age 1 for two of six rows
    assert loss.ncp_by_attribute == pytest.approx((2 * 0.5 / 6, 2 * 1 / 6))
    assert loss.ncp == pytest.approx(0.25)
    assert (loss.classes, loss.average_class_size, loss.discernibility) == (3, 2.0, 12)


def test_a_row_left_out_costs_all_its_cells() -> None:
    table, _ = tabulate([[0], [0], [4]])
    loss = anonymize(table, [CITY], Criteria(k=2), suppression_limit=0.5).loss
    assert loss.ncp == pytest.approx(1 / 3)
    assert loss.suppressed_share == pytest.approx(1 / 3)
    assert loss.discernibility == 4 + 3


def test_risk_worked_out_by_hand() -> None:
    alone = measure_risk(np.array([2, 8]))
    assert (alone.smallest_class, alone.prosecutor_max, alone.prosecutor_average) == (2, 0.5, 0.2)
    assert (alone.journalist_max, alone.journalist_average, alone.marketer) == (0.5, 0.2, 0.2)
    wider = measure_risk(np.array([2, 8]), population=np.array([10, 16]))
    assert (wider.prosecutor_max, wider.journalist_max) == (0.5, 0.1)
    assert wider.marketer == pytest.approx((2 / 10 + 8 / 16) / 10)
    assert measure_risk(np.array([], dtype=np.int64)).prosecutor_max == 0
