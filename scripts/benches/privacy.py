"""Noise under differential privacy: microseconds a cell, in vectors and one by one, and what a charge costs.

Figures are CPU time of this process. Peers, in the same run and alternating: OpenDP's own scalar call, one a cell, with
the mechanism built once; and numpy's Gaussian, rounded, which is no mechanism (its source and its floating-point tails
are not those of the proof) but the floor of drawing noise at all.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pdms.anonymize.noise import Clamp, fits, histogram, moments, noised, unknown_keys
from pdms.anonymize.noise import Cost as Loss
from pdms.anonymize.noise.accounting import contrib
from pdms.budgets import service as budgets
from pdms.budgets.questions import Question
from pdms.clock import FixedClock
from pdms.db.bases import AnonTable
from pdms.db.parts import Databases, Part
from pdms.policy.definitions import Budget, Policy
from pdms.settings import Home
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind, AnonUnitOfWork

RHO = 0.005
ROUNDS = 5
GOAL = 15.0


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one result a case."""
    cells = 2_000 if quick else 20_000
    values = list(range(cells))
    scalar = _scalar()
    noised(values[:10], sensitivity=1, rho=RHO)  # loads the library
    ours, theirs, floor = [], [], []
    for _ in range(ROUNDS):
        ours.append(_cpu(lambda: noised(values, sensitivity=1, rho=RHO)) / cells)
        few = values[: cells // 20]
        theirs.append(_cpu(lambda few=few: [scalar(one) for one in few]) / len(few))  # type: ignore[misc]
        floor.append(_cpu(lambda: np.rint(np.random.default_rng().normal(values, 10.0)).tolist()) / cells)
    yield _line(f"noise, vector of {cells:,}", min(ours), "OpenDP, one call a cell", min(theirs), goal=GOAL)
    yield _line("numpy's Gaussian, no mechanism", min(floor))
    yield _line("histogram of 1 M rows, 100 cells", _histogram(100_000 if quick else 1_000_000), unit="ms")
    yield _line("sum and mean of 1 M values", _moments(100_000 if quick else 1_000_000), unit="ms")
    yield _line("unknown keys, 10,000 of them", _keys(), unit="µs a key")
    yield _line("filter: one decision", _filter(20 if quick else 200), unit="µs")
    yield from _ledger(20 if quick else 60)


def _scalar() -> Any:
    dp = contrib()
    space = dp.domains.atom_domain(T="i64"), dp.metrics.absolute_distance(T="f64")
    return dp.measurements.make_gaussian(*space, scale=10.0)


def _histogram(rows: int) -> float:
    codes = np.random.default_rng(1).integers(0, 100, rows)
    return min(_cpu(lambda: histogram(codes, size=100, rho=RHO)) for _ in range(ROUNDS)) / 1000 * (1_000_000 / rows)


def _moments(rows: int) -> float:
    values, clamp = np.random.default_rng(1).gamma(2, 400, rows), Clamp(0, 10_000, grain=0.01)
    return min(_cpu(lambda: moments(values, clamp, rho=RHO)) for _ in range(ROUNDS)) / 1000 * (1_000_000 / rows)


def _keys() -> float:
    keys = [f"key-{i % 10_000}" for i in range(100_000)]
    return min(_cpu(lambda: unknown_keys(keys, rho=RHO, delta=1e-8)) for _ in range(3)) / 10_000


def _filter(times: int) -> float:
    return _cpu(lambda: [fits(Loss(1.0), [Loss(0.3)], Loss(RHO)) for _ in range(times)]) / times


def _ledger(questions: int) -> Iterator[dict[str, Any]]:
    costs = dict.fromkeys(("count", "histogram", "mean", "preview", "send"), 0.0001)
    budget = Budget("marketing", {}, ("marketing",), "month", 4.0, 1e-6, costs)
    nothing: dict[str, Any] = {name: {} for name in Policy.__dataclass_fields__}
    policy = Policy(**{**nothing, "digest": "0" * 64, "budgets": {"marketing": budget}})
    actor = Actor("op-1", ActorKind.OPERATOR, frozenset({Scope.MARKETING}), role="marketing")
    with tempfile.TemporaryDirectory(prefix="pdms-bench-") as folder:
        home = Home(Path(folder))
        engine = Databases(home, None).open(Part.ANON)
        AnonTable.metadata.create_all(engine)

        def unit() -> AnonUnitOfWork:
            clock = FixedClock(datetime(2026, 11, 22, tzinfo=UTC))
            return AnonUnitOfWork(actor, clock, policy, home, lambda _: None, engine)

        def ask(number: int) -> None:
            question = Question("count", {"where": f"rule {number}"})
            budgets.ask(unit, question, lambda rho: {"values": list(noised([1000], sensitivity=1, rho=rho).values)})

        ask(0)
        yield _line(
            "a fresh answer: charge, draw, keep (SQLite)",
            _cpu(lambda: [ask(i) for i in range(1, questions)]) / (questions - 1) / 1000,
            unit="ms",
        )
        yield _line(
            "the same question again", _cpu(lambda: [ask(0) for _ in range(questions)]) / questions / 1000, unit="ms"
        )
        engine.dispose()


def _cpu(what: Callable[[], object]) -> float:
    """Return the CPU time of `what` in microseconds."""
    start = time.process_time()
    what()
    return (time.process_time() - start) * 1e6


def _line(
    case: str, value: float, peer: str | None = None, of_peer: float | None = None, *, unit: str = "µs a cell",
    goal: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "bench": "privacy",
        "case": case,
        "value": round(value, 3),
        "unit": unit,
        "peer": None if of_peer is None else f"{peer}: {of_peer:.1f}",
        "ratio": None if of_peer is None else round(of_peer / value, 2),
        "goal": goal,
        "met": None if goal is None else value <= goal,
    }
