"""The anonymised side alone: its database, a releases folder, and a list that takes the events."""

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from pdms.clock import FixedClock
from pdms.db import open_engine
from pdms.db.bases import AnonTable
from pdms.policy.definitions import Feature, HierarchyTable, Policy, Role, View
from pdms.settings import Home
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind, AnonUnitOfWork
from pdms.views.tables import Release, ReleaseCopy

MARKETER = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.MARKETING}), role="marketing")
OFFICER = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.COMPLIANCE}), role="compliance")


def feature(name, measure=None, *, edges=None, hierarchy=None, coarser=()):
    return Feature(
        name=name, measure=measure or name, edges=edges, coarser=coarser, hierarchy=hierarchy, unit="days", weight=1.0
    )


def view(*features, name="value"):
    return View(
        name=name, label={}, purpose="segment", features=features, window_days=365, k=3, risk_threshold=0.34,
        min_cell=5, suppression_limit=0.5, consumers=("marketing",), expiry_days=30,
    )  # fmt: skip


def policy(*views, hierarchies=()):
    said = {
        "digest": "0" * 64,
        "views": {one.name: one for one in views},
        "hierarchies": {name: HierarchyTable(name=name, rows=rows, source="") for name, rows in hierarchies},
        "roles": {
            "marketing": Role(name="marketing", scopes=(Scope.MARKETING,), purposes=("segment",)),
            "other": Role(name="other", scopes=(Scope.MARKETING,), purposes=("segment",)),
        },
    }
    return Policy(**{f.name: said.get(f.name, {}) for f in fields(Policy)})


class Side:
    def __init__(self, root):
        self.home = Home(root)
        self.clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
        self.policy = policy(
            view(feature("recency_days", edges=(30, 90)), feature("gender", hierarchy="gender")),
            hierarchies=[("gender", (("female", "*"), ("male", "*"), ("unknown", "*")))],
        )
        self.engine = open_engine(self.home.anon_db)
        AnonTable.metadata.create_all(self.engine, tables=[Release.__table__, ReleaseCopy.__table__])
        self.events = []

    def unit(self, actor=MARKETER):
        return AnonUnitOfWork(
            actor=actor, clock=self.clock, policy=self.policy, home=self.home,
            append_events=lambda events: self.events.extend(events), anon_engine=self.engine,
        )  # fmt: skip


@pytest.fixture
def side(tmp_path):
    return Side(tmp_path)
