"""Decisions decided again: the same where nothing was touched, found where somebody touched what they rest on."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from common.shell import command_line
from common.world import POLICIES, World, consents_of, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.consent import service as consent
from pdms.errors import Denied, InvalidInput
from pdms.gate import service as gate
from pdms.policy.canonical import digest_of
from pdms.policy.stored import content_of
from pdms.reports.replay import ReplayReport, Unknown, replay
from pdms.rights import service as rights
from pdms.taxonomy import ConsentState, GuardedAct, Operation, RestrictionKind

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
