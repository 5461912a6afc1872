"""The ledger of privacy budgets on both databases: what is charged, refused, answered again, and by two at once."""

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from common.budget_desk import BUDGET, COSTS, FITTING, NOW, OFFICER, Desk, asked, drawn, operator
from pdms.anonymize.hierarchies import from_edges
from pdms.anonymize.noise import epsilon_of
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.budgets import service as budgets
from pdms.budgets.counts import NoisedCount
from pdms.budgets.periods import period_at
from pdms.budgets.questions import Question
from pdms.clock import FixedClock
from pdms.db.parts import Part
from pdms.errors import Denied
from pdms.marketing import service as marketing
from pdms.marketing.tables import CampaignRow
from pdms.policy.definitions import View
from pdms.segments import questions
from pdms.segments.canonical import canonical
from pdms.segments.compiled import compile_rule
from pdms.segments.rules import parse
from pdms.taxonomy import Scope


@pytest.fixture
def desk(tmp_path, database):
    made = Desk(tmp_path, database)
    yield made
    made.engine.dispose()


def test_an_answer_is_charged_once_and_given_alike_ever_after(desk):
    first = desk.ask(asked("loyal"))
    assert first.cost.rho == 0.05
    again = [desk.ask(asked("loyal"), exact=5000) for _ in range(5)]
    assert {json.dumps(one.answer) for one in again} == {json.dumps(first.answer)}
    assert {one.cost.rho for one in again} == {0.0}
    assert [row.number for row in desk.charges()] == [1]
    kinds = [(e.kind, e.outcome) for e in desk.events]
    assert kinds == [(EventKind.ANSWER_CHARGED, Outcome.INTENDED), (EventKind.ANSWER_GIVEN, Outcome.DONE)]
    assert desk.events[0].numbers == {"month": 202603, "nano_rho": 50_000_000, "spent_nano_rho": 50_000_000}


def test_a_spent_budget_refuses_until_the_next_period(desk):
    for i in range(FITTING):
        left = desk.ask(asked(f"rule {i}")).cost.left
    assert 0 < left < COSTS["count"] / 0.3
    with pytest.raises(Denied, match="begins on 2026-04-01") as caught:
        desk.ask(asked("one more"))
    assert [r.code for r in caught.value.reasons] == ["BUDGET_SPENT"]
    refusal = desk.events[-1]
    assert (refusal.kind, refusal.reasons) == (EventKind.DENIAL, ("BUDGET_SPENT",))
    assert len(desk.charges()) == FITTING
    assert desk.ask(asked("rule 0")).cost.rho == 0  # what was told is still told
    desk.ask(asked("cheaper", "histogram"))  # what fits still fits
    desk.clock = FixedClock(datetime(2026, 3, 31, 16, 0, tzinfo=UTC))  # midnight in Shanghai
    assert desk.ask(asked("one more")).cost.rho == 0.05


def test_two_keys_of_one_population_share_its_budget_and_its_answers(desk):
    first = desk.ask(asked("loyal"), actor=operator(1, "marketing"))
    for i in range(FITTING - 1):
        desk.ask(asked(f"rule {i}"), actor=operator(2, "agency"))
    assert desk.ask(asked("loyal"), actor=operator(2, "agency")).answer == first.answer
    for one in (operator(1, "marketing"), operator(2, "agency"), operator(3, "marketing")):
        with pytest.raises(Denied):
            desk.ask(asked("another"), actor=one)


def test_a_report_that_one_population_paid_for_is_not_read_by_another(desk):
    def counts(*who):
        with desk.units(operator(*who))() as uow:
            return marketing.counts(uow, name="spring").counts

    agency = replace(BUDGET, name="agency", roles=("agency",))
    desk.policy = replace(desk.policy, budgets={"marketing": replace(BUDGET, roles=("marketing",)), "agency": agency})
    about = dict.fromkeys(("name", "segment", "view", "purpose", "channel", "document", "rule_digest"), "spring")
    about |= {"state": "finished", "created_by": "op-1", "created_at": NOW, "changed_at": NOW}
    with desk.units()() as uow:
        uow.anon.add(CampaignRow(**about))
    desk.ask(Question("send", {"campaign": "springs", "report": 1}), actor=operator(2, "agency"))
    desk.ask(Question("send", {"campaign": "spring", "report": 1}))
    with desk.units()() as uow:
        marketing.put_counts(uow, name="spring", counts={"audience": NoisedCount(120, None, 100, 140)})
    assert counts(1, "marketing")["audience"].value == 120
    assert counts(9, "compliance", Scope.COMPLIANCE)["audience"].value == 120
    assert counts(2, "agency") == {}
    with pytest.raises(Denied) as caught:
        counts(3, "analyst")
    assert [r.code for r in caught.value.reasons] == ["NO_BUDGET"]
    desk.clock = FixedClock(NOW + timedelta(days=1))
    desk.ask(Question("send", {"campaign": "spring", "report": 2}), actor=operator(2, "agency"))
    assert counts(1, "marketing") == {}
    assert counts(2, "agency")["audience"].value == 120


