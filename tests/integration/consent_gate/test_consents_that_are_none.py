"""Consents that turn out to be none, and notices that waited and are owed: on a real home, over a restore too."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.world import POLICIES, World, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.consent import invalidate as invalidating
from pdms.consent import replay
from pdms.consent import service as consent
from pdms.consent.service import Defect
from pdms.errors import Conflict, Denied, IntegrityBroken, InvalidInput, NotFound
from pdms.gate import service as gate
from pdms.policy.loader import load
from pdms.rights import invalidate as batches
from pdms.rights import ledger
from pdms.rights import service as rights
from pdms.taxonomy import ConsentState, Language, MemberId, Operation
from pdms.unit_of_work import Actor

BAD, GOOD = "0" * 64, "f" * 64


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    made = World.make(tmp_path, database=database)
    assert made.ingest("shop-members", people(5)).created == 5
    yield made
    made.close()


def give(shop: World, number: int, **more: Any) -> MemberId:
    member = shop.id_of(f"H{number:05d}")
    asked = {"purpose": "market_email", "state": ConsentState.GIVEN, "channel": "web"} | more
    shop.run("support", gate.record_consent, member, **asked)
    return member


def standing(shop: World, member: MemberId, **more: Any) -> ConsentState:
    return shop.run("compliance", consent.state_of, member, purpose="market_email", **more).state


def invalidate(shop: World, defect: Defect, *, role: str = "compliance", **more: Any) -> rights.Invalidation:
    return rights.invalidate(shop.app.units(shop.actor(role)), defect, ticket="LEGAL-12", **more)


def test_what_a_wrong_page_collected_is_invalidated_and_nothing_else(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    wrong = [give(shop, number, ui_hash=BAD, evidence=f"click-{number}") for number in range(3)]
    right = give(shop, 3, ui_hash=GOOD)
    withdrawn = give(shop, 4, ui_hash=BAD)
    before = shop.clock.instant
    shop.pass_time(days=1)
    shop.run("support", rights.withdraw, member_id=withdrawn, purpose="market_email")
    defect = Defect("market_email", ui_hash=BAD)
    assert invalidate(shop, defect, dry_run=True).consents == 3
    assert standing(shop, wrong[0]) is ConsentState.GIVEN
    assert invalidate(shop, defect).consents == 3
    assert [standing(shop, one) for one in wrong] == [ConsentState.INVALIDATED] * 3
    assert standing(shop, right) is ConsentState.GIVEN
    assert standing(shop, withdrawn) is ConsentState.WITHDRAWN
    assert standing(shop, wrong[0], as_of=before) is ConsentState.GIVEN, "the past stays (PIPL-15-2)"
    use = {"member_id": wrong[0], "purpose": "market_email", "operation": Operation.SEND}
    assert shop.run("marketing", gate.decide_one, **use).codes == ("CONSENT_INVALIDATED",)
    assert invalidate(shop, defect).consents == 0
    with shop.unit() as uow:
        events = audit.list_events(uow.session, kinds=[EventKind.CONSENT_INVALIDATED]).items
    assert [(item.event.numbers["members"], item.event.ticket) for item in events] == [(1, "LEGAL-12"), (2, "LEGAL-12")]
    (none,) = [one for one in shop.run("support", consent.history, wrong[0]) if one.source == "defect"]
    for actor in (shop.actor("support"), shop.member(wrong[0])):
        assert shop.app.run(actor, consent.receipt, record_id=none.record_id).record_id == none.record_id
    with pytest.raises(NotFound):
        shop.app.run(shop.member(right), consent.receipt, record_id=none.record_id)
    open_now = {one.purpose for one in shop.run("support", consent.askable, wrong[0]) if one.may_ask}
    assert "market_email" in open_now, "who gave what is none has refused nothing"
    assert "market_email" not in {one.purpose for one in shop.run("support", consent.askable, withdrawn) if one.may_ask}
    shop.pass_time(days=1)
    give(shop, 0)
    assert standing(shop, wrong[0]) is ConsentState.GIVEN


def bounded(monkeypatch: pytest.MonkeyPatch, *, most: int) -> None:
    """Let an invalidation that would never end fail after `most` batches."""
    called = iter(range(most))
    once = consent.invalidate_some

    def counted(*args: Any, **kwargs: Any) -> Any:
        assert next(called, None) is not None, "it goes on for ever"
        return once(*args, **kwargs)

    monkeypatch.setattr(consent, "invalidate_some", counted)


def test_a_consent_from_a_host_whose_clock_runs_ahead_is_invalidated_once(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded(monkeypatch, most=3)
    shop.pass_time(seconds=2)
    ahead = give(shop, 0, ui_hash=BAD)
    shop.pass_time(seconds=-2)
    assert invalidate(shop, Defect("market_email", ui_hash=BAD)).consents == 1
    assert shop.rows(shop.app.main, "SELECT count(*) FROM consent_record WHERE state = 'invalidated'") == [(1,)]
    shop.pass_time(seconds=2)
    assert standing(shop, ahead) is ConsentState.INVALIDATED
    key = shop.app.keys.system_key(ledger.LABEL)
    lines = [line.at for line in ledger.read(shop.app.home.rights_ledger, key=key)]
    assert lines == [shop.clock.instant], "a restore gives it back as of an instant that outweighs the consent too"


def test_PIPL_15_1_a_withdrawal_outweighs_a_consent_from_a_host_whose_clock_runs_ahead(shop: World) -> None:
    shop.pass_time(seconds=2)
    member = give(shop, 0)
    shop.pass_time(seconds=-2)
    shop.run("support", rights.withdraw, member_id=member, purpose="market_email")
    use = {"member_id": member, "purpose": "market_email", "operation": Operation.SEND}
    assert not shop.run("marketing", gate.decide_one, **use).permitted
    shop.pass_time(seconds=2)
    assert standing(shop, member) is ConsentState.WITHDRAWN
    assert not shop.run("marketing", gate.decide_one, **use).permitted
    shop.pass_time(days=1)
    give(shop, 0)
    assert standing(shop, member) is ConsentState.GIVEN


def test_an_invalidation_that_changes_nothing_ends_with_an_error(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bounded(monkeypatch, most=3)
    give(shop, 0, ui_hash=BAD)
    monkeypatch.setattr(invalidating, "append", lambda _session, _rows: [])
    with pytest.raises(IntegrityBroken, match="although"):
        invalidate(shop, Defect("market_email", ui_hash=BAD))


def test_a_defect_is_said_and_only_the_officer_says_it(shop: World) -> None:
    member = give(shop, 0, channel="store")
    with pytest.raises(InvalidInput) as caught:
        invalidate(shop, Defect("market_email"))
    assert caught.value.code == "DEFECT_UNSAID"
    with pytest.raises(InvalidInput):
        invalidate(shop, Defect("market_email", ui_hash="%"))
    with pytest.raises(NotFound):
        invalidate(shop, Defect("market_email", notice_version=GOOD))
    for role in ("support", "marketing", "ingest"):
        with pytest.raises(Denied):
            invalidate(shop, Defect("market_email", channel="store"), role=role)
    assert invalidate(shop, Defect("market_email", channel="web")).consents == 0
    assert standing(shop, member) is ConsentState.GIVEN
    version = shop.app.policy.notices["member-notice"][Language.ZH].version
    assert invalidate(shop, Defect("market_email", notice_version=version, channel="store")).consents == 1


def test_an_invalidation_is_a_stop_that_a_restore_gives_back(shop: World) -> None:
    member = give(shop, 0)
    shop.pass_time(days=1)
    invalidate(shop, Defect("market_email", channel="web"))
    with shop.unit() as uow:
        found = list(replay.stops(uow.session, after=0, until=10_000))
    assert [(one.member_id, one.state) for one in found] == [(member, ConsentState.INVALIDATED)]
    other = replace(found[0], member_id=give(shop, 1))
    shop.pass_time(days=1)
    other = replace(other, at=shop.clock.instant)
    with shop.unit() as uow:
        assert replay.stop_again(uow, other) is True
        assert replay.stop_again(uow, other) is False
    assert standing(shop, other.member_id) is ConsentState.INVALIDATED


def test_PIPL_18_when_the_emergency_ends_the_notice_is_owed_until_everybody_was_told(
    shop: World, tmp_path: Path
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(POLICIES, folder)
    text = (folder / "policy.yaml").read_text("utf-8")
    before = "    minors: guardian\n    unknown_age: allow\n    notice: member-notice\n    child_notice: child-notice\n"
    start = text.index("  service:\n")
    place = text.index(before, start)
    after = before.replace("    notice: member-notice\n", "    notice_exemption: 抢险救灾，来不及告知 (PIPL-18)\n")
    (folder / "policy.yaml").write_text(text[:place] + after + text[place + len(before) :], "utf-8")
    shop.app.policy = load(folder)
    with shop.app.unit(Actor.system()) as uow:
        gate.activate(uow)
    officer = shop.actor("compliance")
    owed = {"notice": "member-notice", "ticket": "LEGAL-12"}
    assert shop.run("compliance", gate.notice_duties) == ()
    made = shop.run("compliance", gate.end_exemption, purpose="service", **owed)
    assert (made.purpose, made.notice, made.ticket) == ("service", "member-notice", "LEGAL-12")
    with shop.unit() as uow:
        (told,) = audit.list_events(uow.session, kinds=[EventKind.NOTICE_OWED]).items
    assert told.event.purpose == "service"
    others = people(8)[5:]
    shop.ingest("shop-members", others)
    left = [shop.id_of(one["会员编号"]) for one in others]
    with shop.app.unit(officer) as uow:  # as if they had never been shown it
        uow.session.connection().exec_driver_sql("DELETE FROM notice_delivery")
    assert [one.to_be_told for one in shop.run("compliance", gate.notice_duties)] == [8]
    with pytest.raises(Conflict) as caught:
        shop.run("compliance", gate.end_exemption, purpose="service", **owed)
    assert caught.value.code == "DUTY_EXISTS"
    shop.run("support", consent.deliver_notices, left, notice="member-notice", channel="app")
    assert [one.to_be_told for one in shop.run("compliance", gate.notice_duties)] == [5]
    rest = [shop.id_of(f"H{number:05d}") for number in range(5)]
    shop.run("support", consent.deliver_notices, rest, notice="member-notice", channel="app", language=Language.EN)
    assert [one.to_be_told for one in shop.run("compliance", gate.notice_duties)] == [0]


def test_PIPL_18_only_an_exempted_purpose_owes_a_notice_that_tells_of_it(shop: World) -> None:
    def code(purpose: str, notice: str = "member-notice") -> str:
        with pytest.raises((InvalidInput, NotFound)) as caught:
            shop.run("compliance", gate.end_exemption, purpose=purpose, notice=notice, ticket="LEGAL-12")
        return caught.value.code

    assert code("order") == "NOT_EXEMPT"
    assert code("rights") == "NOTICE_SILENT"
    assert code("curiosity") == code("rights", "no-notice") == "NOT_FOUND"
    with pytest.raises(Denied):
        shop.run("support", gate.notice_duties)
