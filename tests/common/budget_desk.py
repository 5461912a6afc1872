"""An anonymised side of its own with one privacy budget, on a real database."""

from datetime import UTC, datetime

from sqlmodel import select

from pdms.anonymize.noise import count
from pdms.budgets import service as budgets
from pdms.budgets.questions import Question
from pdms.budgets.tables import ChargeRow
from pdms.clock import FixedClock
from pdms.db.bases import AnonTable
from pdms.db.parts import Databases, Part
from pdms.policy.definitions import Budget, Policy
from pdms.settings import Home
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind, AnonUnitOfWork

NOW = datetime(2026, 3, 20, 4, 0, tzinfo=UTC)
COSTS = {"count": 0.05, "histogram": 0.005, "mean": 0.01, "preview": 0.1, "send": 0.006}
BUDGET = Budget(
    name="marketing", label={}, roles=("marketing", "agency"), period="month", epsilon=4.0, delta=1e-6, answers=COSTS
)
"""rho 0.311: six counts."""
FITTING = 6


def operator(number=1, role="marketing", *scopes):
    return Actor(id=f"op-{number}", kind=ActorKind.OPERATOR, scopes=frozenset(scopes or {Scope.MARKETING}), role=role)


OFFICER = operator(9, "compliance", Scope.COMPLIANCE)


class Desk:
    def __init__(self, folder, database):
        self.home = Home(folder)
        self.databases = Databases(self.home, database)
        self.engine = self.databases.open(Part.ANON)
        AnonTable.metadata.create_all(self.engine)
        nothing = {name: {} for name in Policy.__dataclass_fields__}
        self.policy = Policy(**{**nothing, "digest": "0" * 64, "budgets": {"marketing": BUDGET}})
        self.clock = FixedClock(NOW)
        self.events = []

    def units(self, actor=None, engine=None):
        return lambda: AnonUnitOfWork(
            actor=actor or operator(),
            clock=self.clock,
            policy=self.policy,
            home=self.home,
            append_events=self.events.extend,
            anon_engine=engine or self.engine,
        )

    def ask(self, question, *, exact=1000, actor=None, engine=None):
        return budgets.ask(self.units(actor, engine), question, lambda rho: drawn(exact, rho))

    def charges(self):
        with self.units()() as uow:
            return list(uow.anon.exec(select(ChargeRow).order_by(ChargeRow.number)))


def drawn(exact, rho):
    return {"values": list(count(exact, rho=rho).values)}


def asked(name, kind="count"):
    return Question(kind, {"view": "member_value", "where": name})