def test_who_is_in_no_population_gets_no_number(desk):
    with pytest.raises(Denied) as caught:
        desk.ask(asked("loyal"), actor=OFFICER)
    assert [r.code for r in caught.value.reasons] == ["NO_BUDGET"]
    assert desk.charges() == []


def test_a_death_between_charge_and_answer_leaves_the_charge_and_tells_nothing(desk):
    def dies(rho):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        budgets.ask(desk.units(), asked("loyal"), dies)
    (row,) = desk.charges()
    assert row.answer is None
    with desk.units()() as uow:
        assert budgets.state(uow).spent_rho == 0.05
    after = desk.ask(asked("loyal"))  # on the charge that stands: one charge, one answer
    assert after.cost.rho == 0
    (row,) = desk.charges()
    assert json.loads(row.answer) == after.answer


def test_charges_cannot_be_saved_up_for_a_later_period(desk):
    def dies(rho):
        raise KeyboardInterrupt

    for i in range(FITTING):
        with pytest.raises(KeyboardInterrupt):
            budgets.ask(desk.units(), asked(f"rule {i}"), dies)
    desk.clock = FixedClock(NOW + timedelta(days=31))
    for i in range(FITTING):
        desk.ask(asked(f"new {i}"))
    for i in range(FITTING):  # told now, they would make this period's answers cost twice its budget
        with pytest.raises(Denied):
            desk.ask(asked(f"rule {i}"))
    desk.clock = FixedClock(NOW + timedelta(days=62))
    assert [desk.ask(asked(f"rule {i}")).cost.rho for i in range(FITTING)] == [0.05] * FITTING
    with pytest.raises(Denied):
        desk.ask(asked("one more"))
    assert len(desk.charges()) == 2 * FITTING


def test_an_answer_drawn_over_the_border_of_periods_is_paid_for_where_it_is_told(desk):
    def slowly(rho):
        desk.clock = FixedClock(NOW + timedelta(days=31))
        for i in range(FITTING):
            desk.ask(asked(f"new {i}"))
        return drawn(1000, rho)

    with pytest.raises(Denied):
        budgets.ask(desk.units(), asked("loyal"), slowly)
    assert desk.charges()[0].answer is None


@pytest.mark.parametrize(("before", "after"), [("month", "quarter"), ("quarter", "month"), ("month", "year")])
def test_charges_of_the_running_period_count_whatever_length_a_policy_gives_it(desk, before, after):
    desk.policy = replace(desk.policy, budgets={"marketing": replace(BUDGET, period=before)})
    for i in range(FITTING):
        desk.ask(asked(f"rule {i}"))
    desk.policy = replace(desk.policy, budgets={"marketing": replace(BUDGET, period=after)})
    with pytest.raises(Denied):
        desk.ask(asked("one more"))
    with desk.units()() as uow:
        assert budgets.state(uow).charged == FITTING


def test_a_budget_too_small_for_any_answer_says_so(desk):
    desk.policy = replace(desk.policy, budgets={"marketing": replace(BUDGET, epsilon=1e-6)})
    with pytest.raises(Denied):
        desk.ask(asked("loyal"))
    with desk.units()() as uow:
        found = budgets.state(uow)
    assert (found.rho, found.left) == (0, 0)


def test_of_two_answers_drawn_on_one_charge_the_first_alone_is_told(desk):
    question = asked("loyal")
    with desk.units()() as uow:
        one = budgets.claim(uow, question)
    with desk.units()() as uow:
        other = budgets.claim(uow, question)
    assert (one.number, one.fresh, other.number, other.fresh) == (1, True, 1, False)
    with desk.units()() as uow:
        told = budgets.settle(uow, one, {"values": [1001]})
    with desk.units()() as uow:
        assert budgets.settle(uow, other, {"values": [999]}) == told == {"values": [1001]}


