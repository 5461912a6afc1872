"""Pure rules of subject requests: the only moves, the legal clock, what a statute keeps, what loses its last basis."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from common.policies import SHIPPED
from pdms.errors import Conflict
from pdms.policy.loader import load
from pdms.rights.clocks import due_on, is_provisional
from pdms.rights.holds import holds_of
from pdms.rights.machine import MOVES, check_move
from pdms.rights.withdraw import orphaned_tables
from pdms.taxonomy import RequestState

POLICY = load(SHIPPED)


def test_every_state_is_in_the_table_and_ends() -> None:
    assert set(MOVES) == set(RequestState)
    for state in RequestState:
        seen, front = set(), {state}
        while front:
            seen |= front
            front = set().union(*(MOVES[s] for s in front)) - seen
        assert RequestState.CLOSED in seen, f"{state} can never be closed"


@pytest.mark.parametrize("current", RequestState)
@pytest.mark.parametrize("target", RequestState)
def test_a_move_that_is_not_listed_does_not_exist(current: RequestState, target: RequestState) -> None:
    if target in MOVES[current]:
        check_move(current, target)
    else:
        with pytest.raises(Conflict):
            check_move(current, target)


def test_execution_needs_assessing_and_assessing_needs_an_identity_check() -> None:
    into_executing = {s for s, targets in MOVES.items() if RequestState.EXECUTING in targets}
    into_assessing = {s for s, targets in MOVES.items() if RequestState.ASSESSING in targets}
    assert into_executing == {RequestState.ASSESSING}
    assert into_assessing == {RequestState.IDENTITY_CHECK}


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-11-02T09:00:00", date(2026, 11, 23)),  # fifteen working days, no holiday between
        (
            "2026-09-30T10:00:00",
            date(2026, 10, 27),
        ),  # filed on 30 September: the National Day week does not count, 10 Oct does
        ("2026-02-13T23:59:00", date(2026, 3, 12)),  # the Spring Festival; 14 and 28 February are worked
        ("2026-11-01T23:30:00", date(2026, 11, 20)),  # a Sunday in Shanghai
    ],
)
def test_T35273_8_7_the_clock_counts_working_days_of_the_published_calendar(received: str, due: date) -> None:
    assert due_on(shanghai(received), calendars=POLICY.calendars) == due


def test_the_clock_never_exceeds_thirty_days() -> None:
    for day in range(0, 300, 7):
        at = datetime(2026, 1, 5, 4, tzinfo=UTC) + timedelta(days=day)
        assert due_on(at, calendars=POLICY.calendars) <= at.date() + timedelta(days=30)


def test_days_are_shanghai_days() -> None:
    late_utc = datetime(2026, 11, 2, 17, 0, tzinfo=UTC)  # already 3 November in Shanghai
    assert due_on(late_utc, calendars=POLICY.calendars) == date(2026, 11, 24)


def test_T35273_8_7_a_due_date_in_an_unpublished_year_is_provisional() -> None:
    for received, due, provisional in (
        (datetime(2026, 12, 9, 4, tzinfo=UTC), date(2026, 12, 30), False),
        (datetime(2026, 12, 10, 4, tzinfo=UTC), date(2026, 12, 31), False),
        (datetime(2026, 12, 11, 4, tzinfo=UTC), date(2027, 1, 1), True),
        (datetime(2026, 12, 31, 16, tzinfo=UTC), date(2027, 1, 22), True),
        (datetime(2035, 6, 1, tzinfo=UTC), date(2035, 6, 22), True),
    ):
        assert due_on(received, calendars=POLICY.calendars) == due
        assert is_provisional(received, due, calendars=POLICY.calendars) is provisional


ORDER = {
    "order_id": "B1",
    "placed_at": datetime(2026, 1, 5, tzinfo=UTC),
    "completed_at": datetime(2026, 1, 9, tzinfo=UTC),
    "amount": 10,
    "status": "completed",
    "invoiced": False,
}
LINE = {"order_id": "B1", "line": 1, "product": "P1"}
TODAY = date(2026, 11, 2)


def test_ECL_31_a_platform_keeps_the_trade_three_years_from_completion() -> None:
    (hold,) = holds_of(POLICY, {"orders": [ORDER], "order_lines": [LINE]}, today=TODAY)
    assert (hold.article, hold.until) == ("ECL-31", date(2029, 1, 9))
    assert set(hold.rows) == {"orders", "order_lines"}
    assert hold.rows["order_lines"] == [LINE]


def test_ECL_31_a_merchant_keeps_nothing_without_a_voucher() -> None:
    merchant = replace(POLICY, controller=replace(POLICY.controller, role="merchant"))
    assert holds_of(merchant, {"orders": [ORDER], "order_lines": [LINE]}, today=TODAY) == ()


def test_TAX_29_an_invoiced_order_stays_ten_years_without_contacts() -> None:
    holds = holds_of(POLICY, {"orders": [{**ORDER, "invoiced": True}], "order_lines": [LINE]}, today=TODAY)
    by_article = {hold.article: hold for hold in holds}
    assert by_article["TAX-29"].until.year == 2036
    assert by_article["TAX-29"].fields == ()
    assert set(by_article) == {"ECL-31", "TAX-29"}


@pytest.mark.parametrize(
    "change", [{"status": "cancelled"}, {"completed_at": datetime(2020, 1, 1, tzinfo=UTC)}], ids=["no trade", "over"]
)
def test_nothing_is_held_without_a_running_duty(change: dict[str, object]) -> None:
    assert holds_of(POLICY, {"orders": [{**ORDER, **change}]}, today=TODAY) == ()


def test_behaviour_and_interaction_are_never_held() -> None:
    facts = {"orders": [ORDER], "order_lines": [LINE], "events": [{"event_id": "E"}], "interactions": [{"text": "x"}]}
    for hold in holds_of(POLICY, facts, today=TODAY):
        assert not {"events", "interactions", "campaign_contacts"} & set(hold.rows)


def test_PIPL_47_1_a_category_without_any_basis_left_is_orphaned() -> None:
    assert orphaned_tables(POLICY, frozenset({"segment", "market_email"})) == ()
    assert orphaned_tables(POLICY, frozenset()) == ("campaign_contacts",)


def test_data_under_another_basis_stay() -> None:
    assert "orders" not in orphaned_tables(POLICY, frozenset())
