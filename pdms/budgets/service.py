"""Charging a budget and keeping the answer.

A noised number crosses in three steps: `claim` commits the charge, with its event, or refuses; the number is computed
and noised inside; `settle` keeps it, and what was kept first is what everybody gets. Guarantees: the sum of a period's
charges never exceeds the budget by OpenDP's filter, whoever asks at once (the population's row is held while it is
judged); the same question is charged once per population and answered alike ever after; a process killed between
charge and answer leaves the charge, on which that one question may still be answered once; once its period is over,
such a charge is moved to the one that runs, or refused: charges cannot be saved up.
Deliberately not here: what a question means; its canonical form is the asker's to make.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.budgets.periods import Period, period_at
from pdms.budgets.questions import Question
from pdms.budgets.tables import ChargeRow, PopulationRow
from pdms.db import Lock, alone
from pdms.errors import Denied, IntegrityBroken
from pdms.policy.definitions import Budget
from pdms.policy.reasons import reason
from pdms.taxonomy import Scope
from pdms.unit_of_work import AnonUnitOfWork

NANO = 10**9

AnonUnits = Callable[[], AnonUnitOfWork]
Answer = Mapping[str, Any]
"""A noised answer as JSON values."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer cost, and what is left of the budget; `rho` 0: it had been given before."""

    rho: float
    left: float
    """Share of the period's budget that is left, 0 to 1."""
    population: str
    next_period: date


@dataclass(frozen=True, slots=True)
class Answered:
    """A noised answer, drawn once."""

    answer: Answer
    cost: Cost


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A population's budget in the period that runs."""

    population: str
    roles: tuple[str, ...]
    period: str
    next_period: date
    epsilon: float
    delta: float
    rho: float
    spent_rho: float
    spent_epsilon: float
    """What the period's answers amount to so far, at `delta`."""
    left: float
    """Share of rho that is left, 0 to 1."""
    answers: Mapping[str, float]
    """Rho of one answer, by kind."""
    charged: int
    """Answers charged in this period."""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One charge, for officers; `about` is the canonical question."""

    population: str
    number: int
    period: str
    kind: str
    about: Mapping[str, Any]
    rho: float
    charged_at: datetime
    charged_by: str
    answered_at: datetime | None
    """None: charged, and nothing was told."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A charge that stands, with its answer if it was given."""

    population: str
    number: int
    rho: float
    fresh: bool
    answer: Answer | None


def ask(units: AnonUnits, question: Question, draw: Callable[[float], Answer]) -> Answered:
    """Return the answer to a question: the one given before, or a new one from `draw`, charged first.

    :param draw: computes the exact numbers inside and noises them at the rho it is given; it holds no unit of `units`.
    :raises Denied: NO_BUDGET, BUDGET_SPENT (recorded; says when the next period begins).
    """
    with units() as uow:
        claimed = claim(uow, question)
    answer = claimed.answer
    if answer is None:
        drawn = draw(claimed.rho)
        with units() as uow:
            claim(uow, question)  # the period may have ended while it was drawn
            answer = settle(uow, claimed, drawn)
    with units() as uow:
        budget = budget_of(uow)
        period, total = period_at(uow.now, budget.period), _rho(budget)
        left = _left(_spent(uow, budget.name, period) / NANO, total)
    cost = Cost(claimed.rho if claimed.fresh else 0.0, left, budget.name, period.next_begins)
    return Answered(answer=answer, cost=cost)


