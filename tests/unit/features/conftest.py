"""A small policy with one view over every measure, and facts to compute it from."""

from dataclasses import fields
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from pdms.policy.definitions import Feature, HierarchyTable, Policy, View
from pdms.policy.measures import MEASURES
from pdms.settings import Home

EDGES = {
    "recency_days": (30, 90, 180),
    "orders": (1, 2, 5),
    "spend": (0.01, 100, 500),
    "average_order": (50, 200),
    "items": (1, 10),
    "events": (1, 5),
    "interactions": (1,),
    "tenure_days": (90, 365),
    "largest_order": (50, 200),
    "first_order_days": (30, 365),
    "order_days": (1, 2, 5),
    "order_gap_days": (7, 30, 90),
    "recent_orders": (1, 2),
    "recent_spend": (0.01, 100),
    "recent_share": (0.25, 0.5, 1),
    "returned_orders": (1,),
    "weekend_share": (0.25, 0.5),
    "night_share": (0.25, 0.5),
    "lines": (1, 5),
    "categories": (1, 2),
    "products": (1, 2),
    "average_price": (10, 100),
    "top_category_share": (0.5, 0.9),
    "event_days": (1, 3),
    "event_recency_days": (30, 90),
}
TABLES = {
    "top_category": [("food", "goods", "*"), ("tools", "goods", "*"), ("other", "other", "*")],
    "lifecycle_stage": [(s, "*") for s in ("new", "active", "lapsing", "lapsed", "never")],
    "age_band": [("18-24", "young", "*"), ("25-34", "young", "*"), ("35-44", "older", "*")],
    "gender": [("female", "*"), ("male", "*"), ("unknown", "*")],
    "city_tier": [("1", "*"), ("2", "*")],
    "prefecture": [("3101", "31", "*"), ("1101", "11", "*")],
}


def feature(measure: str) -> Feature:
    return Feature(
        name=measure,
        measure=measure,
        edges=EDGES.get(measure),
        coarser=(),
        hierarchy=measure if measure in TABLES else None,
        unit=MEASURES[measure].unit,
        weight=1.0,
    )


def view(name: str, measures) -> View:
    return View(
        name=name, label={}, purpose="segment", features=tuple(feature(m) for m in measures), window_days=365, k=2,
        risk_threshold=0.5, min_cell=2, suppression_limit=1.0, consumers=("marketer",), expiry_days=30,
    )  # fmt: skip


@pytest.fixture
def views() -> list[View]:
    names = sorted(MEASURES)
    return [view(f"part{n}", names[n : n + 5]) for n in range(0, len(names), 5)]


@pytest.fixture
def uow(tmp_path, views):
    said = {
        "digest": "0" * 64,
        "views": {v.name: v for v in views},
        "hierarchies": {
            name: HierarchyTable(name=name, rows=tuple(rows), source="test") for name, rows in TABLES.items()
        },
    }
    policy = Policy(**{f.name: said.get(f.name, {}) for f in fields(Policy)})
    return SimpleNamespace(home=Home(tmp_path / "home"), now=datetime(2026, 3, 1, 20, tzinfo=UTC), policy=policy)
