"""Decisions decided again: the same where nothing was touched, found where somebody touched what they rest on."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import Engine

from common.shell import command_line
from common.world import POLICIES, World, consents_of, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.consent import service as consent
from pdms.db import fetch
from pdms.errors import Denied, InvalidInput
from pdms.gate import service as gate
from pdms.policy.canonical import digest_of
from pdms.policy.stored import content_of
from pdms.reports.replay import WAIT, ReplayReport, Unknown, replay
from pdms.rights import service as rights
from pdms.taxonomy import ConsentState, GuardedAct, MemberId, Operation, RestrictionKind
from pdms.unit_of_work import UnitOfWork

COUNT = 6


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    """Adults who agreed to segmentation and e-mail, and one of seventeen who did."""
    made = World.make(tmp_path, database=database)
    teen = people(1, seed=9, born=date(2009, 6, 15))[0]
    teen |= {"会员编号": "T1", "手机号": "13900000009", "身份证号": "", "邮箱": "t@example.com", "登录名": "teen_1"}
    adults = people(COUNT)
    for rows in (adults, [teen]):
        made.ingest("shop-members", made.file(f"{len(rows)}.csv", rows))
    made.ingest("shop-consents", consents_of([*adults, teen]))
    made.pass_time(hours=1)
    yield made
    made.close()


def again(shop: World, **period: datetime) -> ReplayReport:
    start, end = shop.clock.instant - timedelta(days=60), shop.clock.instant + timedelta(days=1)
    return replay(shop.app.units(shop.actor("compliance")), since=period.get("since", start), until=end)


def ask(shop: World, number: str, role: str = "compliance", **use: Any) -> None:
    use = {"purpose": "segment", "operation": Operation.PROFILE, **use}
    with suppress(Denied):
        shop.run(role, gate.permit, member_id=shop.id_of(number), **use)


def tamper(shop: World, statement: str, *values: object) -> None:
    with shop.app.main.begin() as connection:
        assert connection.exec_driver_sql(statement, values).rowcount > 0


def test_whatever_the_gate_decided_comes_out_the_same(shop: World) -> None:
    """Permits, refusals of every origin, sets; later withdrawals and restrictions change nothing."""
    ask(shop, "H00000")
    ask(shop, "T1")
    ask(shop, "H00001", purpose="no such purpose +86 138 0013 8000")
    ask(shop, "H00001", fields=("phone", "nonsense field"), categories=("nothing",), recipient="nobody")
    seen = {"purpose": "order", "operation": Operation.REVEAL, "fields": ("phone",)}
    for reason in ({"reason": "DELIVERY_FAILED"}, {"reason": "because I can"}, {}):
        ask(shop, "H00002", role="support", **seen, **reason)
    ask(shop, "H00003", role="marketing")
    for purpose, operation in (("segment", Operation.PROFILE), ("market_email", Operation.SEND)):
        shop.run("compliance", gate.eligible, purpose=purpose, operation=operation)
    with suppress(Denied):
        shop.run("marketing", gate.eligible, purpose="order", operation=Operation.SEND)
    first = again(shop)
    assert (first.differences, first.unknown) == ((), {})
    assert (first.decisions, first.sets) == (11, 2)
    shop.pass_time(minutes=1)
    member = shop.id_of("H00000")
    shop.run("support", gate.record_consent, member, purpose="segment", state=ConsentState.WITHDRAWN)
    shop.run("support", consent.restrict, shop.id_of("H00004"), kind=RestrictionKind.RESTRICTION)
    ask(shop, "H00000")
    ask(shop, "H00004")
    shop.pass_time(days=30)
    shop.run("compliance", gate.eligible, purpose="segment", operation=Operation.PROFILE)
    report = again(shop)
    assert (report.differences, report.unknown) == ((), {})
    assert report.same == report.decisions == 14
    with shop.unit() as uow:
        log = repr(audit.list_events(uow.session, kinds=[EventKind.DENIAL]).items)
    for typed in ("nonsense", "because", "13800", "138 0013", "nobody_"):
        assert typed not in log


def test_an_import_that_came_later_does_not_change_the_past(shop: World) -> None:
    """Known time, not valid time: its date lies before the decision, pdms heard of it afterwards."""
    new = people(COUNT + 1)[COUNT]
    shop.ingest("shop-members", [new])
    shop.pass_time(hours=1)
    ask(shop, "H00006")
    shop.pass_time(hours=1)
    shop.ingest("shop-consents", consents_of([new]))
    ask(shop, "H00006")
    report = again(shop)
    assert (report.decisions, report.differing, report.unknown) == (2, 0, {})


def begun(shop: World, role: str, **later: int) -> UnitOfWork:
    """A unit that has begun and touched nothing yet, as one that waits for a lock; then time goes on."""
    waiting = shop.app.unit(shop.actor(role))
    shop.pass_time(**later)
    return waiting


def withdraw(uow: UnitOfWork, member: MemberId) -> None:
    gate.record_consent(uow, member, purpose="segment", state=ConsentState.WITHDRAWN)


def test_of_two_units_the_one_that_took_effect_first_counts_whatever_their_instants(shop: World) -> None:
    """A decision waits while what began later takes effect; what began earlier takes effect after a decision."""
    one, two, three = (shop.id_of(f"H0000{n}") for n in range(3))
    late = begun(shop, "compliance", seconds=2)  # decides after what began after it
    shop.run("support", gate.record_consent, one, purpose="segment", state=ConsentState.WITHDRAWN)
    shop.run("support", consent.restrict, three, kind=RestrictionKind.RESTRICTION)
    with suppress(Denied), late as uow:
        gate.permit(uow, member_id=one, purpose="segment", operation=Operation.PROFILE)
    with suppress(Denied), late as uow:
        gate.permit(uow, member_id=three, purpose="segment", operation=Operation.PROFILE)
    with late as uow:
        gate.eligible(uow, purpose="segment", operation=Operation.PROFILE)
    late = begun(shop, "support", seconds=2)  # takes effect after what was decided later
    ask(shop, "H00001")
    shop.run("compliance", gate.eligible, purpose="segment", operation=Operation.PROFILE)
    with late as uow:
        withdraw(uow, two)
    report = again(shop)
    assert (report.decisions, report.differences, report.unknown) == (5, (), {})
    tamper(shop, "DELETE FROM consent_record WHERE member_id = ? AND state = 'withdrawn'", one)
    assert [found.why for found in again(shop).differences] == ["DECISION", "COUNTS", "COUNTS"]


def test_a_notice_shown_later_as_of_an_earlier_day_does_not_change_the_past(shop: World) -> None:
    use = {"purpose": "order", "operation": Operation.REVEAL, "fields": ("phone",), "reason": "DELIVERY_FAILED"}
    with shop.unit() as uow:
        uow.session.connection().exec_driver_sql("DELETE FROM notice_delivery")
        shop_day = uow.now - timedelta(minutes=30)
    ask(shop, "H00000", role="support", **use)
    deliver = {"notice": "member-notice", "channel": "web", "at": shop_day}
    shop.run("support", consent.deliver_notices, [shop.id_of("H00000")], **deliver)
    shop.pass_time(hours=1)
    ask(shop, "H00000", role="support", **use)
    with shop.unit() as uow:
        kinds = [EventKind.PERMIT, EventKind.DENIAL]
        told = audit.list_events(uow.session, kinds=kinds, member_id=shop.id_of("H00000").hex()).items
    assert [item.event.reasons for item in told][::-1] == [("NO_NOTICE",), ("DELIVERY_FAILED",)]
    assert (again(shop).same, again(shop).differing) == (2, 0)


def test_whoever_is_in_the_middle_of_writing_was_not_seen(shop: World, database: str | None) -> None:
    """PostgreSQL: a smaller number is committed after a greater one and after the decision between them."""
    if database is None:
        pytest.skip("a writer is alone on SQLite")
    one, other = shop.id_of("H00000"), shop.id_of("H00001")
    slow = begun(shop, "support", seconds=2)
    with slow as uow:
        withdraw(uow, one)
        consent.restrict(uow, one, kind=RestrictionKind.RESTRICTION)
        quick = Thread(
            target=shop.run, args=("support", consent.restrict, other), kwargs={"kind": RestrictionKind.RESTRICTION}
        )
        quick.start()  # commits, and is acknowledged when the ledger has read what was numbered before it
        await_count(shop.app.main, "SELECT count(*) FROM restriction_record", 1)
        ask(shop, "H00000")
        shop.run("compliance", gate.eligible, purpose="segment", operation=Operation.PROFILE)
    quick.join()
    with shop.unit() as uow:
        permits = audit.list_events(uow.session, kinds=[EventKind.PERMIT]).items
    assert {one.event.numbers["sure_wishes"] for one in permits} == {0}, "the greater number was seen, the smaller not"
    report = again(shop)
    assert (report.same, report.differences, report.unknown) == (1, (), {Unknown.WRITTEN_MEANWHILE: 1})
    tamper(shop, "DELETE FROM consent_record WHERE member_id = ? AND state = 'given' AND purpose = 'segment'", one)
    assert [found.why for found in again(shop).differences] == []  # of one just then written nobody can tell
    tamper(shop, "DELETE FROM consent_record WHERE member_id <> ? AND state = 'given' AND purpose = 'segment'", one)
    assert "COUNTS" in [found.why for found in again(shop).differences]


def test_events_of_an_older_version_are_judged_by_their_instant(shop: World) -> None:
    """They tell no running numbers."""
    ask(shop, "H00000")
    shop.run("compliance", gate.eligible, purpose="segment", operation=Operation.PROFILE)
    for item in older(shop):
        tamper(shop, "UPDATE audit_event SET body = ? WHERE seq = ?", item.event.canonical(), item.seq)
    shop.pass_time(hours=1)
    shop.run("support", gate.record_consent, shop.id_of("H00000"), purpose="segment", state=ConsentState.WITHDRAWN)
    report = again(shop)
    assert (report.decisions, report.differences, report.unknown) == (2, (), {})


def await_count(engine: Engine, sql: str, wanted: int) -> None:
    for _ in range(2000):
        if fetch(engine, sql)[0][0] == wanted:
            return
        time.sleep(0.005)
    raise AssertionError("never committed")


def older(shop: World) -> list[audit.StoredEvent]:
    with shop.unit() as uow:
        items = audit.list_events(uow.session, kinds=[EventKind.PERMIT]).items
    assert all("seen_consents" in item.event.numbers for item in items)
    kept = [{n: v for n, v in item.event.numbers.items() if not n.startswith("seen_")} for item in items]
    return [
        replace(item, event=replace(item.event, numbers=numbers)) for item, numbers in zip(items, kept, strict=True)
    ]


def denied_after_a_withdrawal(shop: World) -> bytes:
    member = shop.id_of("H00000")
    shop.run("support", gate.record_consent, member, purpose="segment", state=ConsentState.WITHDRAWN)
    shop.pass_time(hours=1)
    ask(shop, "H00000")
    shop.run("compliance", gate.eligible, purpose="segment", operation=Operation.PROFILE)
    assert again(shop).ok
    return member


def test_consents_changed_behind_the_log_are_found(shop: World) -> None:
    member = denied_after_a_withdrawal(shop)
    tamper(shop, "DELETE FROM consent_record WHERE member_id = ? AND state = 'withdrawn'", member)
    report = again(shop)
    assert [(d.why, d.was, d.would_be) for d in report.differences] == [
        ("DECISION", "denied", "permitted"),
        ("COUNTS", "permitted", "permitted"),
    ]
    assert report.differences[0].reasons_then == ("CONSENT_WITHDRAWN",)


def test_a_denial_turned_into_a_permit_is_found(shop: World) -> None:
    """By somebody who writes the row of the event anew; the log's own verification fails too."""
    member = denied_after_a_withdrawal(shop)
    with shop.unit() as uow:
        (item,) = audit.list_events(uow.session, kinds=[EventKind.DENIAL], member_id=member.hex()).items
    forged = replace(item.event, kind=EventKind.PERMIT, outcome=Outcome.PERMITTED, reasons=())
    tamper(shop, "UPDATE audit_event SET kind = 'permit', body = ? WHERE seq = ?", forged.canonical(), item.seq)
    report = again(shop)
    (found,) = report.differences
    assert (found.why, found.was, found.would_be) == ("DECISION", "permitted", "denied")
    assert found.reasons_now == ("CONSENT_WITHDRAWN",)