def claim(uow: AnonUnitOfWork, question: Question) -> Claim:
    """Charge a question to the actor's population, unless it was charged before. Commit before anything is computed.

    A charge of a period that is over, on which nothing was told, is charged to this one: what is told in a period is
    paid for in it.
    """
    budget = budget_of(uow)
    period = period_at(uow.now, budget.period)
    row = _known(uow, budget, question)
    if row is None or _lapsed(row, period):
        _hold(uow, budget.name)
        row = _known(uow, budget, question)  # whoever held the population may have asked the same
    if row is not None and not _lapsed(row, period):
        return _claim(row, fresh=False)
    from pdms.anonymize.noise import Cost as Loss
    from pdms.anonymize.noise import fits

    cost = row.nano_rho if row is not None else -(-round(budget.answers[question.kind] * NANO * 1000) // 1000)
    spent = _spent(uow, budget.name, period)
    refs = {"population": budget.name, "question": question.digest}
    if not fits(Loss(_rho(budget)), [Loss(spent / NANO)], Loss(cost / NANO)):
        detail = f"the next period begins on {period.next_begins.isoformat()}"
        uow.refuse(
            Denied(f"the privacy budget is spent; {detail}", reasons=(reason("BUDGET_SPENT", detail=detail),)),
            refs=refs,
            numbers={"month": period.number, "nano_rho": cost, "spent_nano_rho": spent},
        )
    if row is None:
        last = uow.anon.exec(select(func.max(ChargeRow.number)).where(ChargeRow.population == budget.name)).one()
        row = ChargeRow(
            population=budget.name,
            number=(last or 0) + 1,
            period=period.name,
            kind=question.kind,
            question=question.digest,
            about=question.text,
            nano_rho=cost,
            charged_at=uow.now,
            charged_by=uow.actor.id,
        )
    else:
        row.period, row.charged_at, row.charged_by = period.name, uow.now, uow.actor.id
    uow.anon.add(row)
    uow.anon.flush()
    uow.record(
        EventKind.ANSWER_CHARGED,
        outcome=Outcome.INTENDED,
        refs=refs,
        numbers={"month": period.number, "nano_rho": cost, "spent_nano_rho": spent + cost},
    )
    return _claim(row, fresh=True)


def settle(uow: AnonUnitOfWork, claimed: Claim, answer: Answer) -> Answer:
    """Keep the answer of a charge and return what is kept: of two drawn on one charge, the first alone is told."""
    text = json.dumps(answer, ensure_ascii=False, sort_keys=True)
    where = (col(ChargeRow.population) == claimed.population, col(ChargeRow.number) == claimed.number)
    kept = uow.anon.execute(
        update(ChargeRow)
        .where(*where, col(ChargeRow.answer).is_(None))
        .values(answer=text, answered_at=uow.now)
        .execution_options(synchronize_session=False)
    )
    row = uow.anon.exec(select(ChargeRow).where(*where).execution_options(populate_existing=True)).one_or_none()
    if row is None or row.answer is None:
        raise IntegrityBroken("budget: a charge is gone", code="CHARGE_GONE")
    if kept.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result counts
        uow.record(
            EventKind.ANSWER_GIVEN,
            refs={"population": row.population, "question": row.question},
            numbers={"charge": row.number},
        )
    told: Answer = json.loads(row.answer)
    return told


def paid_by(uow: AnonUnitOfWork, *, campaign: str) -> str | None:
    """Return the population that was told the newest report of a campaign; None: no report of it was ever charged."""
    begins = Question("send", {"campaign": campaign}).text.removesuffix("}") + ","
    newest = (
        select(ChargeRow.population)
        .where(col(ChargeRow.about).startswith(begins, autoescape=True), col(ChargeRow.answered_at).is_not(None))
        .order_by(col(ChargeRow.answered_at).desc(), col(ChargeRow.number).desc())
    )
    return uow.anon.exec(newest.limit(1)).first()


def state(uow: AnonUnitOfWork) -> BudgetState:
    """Return the budget of the actor's own population. :raises Denied: NO_BUDGET."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    return _state(uow, budget_of(uow))


def states(uow: AnonUnitOfWork) -> tuple[BudgetState, ...]:
    """Return the budgets of all populations, for officers."""
    uow.require(Scope.COMPLIANCE)
    return tuple(_state(uow, budget) for _, budget in sorted(uow.policy.budgets.items()))


def ledger(uow: AnonUnitOfWork) -> tuple[LedgerLine, ...]:
    """Return every charge by population and number, oldest first, for officers; recorded."""
    uow.require(Scope.COMPLIANCE)
    uow.record(EventKind.REPORT_READ, refs={"report": "privacy-budgets"})
    order = col(ChargeRow.population), col(ChargeRow.number)
    return tuple(
        LedgerLine(
            population=row.population,
            number=row.number,
            period=row.period,
            kind=row.kind,
            about=json.loads(row.about),
            rho=row.nano_rho / NANO,
            charged_at=row.charged_at,
            charged_by=row.charged_by,
            answered_at=row.answered_at,
        )
        for row in uow.anon.exec(select(ChargeRow).order_by(*order))
    )


def budget_of(uow: AnonUnitOfWork) -> Budget:
    """Return the budget that the actor's role spends. :raises Denied: NO_BUDGET; recorded."""
    found = next((one for one in uow.policy.budgets.values() if uow.actor.role in one.roles), None)
    if found is None:
        uow.refuse(Denied("no privacy budget is declared for the role", reasons=(reason("NO_BUDGET"),)))
    return found


def _state(uow: AnonUnitOfWork, budget: Budget) -> BudgetState:
    from pdms.anonymize.noise import epsilon_of

    period = period_at(uow.now, budget.period)
    spent, total = _spent(uow, budget.name, period) / NANO, _rho(budget)
    charged = select(func.count()).where(*_charged_in(budget.name, period))
    return BudgetState(
        population=budget.name,
        roles=budget.roles,
        period=period.name,
        next_period=period.next_begins,
        epsilon=budget.epsilon,
        delta=budget.delta,
        rho=total,
        spent_rho=spent,
        spent_epsilon=round(epsilon_of(spent, delta=budget.delta), 4),
        left=_left(spent, total),
        answers=dict(budget.answers),
        charged=uow.anon.exec(charged).one(),
    )


def _hold(uow: AnonUnitOfWork, population: str) -> None:
    """Hold the population's row until the unit ends: of two that charge it at once, one waits for the other."""
    row = select(PopulationRow).where(PopulationRow.population == population).with_for_update()
    if uow.anon.exec(row).one_or_none() is not None:
        return
    alone(uow.anon.connection(), Lock.BUDGETS)  # two that would make the row
    if uow.anon.exec(row).one_or_none() is None:
        uow.anon.add(PopulationRow(population=population))
        uow.anon.flush()


def _known(uow: AnonUnitOfWork, budget: Budget, question: Question) -> ChargeRow | None:
    return uow.anon.exec(
        select(ChargeRow)
        .where(ChargeRow.population == budget.name, ChargeRow.question == question.digest)
        .execution_options(populate_existing=True)
    ).one_or_none()


def _lapsed(row: ChargeRow, period: Period) -> bool:
    """Whether a charge was made before `period`, and nothing was told on it."""
    return row.answer is None and row.charged_at < period.began


def _claim(row: ChargeRow, *, fresh: bool) -> Claim:
    answer = None if row.answer is None else json.loads(row.answer)
    return Claim(row.population, row.number, row.nano_rho / NANO, fresh, answer)


def _spent(uow: AnonUnitOfWork, population: str, period: Period) -> int:
    return int(uow.anon.exec(select(func.sum(ChargeRow.nano_rho)).where(*_charged_in(population, period))).one() or 0)


def _charged_in(population: str, period: Period) -> tuple[Any, ...]:
    # by the instant, not by the period's name: a policy that makes periods longer finds all that was charged in them
    return col(ChargeRow.population) == population, col(ChargeRow.charged_at) >= period.began


def _left(spent: float, total: float) -> float:
    return max(0.0, 1 - spent / total) if total else 0.0  # an epsilon below a billionth of rho admits nothing


def _rho(budget: Budget) -> float:
    return _rho_within(budget.epsilon, budget.delta)


@lru_cache(maxsize=64)
def _rho_within(epsilon: float, delta: float) -> float:
    from pdms.anonymize.noise import rho_within

    return rho_within(epsilon, delta=delta)
