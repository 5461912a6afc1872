"""The erasure horizon never promises earlier than the last root that opens a backup is gone."""

from datetime import UTC, datetime, timedelta

import pytest

from pdms.crypto import EpochState, HorizonKind, RotationPlan, horizon_of, horizon_said

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = RotationPlan(rotate_after=180 * DAY, destroy_after=30 * DAY)


def epoch(number, begun, destroyed=None, uri="file:/r/1.json"):
    return EpochState(number, uri, START + begun * DAY, None if destroyed is None else START + destroyed * DAY)


@pytest.mark.parametrize(
    ("epochs", "erased", "kind", "at", "standing"),
    [
        ([epoch(1, 0)], 10, HorizonKind.PLANNED, 210, (1,)),
        ([epoch(1, 0), epoch(2, 50)], 10, HorizonKind.PLANNED, 80, (1,)),
        ([epoch(1, 0), epoch(2, 50)], 60, HorizonKind.PLANNED, 260, (1, 2)),
        ([epoch(1, 0, 70), epoch(2, 50)], 10, HorizonKind.REACHED, 70, ()),
        ([epoch(1, 0, 70), epoch(2, 50)], 60, HorizonKind.PLANNED, 260, (2,)),
        ([epoch(1, 0, 90), epoch(2, 50, 80), epoch(3, 60)], 55, HorizonKind.REACHED, 90, ()),
        ([epoch(1, 0, uri="env:ROOT")], 10, HorizonKind.NONE, None, (1,)),
        # a copied secret stays copied, however it was ended
        ([epoch(1, 0, 70, uri="env:ROOT"), epoch(2, 50)], 60, HorizonKind.NONE, None, (1,)),
        ([epoch(1, 0), epoch(2, 50, uri="env:ROOT")], 10, HorizonKind.PLANNED, 80, (1,)),
        ([epoch(1, 0, 70, uri="gone-provider:x"), epoch(2, 50)], 60, HorizonKind.NONE, None, (1,)),
        ([], 10, HorizonKind.NONE, None, ()),
    ],
)  # fmt: skip
def test_horizon(epochs, erased, kind, at, standing):
    found = horizon_of(epochs, erased_at=START + erased * DAY, plan=PLAN)
    assert (found.kind, found.at, found.epochs) == (kind, None if at is None else START + at * DAY, standing)
    assert horizon_of(epochs[::-1], erased_at=START + erased * DAY, plan=PLAN) == found


def test_without_a_plan_no_date_is_named():
    found = horizon_of([epoch(1, 0)], erased_at=START)
    assert (found.kind, found.at) == (HorizonKind.UNPLANNED, None)
    assert "plans no date" in horizon_said(found, now=START)


def test_what_is_said():
    epochs = [epoch(1, 0, 70), epoch(2, 50)]
    reached = horizon_of(epochs, erased_at=START, plan=PLAN)
    assert horizon_said(reached, now=START) == "no backup opens the member since 2026-03-12"
    planned = horizon_of(epochs, erased_at=START + 60 * DAY, plan=PLAN)
    assert "overdue" not in horizon_said(planned, now=START + 61 * DAY)
    assert "overdue" in horizon_said(planned, now=START + 400 * DAY)
    none = horizon_of([epoch(1, 0, uri="env:R")], erased_at=START, plan=PLAN)
    assert horizon_said(none, now=START).startswith("none: ")


def test_the_day_that_is_said_is_that_of_shanghai():
    """Receipts are signed over this sentence: 20:00 UTC is 04:00 of the next legal day, and no claim is made before."""
    late = timedelta(hours=20)
    gone = EpochState(1, "file:/r/1.json", START, datetime(2026, 3, 12, tzinfo=UTC) + late)
    reached = horizon_of([gone, epoch(2, 50)], erased_at=START, plan=PLAN)
    assert horizon_said(reached, now=START) == "no backup opens the member since 2026-03-13"
    due = horizon_of([EpochState(1, "file:/r/1.json", START + late)], erased_at=START + DAY, plan=PLAN)
    assert due.at == START + 210 * DAY + late
    assert horizon_said(due, now=START + DAY).startswith("planned: 2026-07-31,")
