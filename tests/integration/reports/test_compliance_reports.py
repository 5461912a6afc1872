"""What the officer reads: figures with their evidence, duties by size, clocks of incidents. On both databases."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import date, timedelta
from types import MappingProxyType

import pytest

from common.world import consents_of, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.errors import Conflict, Denied, InvalidInput, NotFound
from pdms.gate import service as gate
from pdms.reports import findings, incidents, kinds, records
from pdms.reports.audit_report import ITEMS
from pdms.reports.document import RowState, as_json
from pdms.reports.incidents import Cause, Harm, IncidentStep
from pdms.reports.log_evidence import Period, days
from pdms.reports.records import Measure, RecordKind
from pdms.taxonomy import Language, Operation
from pdms.vault import service as vault

EVENT_ID = re.compile(r"[0-9a-f]{32}")


def made(world, name, period=None):
    return world.app.run(world.actor("compliance"), kinds.make, name=name, period=period)


def record(world, kind, **more):
    more = {"done_on": world.clock.instant.date()} | more
    return world.app.run(world.actor("compliance"), records.record, kind=kind, **more)


def state_of(world, code):
    """State of one finding; None where there is no such duty."""
    rows = made(world, "findings").section("findings").rows
    return next((row.state for row in rows if row.cells[0] == code), None)


def sized(monkeypatch, members):
    """A shop of another size: counting a million rows is what other tests are for."""
    monkeypatch.setattr(vault, "count", lambda _: members)


@pytest.fixture
def shop(world):
    rows = people(12)
    world.ingest("shop-members", rows)
    world.ingest("shop-consents", consents_of(rows[:9]))
    world.ingest("shop-consents", consents_of(rows[9:], ("短信营销",), state="拒绝"))
    return world


def test_every_report_names_its_evidence_or_says_that_there_is_none(shop):
    shop.run("marketing", gate.eligible, purpose="market_sms", operation=Operation.SEND)
    known = set()
    with shop.unit() as uow:
        known = {item.event.event_id for item in audit.list_events(uow.session, limit=1000).items}
        member_ids = {row[0].hex() for row in vault.state_rows(uow)}
    for name in kinds.MADE:
        report = made(shop, name)
        told = json.dumps(as_json(report), ensure_ascii=False)
        assert not any(member in told for member in member_ids), "no member is named"
        for section in report.sections:
            for row in section.rows:
                for one in filter(EVENT_ID.fullmatch, row.evidence):
                    assert one in known, (name, section.name)
        page = kinds.rendered(report, form="html", language=Language.EN).content.decode()
        without = sum(not row.evidence for section in report.sections for row in section.rows)
        assert page.count(">no evidence\n") + page.count(">no evidence<") >= without
    with shop.unit() as uow:
        read = audit.list_events(uow.session, kinds=(EventKind.REPORT_READ,)).items
    assert {item.event.refs["report"] for item in read} == set(kinds.MADE)


def test_consent_coverage_counts_members_and_refusals_count_reasons(shop):
    overview = made(shop, "consent").section("purposes")
    by_purpose = {row.cells[0][Language.EN]: row.cells[1:] for row in overview.rows}
    assert by_purpose["Marketing by email"] == (9, 9, 12)
    assert by_purpose["Marketing by SMS"] == (0, 3, 12)
    assert all(row.evidence for row in overview.rows)
    shop.run("marketing", gate.eligible, purpose="market_sms", operation=Operation.SEND)
    with pytest.raises(Denied):
        shop.run("marketing", gate.affected, after=shop.app.policy)
    told = {
        row.cells[0]: (row.cells[2], row.articles, row.evidence)
        for row in made(shop, "refusals").section("reasons").rows
    }
    assert told["CONSENT_REFUSED"][:2] == (3, ("PIPL-14-1",))
    assert told["NO_CONSENT"][0] == 9
    assert told["SCOPE_MISSING"][0] >= 1
    assert all(evidence for _, _, evidence in told.values())
    tomorrow = shop.clock.instant.date() + timedelta(days=2)
    assert made(shop, "refusals", days(tomorrow, None)).section("reasons").rows == ()


def test_NDR_21_2_a_new_recipient_is_listed_with_its_policy(shop):
    def recipients():
        return {row.cells[0] for row in made(shop, "lists").section("received").rows}

    before = recipients()
    policy = shop.app.policy
    new = replace(policy.recipients["logistics"], id="logistics-2", name="示例速运有限公司")
    order = replace(policy.purposes["order"], recipients=("logistics", "logistics-2"))
    shop.app.policy = replace(
        policy,
        recipients=MappingProxyType({**policy.recipients, "logistics-2": new}),
        purposes=MappingProxyType({**policy.purposes, "order": order}),
    )
    assert recipients() == before | {"示例速运有限公司"}
    collected = made(shop, "lists").section("collected").rows
    order_items = {row.cells[0][Language.EN] for row in collected if row.cells[2] == order.label}
    assert "Phone" in order_items
    assert "Email" not in order_items, "a field that the purpose may not touch is not collected for it"


def test_PIPL_56_the_records_of_processing_hold_every_purpose(shop):
    rows = made(shop, "ropa").section("activities").rows
    assert len(rows) == len(shop.app.policy.purposes)
    assert all(row.evidence[0] == f"policy:{shop.app.policy.digest}" for row in rows)


def test_T39335_an_assessment_without_measures_is_refused_and_a_scored_one_is_shown(shop):
    whole = {"subject": "pipia-segment", "likelihood": 2, "impact": 3, "residual": 2, "measures": [Measure.ENCRYPTED]}
    for wrong in (
        {"measures": []},
        {"likelihood": None},
        {"impact": 5},
        {"residual": 7},
        {"residual": 0},
        {"subject": "pipia-none"},
        {"subject": ""},
        {"done_on": shop.clock.instant.date() + timedelta(days=2)},
        {"ticket": "张三 13800138000"},
    ):
        with pytest.raises(InvalidInput):
            record(shop, RecordKind.PIPIA, **(whole | wrong))
    done = record(shop, RecordKind.PIPIA, **whole)
    rows = {row.cells[0]: row for row in made(shop, "pipia").section("assessments").rows}
    assert rows["pipia-segment"].cells[5:8] == (2, 3, 6)
    assert rows["pipia-segment"].state is RowState.FINE
    assert done.event_id in rows["pipia-segment"].evidence
    assert rows["pipia-partner"].state is RowState.NO_EVIDENCE


def test_PIPL_56_2_an_assessment_is_kept_three_years_from_its_last_record(shop):
    record(
        shop, RecordKind.PIPIA, subject="pipia-order", likelihood=1, impact=1, residual=1, measures=[Measure.LOGGED],
        done_on=date(2026, 10, 31),
    )  # fmt: skip
    rows = {row.cells[0]: row.cells[-1] for row in made(shop, "pipia").section("assessments").rows}
    assert rows["pipia-order"] >= date(2029, 10, 28)
    assert rows["pipia-segment"] == date(2027, 12, 20)


def test_AUD_each_item_of_the_annex_has_evidence_or_says_that_it_has_none(shop):
    assert len(ITEMS) == 24
    rows = {row.cells[1][Language.EN]: row for row in made(shop, "audit").section("items").rows}
    assert [row.cells[0] for row in rows.values()] == list(range(1, 25))
    assert all((row.state is RowState.FINE) == bool(row.evidence) for row in rows.values())
    assert rows["Deletion"].state is RowState.NO_EVIDENCE
    assert rows["Incident plan"].state is RowState.NO_EVIDENCE
    assert rows["Notice"].state is RowState.FINE
    record(shop, RecordKind.PLAN)
    rows = {row.cells[1][Language.EN]: row for row in made(shop, "audit").section("items").rows}
    assert rows["Incident plan"].state is RowState.FINE
    year_before = Period(until=shop.clock.instant - timedelta(days=365))
    rows = {row.cells[1][Language.EN]: row for row in made(shop, "audit", year_before).section("items").rows}
    assert rows["Notice"].state is RowState.NO_EVIDENCE


def test_PIPL_51_5_no_drill_for_twelve_months_is_a_finding(shop):
    assert state_of(shop, "NO_DRILL") is RowState.OVERDUE
    record(shop, RecordKind.DRILL, done_on=shop.clock.instant.date() - timedelta(days=365))
    assert state_of(shop, "NO_DRILL") is RowState.FINE
    shop.pass_time(days=1)
    assert state_of(shop, "NO_DRILL") is RowState.OVERDUE


def test_PIPL_52_from_a_million_members_on_the_officer_is_filed_in_thirty_working_days(shop, monkeypatch):
    sized(monkeypatch, 999_999)
    shop.run("admin", findings.alarms)
    assert state_of(shop, "OFFICER_NOT_FILED") is None
    sized(monkeypatch, 1_000_000)
    assert "OFFICER_NOT_FILED" not in shop.run("admin", findings.alarms)
    assert state_of(shop, "OFFICER_NOT_FILED") is RowState.DUE
    shop.pass_time(days=30)
    assert state_of(shop, "OFFICER_NOT_FILED") is RowState.DUE, "thirty working days are six weeks"
    shop.pass_time(days=20)
    assert state_of(shop, "OFFICER_NOT_FILED") is RowState.OVERDUE
    assert shop.run("admin", findings.alarms)["OFFICER_NOT_FILED"] == 1
    record(shop, RecordKind.OFFICER_FILED)
    assert state_of(shop, "OFFICER_NOT_FILED") is RowState.FINE
    milestones = [one.numbers["members"] for one in shop.run("compliance", records.records) if one.kind == "milestone"]
    assert sorted(milestones) == [100_000, 1_000_000], "each is noted once"


def test_PIPL_54_above_ten_million_an_audit_every_two_years(shop, monkeypatch):
    assert state_of(shop, "AUDIT_OVERDUE") is None
    sized(monkeypatch, 11_000_000)
    record(shop, RecordKind.AUDIT, done_on=shop.clock.instant.date() - timedelta(days=730))
    assert state_of(shop, "AUDIT_OVERDUE") is RowState.FINE
    shop.pass_time(days=1)
    assert state_of(shop, "AUDIT_OVERDUE") is RowState.OVERDUE
    assert shop.run("admin", findings.alarms)["AUDIT_OVERDUE"] == 1


def test_NDR_28_from_ten_million_on_further_duties(shop, monkeypatch):
    sized(monkeypatch, 9_999_999)
    assert state_of(shop, "SECURITY_OFFICER_ABSENT") is None
    assert state_of(shop, "PROFILE_TOO_SMALL") is RowState.FINE
    sized(monkeypatch, 10_000_000)
    for code in ("SECURITY_OFFICER_ABSENT", "NO_DISPOSAL_PLAN", "PROFILE_TOO_SMALL"):
        assert state_of(shop, code) is RowState.FINDING
    record(shop, RecordKind.SECURITY_OFFICER)
    assert state_of(shop, "SECURITY_OFFICER_ABSENT") is RowState.FINE


def test_PIPL_58_a_large_platform_has_its_yearly_report(shop, monkeypatch):
    sized(monkeypatch, 10_000_000)
    controller = shop.app.policy.controller
    for role, expected in (("merchant", None), ("platform", RowState.OVERDUE)):
        shop.app.policy = replace(shop.app.policy, controller=replace(controller, role=role))
        assert state_of(shop, "NO_OVERSIGHT") is expected


def test_SMALL_the_simple_profile_ends_at_a_hundred_thousand(shop, monkeypatch):
    shop.app.policy = replace(shop.app.policy, controller=replace(shop.app.policy.controller, profile="small"))
    sized(monkeypatch, 99_999)
    assert state_of(shop, "PROFILE_TOO_SMALL") is RowState.FINE
    sized(monkeypatch, 100_000)
    assert state_of(shop, "PROFILE_TOO_SMALL") is RowState.FINDING


def test_SCC_a_contract_unfiled_on_the_eleventh_working_day_is_an_alarm(shop):
    assert state_of(shop, "SCC_NOT_FILED") is RowState.DUE
    shop.pass_time(days=14)
    assert "SCC_NOT_FILED" not in shop.run("admin", findings.alarms)
    shop.pass_time(days=1)
    assert shop.run("admin", findings.alarms)["SCC_NOT_FILED"] == 1
    record(shop, RecordKind.SCC_FILED, subject="overseas-seller")
    assert "SCC_NOT_FILED" not in shop.run("admin", findings.alarms)


def test_MIN_37_minors_data_are_audited_every_year(shop):
    assert state_of(shop, "MINORS_AUDIT") is None
    shop.ingest("shop-members", people(13, born=date(2012, 5, 1))[12:])
    assert state_of(shop, "MINORS_AUDIT") is RowState.OVERDUE
    record(shop, RecordKind.MINORS_AUDIT)
    assert state_of(shop, "MINORS_AUDIT") is RowState.FINE
    shop.pass_time(days=61)
    assert state_of(shop, "MINORS_AUDIT") is RowState.DUE, "January of the next year"
    shop.pass_time(days=31)
    assert state_of(shop, "MINORS_AUDIT") is RowState.OVERDUE


def test_PIPL_66_a_finding_shows_the_tier_it_may_stand_under(shop):
    section = made(shop, "findings").section("findings")
    for row in section.rows:
        assert (row.cells[3] is not None) == (row.state in (RowState.FINDING, RowState.OVERDUE))
    assert section.rows[0].state is RowState.OVERDUE, "the worst comes first"


def opened(world, **more):
    more = {"detected_at": world.clock.instant, "cause": Cause.ATTACK, "larger": True, "categories": ["basic"]} | more
    return world.app.run(world.actor("compliance"), incidents.open_incident, **more)


def unfinished(world, incident):
    report = world.app.run(world.actor("compliance"), incidents.draft, incident_id=incident.incident_id)
    return [row.cells[0][Language.EN] for row in report.section("notification").rows if row.state is RowState.DUE]


def test_PIPL_57_the_draft_has_every_statutory_field_and_names_what_is_missing(shop):
    bare = opened(shop, cause=Cause.UNKNOWN)
    report = shop.app.run(shop.actor("compliance"), incidents.draft, incident_id=bare.incident_id)
    told = {row.cells[0][Language.EN] for row in report.section("notification").rows}
    assert told >= {"categories", "cause", "possible harm", "remedies taken", "what people can do", "contact"}
    assert set(unfinished(shop, bare)) == {
        "cause", "possible harm", "remedies taken", "what people can do", "people concerned",
        "of these, with sensitive data", "of these, minors (guardians are told)",
    }  # fmt: skip
    whole = opened(
        shop,
        harms=[Harm.FRAUD],
        remedies=[incidents.Remedy.ACCESS_CLOSED],
        advice=[incidents.Advice.WATCH_FOR_FRAUD],
        people=12,
        sensitive_people=0,
        minors=0,
    )
    assert unfinished(shop, whole) == []


def test_INC_4_a_larger_incident_unfiled_after_four_hours_is_an_alarm(shop):
    incident = opened(shop)
    assert "INCIDENT_UNFILED" not in shop.run("admin", findings.alarms)
    shop.pass_time(hours=4)
    assert "INCIDENT_UNFILED" not in shop.run("admin", findings.alarms)
    shop.pass_time(seconds=1)
    assert shop.run("admin", findings.alarms)["INCIDENT_UNFILED"] == 1
    with shop.unit() as uow:
        (alarm,) = audit.list_events(uow.session, kinds=(EventKind.DUTY_OVERDUE,), limit=1).items
    assert alarm.event.numbers["INCIDENT_UNFILED"] == 1
    controller = replace(shop.app.policy.controller, ciio=True)
    assert incident.authority_due(ciio=controller.ciio) == incident.detected_at + timedelta(hours=1)


def test_an_incident_filed_in_time_raises_no_alarm_and_late_stays_late(shop):
    early, late = opened(shop), opened(shop)
    shop.pass_time(hours=3)
    note(shop, early, IncidentStep.AUTHORITY)
    shop.pass_time(hours=2)
    note(shop, late, IncidentStep.AUTHORITY)
    rows = made(shop, "findings").section("clocks").rows
    states = {row.cells[0]: row.state for row in rows if row.cells[1][Language.EN] == "tell the authority"}
    assert states == {early.incident_id: RowState.FINE, late.incident_id: RowState.OVERDUE}


def authority_clock(world, incident):
    rows = made(world, "findings").section("clocks").rows
    (found,) = [
        r for r in rows if r.cells[0] == incident.incident_id and r.cells[1][Language.EN].startswith("tell the")
    ]
    return found.state


def test_a_step_entered_after_its_time_is_late_whatever_instant_it_names(shop):
    incident = opened(shop)
    shop.pass_time(days=3)
    note(shop, incident, IncidentStep.AUTHORITY, at=incident.detected_at + timedelta(hours=1))
    assert authority_clock(shop, incident) is RowState.OVERDUE


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE incident SET detected_at = ?",
        "UPDATE incident_step SET at = ?",
        "DELETE FROM incident_step WHERE at < ?",
    ],
)
def test_instants_of_an_incident_changed_behind_the_log_are_found(shop, change):
    incident = opened(shop)
    shop.pass_time(hours=3)
    note(shop, incident, IncidentStep.AUTHORITY)
    assert authority_clock(shop, incident) is RowState.FINE
    with shop.app.main.begin() as connection:
        connection.exec_driver_sql(change, ((shop.clock.instant + timedelta(seconds=2)).replace(tzinfo=None),))
    assert authority_clock(shop, incident) is RowState.FINDING
    assert shop.run("admin", findings.alarms)["INCIDENT_ALTERED"] > 0


def test_the_day_of_a_duty_changed_behind_the_log_is_found(shop):
    shop.run("compliance", records.record, kind=records.RecordKind.DRILL, done_on=date(2024, 1, 1))
    assert "RECORD_ALTERED" not in shop.run("admin", findings.alarms)
    with shop.app.main.begin() as connection:
        connection.exec_driver_sql("UPDATE compliance_record SET done_on = ?", (date(2026, 10, 1),))
    assert shop.run("admin", findings.alarms)["RECORD_ALTERED"] == 1
    assert state_of(shop, "RECORD_ALTERED") is RowState.FINDING


@pytest.mark.parametrize(("table", "code"), [("compliance_record", "RECORD_ALTERED"), ("incident", "INCIDENT_MISSING")])
def test_what_was_deleted_behind_the_log_is_found(shop, table, code):
    shop.run("compliance", records.record, kind=records.RecordKind.DRILL, done_on=date(2024, 1, 1))
    note(shop, opened(shop), IncidentStep.AUTHORITY)
    assert code not in shop.run("admin", findings.alarms)
    with shop.app.main.begin() as connection:
        if table == "incident":
            connection.exec_driver_sql("DELETE FROM incident_step")
        connection.exec_driver_sql(f"DELETE FROM {table}")
    assert shop.run("admin", findings.alarms)[code] == 1
    assert state_of(shop, code) is RowState.FINDING


def note(world, incident, step, **more):
    more = {"at": world.clock.instant} | more
    return world.app.run(
        world.actor("compliance"), incidents.note_step, incident_id=incident.incident_id, step=step, **more
    )


def test_steps_of_an_incident_are_noted_once_and_in_order(shop):
    incident = opened(shop)
    with pytest.raises(Conflict):
        note(shop, incident, IncidentStep.CLOSED)
    with pytest.raises(InvalidInput):
        note(shop, incident, IncidentStep.WAIVED)
    for at in (incident.detected_at - timedelta(seconds=1), shop.clock.instant + timedelta(seconds=1)):
        with pytest.raises(InvalidInput):
            note(shop, incident, IncidentStep.AUTHORITY, at=at)
    note(shop, incident, IncidentStep.AUTHORITY)
    with pytest.raises(Conflict):
        note(shop, incident, IncidentStep.AUTHORITY)
    note(shop, incident, IncidentStep.WAIVED, ticket="CASE-1")
    assert set(note(shop, incident, IncidentStep.CLOSED).steps) == {"authority", "waived", "closed"}
    with pytest.raises(NotFound):
        shop.app.run(shop.actor("compliance"), incidents.draft, incident_id="inc-" + "0" * 32)


@pytest.mark.parametrize(
    "wrong", [{"categories": []}, {"categories": ["no-category"]}, {"people": -1}, {"minors": 1 << 40}]
)
def test_an_incident_that_breaks_a_rule_is_refused(shop, wrong):
    with pytest.raises(InvalidInput):
        opened(shop, **wrong)
    with pytest.raises(InvalidInput):
        opened(shop, detected_at=shop.clock.instant + timedelta(seconds=1))


@pytest.mark.parametrize("role", ["admin", "marketing", "support", "ingest"])
def test_only_officers_read_reports_and_record_duties(shop, role):
    actor = shop.actor(role)
    for name in kinds.MADE:
        with pytest.raises(Denied):
            shop.app.run(actor, kinds.make, name=name)
    with pytest.raises(Denied):
        shop.app.run(actor, records.record, kind=RecordKind.DRILL, done_on=date(2026, 1, 1))
    with pytest.raises(Denied):
        shop.app.run(
            actor, incidents.open_incident, detected_at=shop.clock.instant, cause=Cause.ATTACK, larger=True,
            categories=["basic"],
        )  # fmt: skip


def test_a_spreadsheet_gets_the_same_rows_and_runs_nothing(shop):
    policy = shop.app.policy
    evil = replace(policy.recipients["logistics"], name='=HYPERLINK("http://evil.example")')
    shop.app.policy = replace(policy, recipients=MappingProxyType({**policy.recipients, "logistics": evil}))
    report = made(shop, "lists")
    text = kinds.rendered(report, form="csv", language=Language.ZH).content.decode("utf-8-sig")
    rows = [row for row in csv.reader(io.StringIO(text)) if row and row[0] != "section"]
    assert len(rows) == sum(len(section.rows) for section in report.sections)
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)


def test_a_page_escapes_and_lets_nothing_in(shop):
    policy = shop.app.policy
    evil = replace(policy.recipients["logistics"], name="<script>alert(1)</script>")
    shop.app.policy = replace(policy, recipients=MappingProxyType({**policy.recipients, "logistics": evil}))
    for name in kinds.MADE:
        for language in Language:
            page = kinds.rendered(made(shop, name), form="html", language=language).content.decode()
            assert "<script" not in page
            assert not re.search(r"(src|href|style)=", page), "nothing is fetched, and no style that CSP would refuse"
            assert "http://" not in page
            assert f'<html lang="{language.value}">' in page
    assert "&lt;script&gt;" in kinds.rendered(made(shop, "lists"), form="html", language=Language.EN).content.decode()
