"""The gate on a real home: permits, denials, set decisions, activation, each with its event."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from common.world import POLICIES, World, consents_of, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event, Outcome
from pdms.bootstrap.app import ANONYMOUS, App
from pdms.consent import service as consent
from pdms.db import begin
from pdms.errors import Conflict, Denied, NotFound
from pdms.gate import service as gate
from pdms.policy.loader import load
from pdms.taxonomy import Channel, ConsentState, ConsentType, GuardedAct, MemberId, Operation, RestrictionKind
from pdms.unit_of_work import Actor
from pdms.vault import service as vault

SEGMENT = {"purpose": "segment", "operation": Operation.PROFILE}
COUNT = 12


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    """Twelve adults who consented to segmentation and e-mail, and one of seventeen who did."""
    made = World.make(tmp_path, database=database)
    adults = people(COUNT)
    teen = people(1, seed=9, born=date(2009, 6, 15))[0]
    teen |= {"会员编号": "T1", "手机号": "13900000009", "身份证号": "", "邮箱": "t@example.com", "登录名": "teen_1"}
    for rows in (adults, [teen]):
        made.ingest("shop-members", made.file(f"{len(rows)}.csv", rows))
    made.ingest("shop-consents", consents_of([*adults, teen]))
    yield made
    made.close()


def events(shop: World, *kinds: EventKind, member: MemberId | None = None) -> list[Event]:
    with shop.unit() as uow:
        found = audit.list_events(uow.session, kinds=kinds, member_id=member.hex() if member else None).items
        return [item.event for item in found]


def codes(caught: pytest.ExceptionInfo[Denied]) -> list[str]:
    return [reason.code for reason in caught.value.reasons]


def test_permit_names_everything_and_is_recorded(shop: World) -> None:
    member = shop.id_of("H00000")
    permit = shop.run(
        "support",
        gate.permit,
        member_id=member,
        purpose="order",
        operation=Operation.REVEAL,
        fields=("phone",),
        reason="DELIVERY_FAILED",
    )
    assert (permit.member_id, permit.fields, permit.purpose) == (member, ("phone",), "order")
    assert permit.expires_at - permit.issued_at == timedelta(minutes=10)
    assert permit.policy_digest == shop.app.policy.digest
    event = events(shop, EventKind.PERMIT, member=member)[0]
    assert event.event_id == permit.event_id
    assert event.outcome is Outcome.PERMITTED
    assert event.reasons == ("DELIVERY_FAILED",)
    assert event.numbers["field_phone"] == event.numbers["asked_DELIVERY_FAILED"] == 1


def test_denial_is_committed_though_the_operation_rolls_back(shop: World) -> None:
    member = shop.id_of("H00000")
    with pytest.raises(Denied) as caught:
        shop.run(
            "support",
            gate.permit,
            member_id=member,
            purpose="order",
            operation=Operation.REVEAL,
            fields=("email",),
            reason="COMPLAINT",
        )
    assert codes(caught) == ["FIELD_NOT_ALLOWED"]
    assert caught.value.reasons[0].article == "PIPL-6-2"
    denial = events(shop, EventKind.DENIAL, member=member)[0]
    assert (denial.outcome, denial.purpose, denial.reasons) == (Outcome.DENIED, "order", ("FIELD_NOT_ALLOWED",))


def test_PIPL_6_1_unknown_purpose_is_denied_and_not_echoed(shop: World) -> None:
    member = shop.id_of("H00000")
    with pytest.raises(Denied) as caught:
        shop.run("support", gate.permit, member_id=member, purpose="call 13800138000", operation=Operation.USE)
    assert codes(caught) == ["NO_PURPOSE"]
    assert events(shop, EventKind.DENIAL)[0].purpose is None


def test_PIPL_15_1_withdrawal_binds_from_the_next_decision(shop: World) -> None:
    member = shop.id_of("H00000")
    send = {"member_id": member, "purpose": "market_email", "operation": Operation.SEND, "channel": Channel.EMAIL}
    assert shop.run("marketing", gate.decide_one, **send).permitted
    shop.app.run(shop.member(member), consent.withdraw, member, purpose="market_email")
    assert shop.run("marketing", gate.decide_one, **send).codes == ("CONSENT_WITHDRAWN",)


def test_MIN_24_3_seventeen_is_absent_until_the_month_after_the_birthday(shop: World) -> None:
    teen = shop.id_of("T1")
    assert shop.run("marketing", gate.decide_one, member_id=teen, **SEGMENT).codes == ("MINOR",)
    found = shop.run("marketing", gate.eligible, **SEGMENT)
    assert teen not in found.member_ids
    assert found.excluded == {"MINOR": 1}
    shop.clock.instant = shop.clock.instant.replace(year=2027, month=6, day=30)
    assert shop.run("marketing", gate.decide_one, member_id=teen, **SEGMENT).codes == ("MINOR",)
    shop.pass_time(days=1)
    assert shop.run("marketing", gate.decide_one, member_id=teen, **SEGMENT).permitted


def test_eligible_counts_by_reason_in_one_event(shop: World) -> None:
    one, two, three = (shop.id_of(f"H0000{n}") for n in range(3))
    shop.run("support", consent.withdraw, one, purpose="segment")
    shop.run("support", consent.restrict, one, kind=RestrictionKind.ADM_OPT_OUT)
    shop.run("support", consent.restrict, two, kind=RestrictionKind.RESTRICTION, purpose="segment")
    with shop.unit("compliance") as uow:
        vault.disable(uow, three)
    found = shop.run("marketing", gate.eligible, **SEGMENT)
    assert found.total == COUNT + 1
    assert len(found.member_ids) == COUNT - 3
    assert found.member_ids == sorted(found.member_ids)
    assert found.excluded == {
        "MEMBER_DISABLED": 1,
        "RESTRICTED": 1,
        "ADM_OPT_OUT": 1,
        "MINOR": 1,
        "CONSENT_WITHDRAWN": 1,
    }
    permits = [e for e in events(shop, EventKind.PERMIT) if e.event_id == found.event_id]
    assert len(permits) == 1
    assert permits[0].member_id is None
    assert permits[0].digest == found.digest
    assert permits[0].numbers.items() >= {"members": 13, "eligible": 9, **found.excluded}.items()


def test_set_is_refused_as_a_whole_where_the_use_is(shop: World) -> None:
    for role, asked, code in (
        ("support", SEGMENT, "ROLE_NOT_ALLOWED"),
        ("marketing", SEGMENT | {"operation": Operation.EXPORT}, "OPERATION_NOT_ALLOWED"),
        ("marketing", SEGMENT | {"categories": ("basic",)}, "CATEGORY_NOT_ALLOWED"),
        ("marketing", SEGMENT | {"purpose": "curiosity"}, "NO_PURPOSE"),
    ):
        with pytest.raises(Denied) as caught:
            shop.run(role, gate.eligible, **asked)
        assert code in codes(caught)


def test_release_permit_is_for_a_view_and_nobody(shop: World) -> None:
    permit = shop.run("compliance", gate.release_permit, view="member_value")
    assert (permit.view, permit.member_id, permit.operation) == ("member_value", None, Operation.PROFILE)
    with pytest.raises(NotFound):
        shop.run("compliance", gate.release_permit, view="no_such_view")
    with pytest.raises(Denied) as caught:
        shop.run("admin", gate.release_permit, view="member_value")
    assert codes(caught) == ["ROLE_NOT_ALLOWED"]


def test_PIPL_17_1_contract_purposes_need_a_delivered_notice(shop: World) -> None:
    use = {"purpose": "order", "operation": Operation.USE}
    assert shop.run("support", gate.eligible, **use).excluded == {}  # the source says they were shown it
    row = people(1, seed=5)[0] | {"会员编号": "E1", "手机号": "13700000001", "登录名": "e1"}
    quiet = replace(shop.app.policy.sources["shop-members"], notice=None)
    shop.app.policy = replace(
        shop.app.policy, sources=MappingProxyType({**shop.app.policy.sources, "shop-members": quiet})
    )
    assert shop.ingest("shop-members", [row]).created == 1
    member = shop.id_of("E1")
    assert shop.run("support", gate.decide_one, member_id=member, **use).codes == ("NO_NOTICE",)
    shop.run("support", consent.deliver_notices, [member], notice="member-notice", channel="app")
    assert shop.run("support", gate.decide_one, member_id=member, **use).permitted


def test_PIPL_44_member_reaches_only_their_own(shop: World) -> None:
    one, other = shop.id_of("H00000"), shop.id_of("H00001")
    use = {"purpose": "rights", "operation": Operation.REVEAL, "fields": ("phone",)}
    assert shop.app.run(shop.member(one), gate.permit, member_id=one, **use).reason == "SUBJECT_REQUEST"
    with pytest.raises(Denied):
        shop.app.run(shop.member(one), gate.permit, member_id=other, **use)


def test_unknown_member_is_denied(shop: World) -> None:
    with pytest.raises(Denied) as caught:
        shop.run("support", gate.permit, member_id=MemberId(b"\x01" * 16), purpose="order", operation=Operation.USE)
    assert codes(caught) == ["MEMBER_UNKNOWN"]


def test_PIPL_14_2_policy_that_adds_a_category_asks_everybody_again(shop: World, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(POLICIES, folder)
    for path in (folder / "policy.yaml", *(folder / "notices/member-notice").iterdir()):
        text = path.read_text(encoding="utf-8")
        before = "categories: [demographic, behaviour, transaction, personalisation]"
        assert text.count(before) == 1
        after = before.replace("personalisation]", "personalisation, interaction]")
        path.write_text(text.replace(before, after), encoding="utf-8")
    old = shop.app.policy.digest
    shop.app.policy = load(folder)
    with pytest.raises(Conflict) as caught:
        shop.run("marketing", gate.eligible, **SEGMENT)
    assert caught.value.code == "POLICY_NOT_ACTIVE"
    with shop.app.unit(Actor.system()) as uow:
        done = gate.activate(uow)
    assert (done.changed, done.digest) == (True, shop.app.policy.digest)
    assert [n.notice_id for n in done.notices] == ["member-notice", "member-notice"]
    found = shop.run("marketing", gate.eligible, **SEGMENT)
    assert found.member_ids == []
    assert found.excluded["RECONSENT"] == COUNT + 1
    # what the consent still reaches stays allowed
    assert shop.run(
        "marketing", gate.decide_one, member_id=shop.id_of("H00000"), categories=("transaction",), **SEGMENT
    ).permitted
    shop.run("support", gate.record_consent, shop.id_of("H00000"), purpose="segment", state=ConsentState.GIVEN)
    assert shop.run("marketing", gate.eligible, **SEGMENT).member_ids == [shop.id_of("H00000")]
    activated = events(shop, EventKind.POLICY_ACTIVATED)
    assert [e.refs.get("before") for e in activated] == [old, None]


def test_policy_diff_counts_the_members_to_ask_again(shop: World) -> None:
    policy = shop.app.policy
    segment = policy.purposes["segment"]
    wider = replace(segment, categories=(*segment.categories, "interaction"))
    after = replace(policy, digest="1" * 64, purposes=MappingProxyType({**policy.purposes, "segment": wider}))
    shop.run("support", consent.withdraw, shop.id_of("H00000"), purpose="segment")
    assert shop.run("compliance", gate.affected, after=after) == {"segment": COUNT}


def test_policy_diff_counts_whoever_agreed_to_any_recipient(shop: World) -> None:
    policy = shop.app.policy
    partner = policy.purposes["partner"]
    shop.run(
        "support", gate.record_consent, shop.id_of("H00001"), purpose="partner", state=ConsentState.GIVEN,
        type=ConsentType.SEPARATE, recipient="partner-insurance", evidence="form-7",
    )  # fmt: skip
    wider = replace(partner, categories=(*partner.categories, "interaction"))
    after = replace(policy, digest="1" * 64, purposes=MappingProxyType({**policy.purposes, "partner": wider}))
    assert shop.run("compliance", gate.affected, after=after) == {"partner": 1}


def test_activation_twice_changes_nothing(shop: World) -> None:
    with shop.app.unit(Actor.system()) as uow:
        again = gate.activate(uow)
        assert gate.active_digest(uow) == shop.app.policy.digest
    assert (again.changed, again.notices) == (False, ())
    assert len(events(shop, EventKind.POLICY_ACTIVATED)) == 1


def test_stored_policy_hashes_to_its_digest(shop: World) -> None:
    import hashlib

    with shop.unit() as uow:
        row = uow.session.connection().exec_driver_sql("SELECT digest, content FROM policy_version").one()
    assert hashlib.sha256(row[1].encode()).hexdigest() == row[0] == shop.app.policy.digest


def test_PIPL_51_4_somebody_with_only_a_link_gets_nothing(shop: World) -> None:
    member = shop.id_of("H00000")
    use = {"member_id": member, "purpose": "order", "operation": Operation.REVEAL, "fields": ("phone",)}
    with pytest.raises(Denied) as caught:
        shop.app.run(ANONYMOUS, gate.permit, reason="COMPLAINT", **use)
    assert "ROLE_NOT_ALLOWED" in codes(caught)
    assert shop.app.run(Actor.system(), gate.permit, **use).actor == "system"


def test_PIPL_51_4_marketing_records_no_consent(shop: World) -> None:
    with pytest.raises(Denied) as caught:
        shop.run("marketing", gate.record_consent, shop.id_of("H00000"), purpose="market_sms", state=ConsentState.GIVEN)
    assert codes(caught) == ["SCOPE_MISSING"]


def changed(shop: World, tmp_path: Path, before: str, after: str) -> Path:
    """The starter documents in a folder of their own, with one line changed."""
    folder = tmp_path / "documents"
    shutil.copytree(POLICIES, folder)
    text = (folder / "policy.yaml").read_text(encoding="utf-8")
    assert text.count(before) == 1
    (folder / "policy.yaml").write_text(text.replace(before, after), encoding="utf-8")
    return folder


def test_a_reverted_policy_decides_as_it_did(shop: World, tmp_path: Path) -> None:
    folder = changed(shop, tmp_path, "contact: privacy@shop.example", "contact: office@shop.example")
    first, second = shop.app.policy.digest, load(folder)
    shop.approve("compliance", GuardedAct.POLICY_ACTIVATION, policy=second.digest)
    shop.run("compliance", gate.activate, policy=second)
    shop.approve("compliance", GuardedAct.POLICY_ACTIVATION, policy=first)
    done = shop.run("compliance", gate.revert, digest=first)
    assert (done.digest, done.changed) == (first, True)
    found = shop.run("compliance", gate.history)
    assert [one.digest for one in found] == [first, second.digest, first]
    assert [one.number for one in found] == sorted(one.number for one in found)
    assert shop.run("marketing", gate.eligible, **SEGMENT).policy_digest == first
    with shop.unit() as uow:
        assert gate.policy_at(uow, digest=second.digest).controller.contact == "office@shop.example"
    newest = events(shop, EventKind.POLICY_ACTIVATED)[0]
    assert (newest.refs["revert"], newest.refs["before"]) == ("yes", second.digest)
    with pytest.raises(NotFound):
        shop.run("compliance", gate.revert, digest="0" * 64)


def test_documents_that_were_reverted_give_way_and_drafts_do_not(shop: World, tmp_path: Path) -> None:
    folder = changed(shop, tmp_path, "contact: privacy@shop.example", "contact: office@shop.example")
    first, second = shop.app.policy.digest, load(folder)
    with begin(shop.app.main, read_only=True) as session:
        assert gate.in_force(session, documents=second, follow=False) is second
        assert gate.in_force(session, documents=second, follow=True).digest == first
    shop.approve("compliance", GuardedAct.POLICY_ACTIVATION, policy=second.digest)
    shop.run("compliance", gate.activate, policy=second)
    shop.approve("compliance", GuardedAct.POLICY_ACTIVATION, policy=first)
    shop.run("compliance", gate.revert, digest=first)
    with begin(shop.app.main, read_only=True) as session:
        found = gate.in_force(session, documents=second, follow=False)
    assert (found.digest, found.tests) == (first, second.tests)


def test_a_policy_that_could_not_be_read_once_is_read_the_next_time(
    shop: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody commits again, and whoever asks meanwhile waits for the answer instead of going on by the old one."""
    folder = changed(shop, tmp_path, "contact: privacy@shop.example", "contact: office@shop.example")
    shop.app.follow_policy(every=0)
    shop.run("marketing", gate.eligible, **SEGMENT)
    with App.open(shop.app.settings, clock=shop.clock) as other:
        other.run(Actor.system(), gate.activate, policy=load(folder))
    read, begun, others = gate.in_force, threading.Event(), threading.Event()

    def busy(*args: Any, **more: Any) -> Any:
        begun.set()
        others.wait(0.5)
        monkeypatch.setattr(gate, "in_force", read)
        raise Conflict("database: busy", code="DATABASE_BUSY")

    monkeypatch.setattr(gate, "in_force", busy)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shop.app.unit, Actor.system())
        assert begun.wait(30)
        second = pool.submit(shop.app.unit, Actor.system())
        assert second.result().policy.digest == load(folder).digest
        others.set()
        assert isinstance(first.exception(), Conflict)


def test_a_long_lived_process_goes_on_by_what_another_activates(shop: World, tmp_path: Path) -> None:
    folder = changed(shop, tmp_path, "contact: privacy@shop.example", "contact: office@shop.example")
    shop.app.follow_policy(every=0)
    before = shop.run("marketing", gate.eligible, **SEGMENT).policy_digest
    with App.open(shop.app.settings, clock=shop.clock) as other:
        other.run(Actor.system(), gate.activate, policy=load(folder))
    found = shop.run("marketing", gate.eligible, **SEGMENT)
    assert found.policy_digest == load(folder).digest != before