def test_nobody_waits_while_the_meaning_of_a_rule_is_worked_out(desk, monkeypatch):
    space = {"days": from_edges("days", [30, 90], open_low=True)}
    rule = compile_rule(parse({"feature": "days", "below": 90}), space)
    waited = []

    def meanwhile(given):
        other = desk.databases.open(Part.ANON)
        desk.ask(asked("loyal"), engine=other)  # writes; on SQLite it would wait for a transaction that is open
        other.dispose()
        waited.append(False)
        return canonical(given)

    monkeypatch.setattr(questions, "canonical", meanwhile)
    view = View(**dict.fromkeys(View.__dataclass_fields__, "v"))
    with desk.units()() as uow:
        about = questions.about_members(uow, view, rule)
    assert (waited, about["where"], about["release"]) == ([False], canonical(rule), "none in 2026-03")


def test_without_a_release_a_question_is_new_with_the_month_of_shanghai(desk):
    desk.clock = FixedClock(datetime(2026, 4, 30, 16, 30, tzinfo=UTC))
    view = View(**dict.fromkeys(View.__dataclass_fields__, "v"))
    with desk.units()() as uow:
        assert questions.about_members(uow, view, None)["release"] == "none in 2026-05"
    desk.ask(asked("loyal"))
    assert [charge.period for charge in desk.charges()] == ["2026-05"]


def test_many_at_once_never_overspend_and_get_one_answer_to_one_question(desk):
    """Twelve threads with connections of their own ask seven different questions; six fit."""
    told, refused = {}, []
    start = threading.Barrier(12)

    def one(number):
        engine = desk.databases.open(Part.ANON)
        name = f"rule {number % 7}"
        start.wait(60)
        try:
            answer = json.dumps(desk.ask(asked(name), engine=engine).answer)
            told.setdefault(name, set()).add(answer)
        except Denied:
            refused.append(name)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    rows = desk.charges()
    assert len(rows) == FITTING
    assert [row.number for row in rows] == list(range(1, FITTING + 1))
    assert epsilon_of(sum(row.nano_rho for row in rows) / 1e9, delta=1e-6) <= 4
    assert len(told) == FITTING
    assert all(len(answers) == 1 for answers in told.values())
    assert len(set(refused)) == 1


def test_a_budget_that_was_lowered_admits_nothing_more(desk):
    for i in range(3):
        desk.ask(asked(f"rule {i}"))
    desk.policy = replace(desk.policy, budgets={"marketing": replace(BUDGET, epsilon=1.0)})
    with pytest.raises(Denied):
        desk.ask(asked("cheap", "histogram"))
    with desk.units()() as uow:
        found = budgets.state(uow)
    assert found.left == 0
    assert found.spent_epsilon > found.epsilon


def test_officers_read_the_ledger_and_marketing_its_own_state(desk):
    desk.ask(asked("loyal"))
    with desk.units(OFFICER)() as uow:
        (line,) = budgets.ledger(uow)
        (state,) = budgets.states(uow)
    assert (line.population, line.kind, line.charged_by, line.about["where"]) == ("marketing", "count", "op-1", "loyal")
    assert (state.charged, state.spent_rho, state.next_period) == (1, 0.05, date(2026, 4, 1))
    with desk.units()() as uow:
        assert budgets.state(uow) == state
    for forbidden in (budgets.ledger, budgets.states):
        with desk.units()() as uow, pytest.raises(Denied):
            forbidden(uow)


def test_periods_are_those_of_the_calendar_in_shanghai():
    late = datetime(2026, 12, 31, 15, 59, tzinfo=UTC)
    assert [period_at(late, kind).name for kind in ("month", "quarter", "year")] == ["2026-12", "2026-10", "2026-01"]
    assert {period_at(late, kind).next_begins for kind in ("month", "quarter", "year")} == {date(2027, 1, 1)}
    assert period_at(late + timedelta(minutes=1), "month").name == "2027-01"
    assert period_at(datetime(2026, 5, 1, tzinfo=UTC), "quarter").next_begins == date(2026, 7, 1)