def test_a_set_that_was_another_of_the_same_size_is_found_by_its_digest(shop: World) -> None:
    shop.run("compliance", gate.eligible, purpose="segment", operation=Operation.PROFILE)
    one, other = shop.id_of("H00000"), shop.id_of("H00001")
    shop.run("support", gate.record_consent, one, purpose="segment", state=ConsentState.WITHDRAWN)
    shop.pass_time(hours=1)
    shop.run("compliance", gate.eligible, purpose="segment", operation=Operation.PROFILE)
    assert again(shop).ok
    tamper(shop, "UPDATE consent_record SET member_id = ? WHERE member_id = ? AND state = 'withdrawn'", other, one)
    assert [found.why for found in again(shop).differences] == ["MEMBERS"]


def test_a_policy_text_that_was_altered_or_was_not_in_force_is_found(shop: World) -> None:
    ask(shop, "H00000")
    purposes = dict(shop.app.policy.purposes)
    purposes["segment"] = replace(purposes["segment"], cool_down_days=purposes["segment"].cool_down_days + 1)
    other = replace(shop.app.policy, purposes=MappingProxyType(purposes))
    text = content_of(other)
    other = replace(other, digest=digest_of(json.loads(text)))
    shop.pass_time(hours=1)
    before = shop.app.policy
    shop.approve("admin", GuardedAct.POLICY_ACTIVATION, policy=other.digest)
    shop.run("admin", gate.activate, policy=other)
    assert again(shop).ok
    tamper(
        shop, "UPDATE policy_version SET activated_at = ? WHERE digest = ?", "2026-11-01 00:00:00.000000", other.digest
    )
    assert [found.why for found in again(shop).differences] == ["POLICY_NOT_IN_FORCE"]
    tamper(shop, "UPDATE policy_version SET content = ? WHERE digest = ?", text, before.digest)
    assert [found.why for found in again(shop).differences] == ["POLICY_ALTERED"]
    tamper(shop, "DELETE FROM policy_version WHERE digest = ?", before.digest)
    assert [found.why for found in again(shop).differences] == ["POLICY_MISSING"]


def test_an_activation_in_the_middle_of_a_decision_is_no_difference(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL: it commits after the decision saw which policy is in force, and before it reads running numbers."""
    shop = World.make(tmp_path, database=postgres)
    shop.ingest("shop-members", people(2))
    shop.ingest("shop-consents", consents_of(people(2)))
    shop.pass_time(hours=1)
    purposes = dict(shop.app.policy.purposes)
    purposes["segment"] = replace(purposes["segment"], cool_down_days=purposes["segment"].cool_down_days + 1)
    other = replace(shop.app.policy, purposes=MappingProxyType(purposes))
    other = replace(other, digest=digest_of(json.loads(content_of(other))))
    shop.approve("admin", GuardedAct.POLICY_ACTIVATION, policy=other.digest)
    looking = gate.Looking

    def activated_meanwhile(uow: UnitOfWork) -> Any:
        monkeypatch.setattr(gate, "Looking", looking)
        shop.run("admin", gate.activate, policy=other)
        return looking(uow)

    monkeypatch.setattr(gate, "Looking", activated_meanwhile)
    ask(shop, "H00000")
    with shop.unit() as uow:
        (permit,) = audit.list_events(uow.session, kinds=[EventKind.PERMIT]).items
        first, second = gate.history(uow)
    assert (permit.event.refs["policy"], permit.event.numbers["seen_policies"]) == (first.digest, second.number)
    assert again(shop).differences == ()
    longer = shop.clock.instant - 2 * WAIT
    tamper(shop, "UPDATE policy_version SET activated_at = ? WHERE digest = ?", longer, other.digest)
    assert [found.why for found in again(shop).differences] == ["POLICY_NOT_IN_FORCE"]
    shop.close()


def test_what_was_erased_since_is_not_called_a_difference(shop: World) -> None:
    ask(shop, "H00001")
    shop.run("compliance", gate.eligible, purpose="segment", operation=Operation.PROFILE)
    shop.pass_time(hours=1)
    person = people(COUNT)[1]
    rights.erase_member(
        shop.app.units(shop.actor("support")), member_id=shop.id_of("H00001"), field="phone", value=person["手机号"]
    )
    report = again(shop)
    assert report.differing == 0
    assert report.unknown == {Unknown.MEMBERS_CHANGED: 1}
    tamper(shop, "DELETE FROM consent_record WHERE purpose = 'segment'")
    assert [found.why for found in again(shop).differences] == ["COUNTS"], "more than one member can explain"


def test_numbers_of_what_was_erased_since_are_not_given_again(shop: World) -> None:
    """Who was shown a notice last is erased; who was refused for lack of it is shown it then."""
    use = {"purpose": "order", "operation": Operation.REVEAL, "fields": ("phone",), "reason": "DELIVERY_FAILED"}
    show = {"notice": "member-notice", "channel": "web"}
    newest = people(COUNT + 1)[COUNT]
    shop.ingest("shop-members", [newest])
    with shop.unit() as uow:
        uow.session.connection().exec_driver_sql("DELETE FROM notice_delivery")
    last = shop.id_of("H00006")
    shop.run("support", consent.deliver_notices, [last], **show)
    ask(shop, "H00000", role="support", **use)
    shop.pass_time(minutes=1)
    rights.erase_member(shop.app.units(shop.actor("support")), member_id=last, field="phone", value=newest["手机号"])
    shop.run("support", consent.deliver_notices, [shop.id_of("H00000")], **show)
    shop.ingest("shop-members", people(COUNT + 2)[-1:])
    report = again(shop)
    assert (report.differences, report.unknown) == ((), {})
    (rows,) = fetch(shop.app.main, "SELECT COUNT(*), MAX(row_no) FROM member")
    assert rows[1] > rows[0]  # of the row that went, nobody has the number


def test_a_replay_reads_a_period_and_is_an_event_itself(shop: World) -> None:
    ask(shop, "H00000")
    shop.pass_time(hours=1)
    ask(shop, "T1")
    assert again(shop, since=shop.clock.instant).decisions == 1
    with shop.unit() as uow:
        (read,) = audit.list_events(uow.session, kinds=[EventKind.REPORT_READ]).items
    assert (read.event.refs["report"], read.event.numbers["decisions"]) == ("replay", 1)
    with pytest.raises(Denied):
        replay(
            shop.app.units(shop.actor("marketing")), since=shop.clock.instant, until=shop.clock.instant + timedelta(1)
        )
    with pytest.raises(InvalidInput):
        replay(shop.app.units(shop.actor("compliance")), since=shop.clock.instant, until=shop.clock.instant)


def test_the_command_ends_with_7_where_a_decision_differs(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    shop = World.make(tmp_path, policies=policies)
    shop.ingest("shop-members", people(2))
    shop.ingest("shop-consents", consents_of(people(2)))
    shop.pass_time(hours=1)
    ask(shop, "H00000")
    home, token = shop.app.home.root, shop.tokens["compliance"]
    words = ["audit", "replay", "--from", "2026-11-01", "--to", "2026-12-01"]
    answer = command_line(home, token, "--json", *words, at=shop.clock.instant)
    assert (answer.code, answer.json["same"], answer.json["decisions"]) == (0, 1, 1), answer.text
    tamper(shop, "UPDATE consent_record SET state = 'refused' WHERE purpose = 'segment'")
    answer = command_line(home, token, *words, at=shop.clock.instant)
    assert answer.code == 7
    assert "DECISION" in answer.text
    shop.close()
