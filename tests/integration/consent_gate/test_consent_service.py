"""Consent on a real home: receipts, rules, history with two clocks, imports, restrictions."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from common.world import World, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.consent import receipt as receipts
from pdms.consent import service as consent
from pdms.consent.service import ImportRow
from pdms.errors import Denied, IntegrityBroken, InvalidInput, NotFound
from pdms.gate import service as gate
from pdms.taxonomy import (
    AgeStage,
    ConsentState,
    ConsentType,
    Language,
    MemberId,
    RestrictionKind,
)

GIVEN, WITHDRAWN, REFUSED = ConsentState.GIVEN, ConsentState.WITHDRAWN, ConsentState.REFUSED
STORE = "kept in the shop's consent trail"


def opened(folder: Path, database: str | None) -> World:
    made = World.make(folder, database=database)
    report = made.ingest("shop-members", people(3))
    assert report.created == 3, report.by_rule
    child = people(1, seed=3, born=date(2015, 1, 5))[0] | {"会员编号": "C1", "身份证号": ""}
    report = made.ingest("shop-members", [child | {"手机号": "13900000001"}])
    assert report.created == 1, report.by_rule
    return made


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    made = opened(tmp_path, database)
    yield made
    made.close()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, lasting_database: str | None) -> Iterator[World]:
    """For tests after which nothing has changed."""
    made = opened(tmp_path_factory.mktemp("calm"), lasting_database)
    yield made
    made.close()


def give(shop: World, member: MemberId, **more: object) -> consent.ConsentReceipt:
    asked = {"purpose": "market_email", "state": GIVEN, "channel": "web"} | more
    return shop.run("support", gate.record_consent, member, **asked)


def standing(shop: World, member: MemberId, purpose: str = "market_email", **more: object) -> ConsentState:
    return shop.run("compliance", consent.state_of, member, purpose=purpose, **more).state


def code_of(shop: World, member: MemberId, **more: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        give(shop, member, **more)
    return caught.value.code


def test_PIPL_15_1_given_then_withdrawn_without_staff(shop: World) -> None:
    member = shop.id_of("H00000")
    give(shop, member)
    assert standing(shop, member) is GIVEN
    shop.pass_time(minutes=1)
    done = shop.app.run(shop.member(member), consent.withdraw, member, purpose="market_email")
    assert [r.document["events"][0]["type"] for r in done] == ["dpv:ConsentWithdrawn"]
    assert standing(shop, member) is WITHDRAWN


def test_PIPL_15_2_the_past_stays_as_it_was(shop: World) -> None:
    member = shop.id_of("H00000")
    give(shop, member)
    given_at = shop.clock.instant
    shop.pass_time(days=2)
    shop.run("support", consent.withdraw, member, purpose="market_email")
    assert standing(shop, member, as_of=given_at + timedelta(days=1)) is GIVEN
    assert standing(shop, member, as_of=given_at - timedelta(seconds=1)) is ConsentState.UNASKED
    assert standing(shop, member) is WITHDRAWN


def test_import_learned_later_does_not_change_what_was_known(shop: World) -> None:
    member = shop.id_of("H00000")
    then = shop.clock.instant
    shop.pass_time(days=3)
    rows = [ImportRow(1, member, "market_email", "given", then - timedelta(days=10), "EV-1")]
    assert shop.run("ingest", consent.import_records, rows, evidence_store=STORE).accepted == 1
    assert standing(shop, member, as_of=then) is GIVEN
    assert standing(shop, member, as_of=then, known=then) is ConsentState.UNASKED


def test_receipt_verifies_and_any_change_is_found(shop: World) -> None:
    member = shop.id_of("H00000")
    shop.app.sequence()
    receipt = give(shop, member, evidence="ui-42")
    key = shop.app.keys.signer("receipts").public_key
    document = json.loads(receipt.to_json())
    receipts.verify(document, public_key=key)
    mandatory = {
        "schema_version", "record_id", "subject_ref", "notice", "language", "purpose", "categories", "controllers",
        "storage_location", "retention", "jurisdiction", "recipients", "withdrawal_method", "events",
    }  # fmt: skip
    assert mandatory <= set(document)
    assert all(document[name] for name in mandatory)
    assert document["checkpoint"]
    assert document["subject_ref"] == member.hex()
    for name in sorted(document):
        changed = json.loads(receipt.to_json())
        if name == "signature":
            changed[name]["value"] = "00" * 64
        else:
            changed[name] = "changed"
        with pytest.raises(IntegrityBroken) as caught:
            receipts.verify(changed, public_key=key)
        assert caught.value.code == "BAD_SIGNATURE", name
    with pytest.raises(IntegrityBroken) as caught:
        receipts.verify(document, public_key=b"\x01" * 32)
    assert caught.value.code == "RECEIPT_KEY"
    again = shop.run("compliance", consent.receipt, record_id=receipt.record_id)
    assert again.document["events"] == receipt.document["events"]
    with pytest.raises(NotFound):
        shop.run("compliance", consent.receipt, record_id="cns-" + "0" * 32)


def test_history_shows_the_text_that_was_shown(shop: World) -> None:
    member = shop.id_of("H00001")
    give(shop, member, evidence="ui-7", language=Language.EN)
    shop.pass_time(hours=1)
    shop.run("support", consent.withdraw, member, purpose="market_email", channel="phone")
    items = shop.run("compliance", consent.history, member)
    assert [(i.state, i.channel, i.current) for i in items] == [(GIVEN, "web", False), (WITHDRAWN, "phone", True)]
    first = items[0]
    said = shop.app.policy.notices["member-notice"][Language.EN]
    assert first.notice_version == said.version
    assert said.purposes["market_email"].text in first.text
    assert first.evidence == "ui-7"
    whole = shop.run("compliance", consent.notice_text, version=first.notice_version)
    assert said.introduction in whole.text
    assert said.rights["withdraw"] in whole.text


def test_history_is_the_officers_or_the_members_own(shop: World) -> None:
    one, other = shop.id_of("H00000"), shop.id_of("H00001")
    give(shop, one)
    assert shop.app.run(shop.member(one), consent.history, one)
    for role in ("marketing", "ingest"):
        with pytest.raises(Denied):
            shop.run(role, consent.history, one)
    with pytest.raises(Denied) as caught:
        shop.app.run(shop.member(other), consent.history, one)
    assert [r.code for r in caught.value.reasons] == ["NOT_SELF"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"preticked": True}, "PRETICKED"),
        ({"purpose": "curiosity"}, "PURPOSE_UNKNOWN"),
        ({"purpose": "order"}, "NOT_CONSENT_BASED"),
        ({"purpose": "sensitive_use"}, "CONSENT_TYPE"),
        ({"purpose": "partner", "type": ConsentType.SEPARATE, "evidence": "ui-1"}, "RECIPIENT_REQUIRED"),
        ({"purpose": "partner", "recipient": "logistics", "type": ConsentType.SEPARATE}, "RECIPIENT_UNKNOWN"),
        ({"recipient": "logistics"}, "RECIPIENT_NOT_APPLICABLE"),
        ({"purpose": "sensitive_use", "type": ConsentType.SEPARATE}, "EVIDENCE_MISSING"),
        ({"evidence": "call me on 13800138000"}, "EVIDENCE_FORM"),
        ({"evidence": "ref-13800138000"}, "EVIDENCE_FORM"),
        ({"evidence": "id/330102199003071234"}, "EVIDENCE_FORM"),
        ({"type": ConsentType.GUARDIAN}, "GUARDIAN_NOT_APPLICABLE"),
        ({"state": ConsentState.EXPIRED}, "STATE_UNKNOWN"),
        ({"channel": "Web Shop!"}, "CHANNEL_FORM"),
    ],
)  # fmt: skip
def test_what_is_no_consent_is_refused(calm: World, more: dict[str, object], code: str) -> None:
    assert code_of(calm, calm.id_of("H00000"), **more) == code
    assert calm.run("compliance", consent.history, calm.id_of("H00000")) == ()


def test_PIPL_14_1_a_box_ticked_beforehand_is_no_consent(shop: World) -> None:
    member = shop.id_of("H00000")
    assert code_of(shop, member, preticked=True) == "PRETICKED"
    assert standing(shop, member) is ConsentState.UNASKED
    give(shop, member, preticked=False)
    assert standing(shop, member) is GIVEN


def test_NDR_62_7_separate_consents_are_never_bundled(shop: World) -> None:
    member = shop.id_of("H00000")
    separate = {"type": ConsentType.SEPARATE, "evidence": "click-1"}
    give(shop, member, purpose="partner", recipient="partner-insurance", **separate)
    assert code_of(shop, member, purpose="crossborder", recipient="overseas-seller", **separate) == "BUNDLED"
    give(
        shop, member, purpose="crossborder", recipient="overseas-seller", type=ConsentType.SEPARATE, evidence="click-2"
    )


def test_PIPL_31_child_by_guardian_and_childrens_notice(shop: World) -> None:
    child = shop.id_of("C1")
    assert code_of(shop, child) == "GUARDIAN_NEEDED"
    assert code_of(shop, child, type=ConsentType.GUARDIAN) == "GUARDIAN_NOT_APPLICABLE"
    assert code_of(shop, child, purpose="order", type=ConsentType.GUARDIAN) == "GUARDIAN_PROOF"
    receipt = give(shop, child, purpose="order", type=ConsentType.GUARDIAN, guardian="guardian-9", evidence="letter-9")
    assert receipt.document["notice"]["id"] == "child-notice"
    assert receipt.document["guardian_ref"] == "guardian-9"


def test_withdrawal_of_all_recipients_and_of_what_was_never_given(shop: World) -> None:
    member = shop.id_of("H00000")
    give(shop, member, purpose="partner", recipient="partner-insurance", type=ConsentType.SEPARATE, evidence="c1")
    shop.pass_time(seconds=1)
    done = shop.run("support", consent.withdraw, member, purpose="partner")
    assert [r.document["recipients"][0]["id"] for r in done] == ["partner-insurance"]
    assert standing(shop, member, "partner", recipient="partner-insurance") is WITHDRAWN
    shop.run("support", consent.withdraw, member, purpose="market_sms")
    old = [ImportRow(1, member, "market_sms", "given", shop.clock.instant - timedelta(days=5), "EV-9")]
    result = shop.run("ingest", consent.import_records, old, evidence_store=STORE)
    assert (result.accepted, result.superseded) == (1, 1)
    assert standing(shop, member, "market_sms") is WITHDRAWN
    with pytest.raises(InvalidInput):
        shop.run("support", consent.withdraw, member, purpose="curiosity")


def test_PIPL_17_2_new_version_leaves_old_consents_bound_to_the_old(shop: World) -> None:
    member = shop.id_of("H00000")
    give(shop, member)
    before = shop.run("compliance", consent.history, member)[0].notice_version
    assert before == shop.app.policy.notices["member-notice"][Language.ZH].version
    assert shop.app.run(shop.actor("compliance"), consent.publish_notices) == ()
    assert len(shop.run("compliance", consent.versions)) == 4


def rows(member: MemberId | None, **more: object) -> list[ImportRow]:
    base: dict[str, object] = {
        "row": 1,
        "member_id": member,
        "purpose": "market_email",
        "state": "given",
        "at": datetime(2026, 3, 1, 2, tzinfo=UTC),
        "evidence": "EV-1",
    }
    return [ImportRow(**(base | more))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"evidence": ""}, "EVIDENCE_MISSING"),
        ({"evidence": "张三 同意了"}, "EVIDENCE_FORM"),
        ({"at": None}, "INSTANT_FORM"),
        ({"at": datetime(2026, 3, 1)}, "INSTANT_FORM"),  # noqa: DTZ001 - naive on purpose
        ({"at": datetime(2027, 3, 1, tzinfo=UTC)}, "INSTANT_FUTURE"),
        ({"at": date(2027, 3, 1)}, "INSTANT_FUTURE"),
        ({"at": datetime(2024, 12, 31, tzinfo=UTC)}, "NOTICE_LATER"),
        ({"state": "maybe"}, "STATE_UNKNOWN"),
        ({"state": "expired"}, "STATE_UNKNOWN"),
        ({"type": "nod"}, "TYPE_UNKNOWN"),
        ({"purpose": "curiosity"}, "PURPOSE_UNKNOWN"),
        ({"purpose": "order"}, "NOT_CONSENT_BASED"),
        ({"purpose": "sensitive_use"}, "CONSENT_TYPE"),
        ({"notice": "no-such-notice"}, "NOTICE_UNKNOWN"),
        ({"notice_version": "0" * 64}, "NOTICE_UNKNOWN"),
        ({"notice": "child-notice"}, "CHILD_NOTICE"),
        ({"member_id": None}, "MEMBER_UNKNOWN"),
    ],
)
def test_import_rejects_with_the_rule(shop: World, more: dict[str, object], rule: str) -> None:
    result = shop.run("ingest", consent.import_records, rows(shop.id_of("H00000"), **more), evidence_store=STORE)
    assert [r.rule for r in result.rejected] == [rule]
    assert result.accepted == 0


@pytest.mark.parametrize("state", ["withdrawn", "refused"])
def test_a_no_by_a_clock_that_runs_ahead_counts_from_now(shop: World, state: str) -> None:
    member = shop.id_of("H00000")
    give(shop, member)
    shop.pass_time(seconds=1)
    ahead = rows(member, state=state, at=shop.clock.instant + timedelta(seconds=40))
    assert shop.run("ingest", consent.import_records, ahead, evidence_store=STORE).accepted == 1
    assert standing(shop, member).value == state
    shop.pass_time(seconds=60)
    assert shop.run("ingest", consent.import_records, ahead, evidence_store=STORE).repeated == 1


def test_import_is_idempotent_and_keeps_the_rest(shop: World) -> None:
    one, two = shop.id_of("H00000"), shop.id_of("H00001")
    batch = [*rows(one), *rows(two, row=2, evidence=""), *rows(two, row=3, evidence="EV-2")]
    first = shop.run("ingest", consent.import_records, batch, evidence_store=STORE)
    assert (first.accepted, first.repeated, [r.row for r in first.rejected]) == (2, 0, [2])
    again = shop.run("ingest", consent.import_records, batch, evidence_store=STORE)
    assert (again.accepted, again.repeated) == (0, 2)
    assert len(shop.run("compliance", consent.history, one)) == 1


def test_import_never_supersedes_a_later_withdrawal_but_a_later_consent_does(shop: World) -> None:
    member = shop.id_of("H00000")
    shop.run("support", consent.withdraw, member, purpose="market_email")
    withdrawn_at = shop.clock.instant
    shop.pass_time(days=5)
    for at, state in (
        (withdrawn_at - timedelta(days=1), WITHDRAWN),
        (withdrawn_at, WITHDRAWN),
        (withdrawn_at + timedelta(days=1), GIVEN),
    ):
        batch = rows(member, at=at, evidence=f"EV-{at:%m%d}")
        shop.run("ingest", consent.import_records, batch, evidence_store=STORE)
        assert standing(shop, member) is state


def test_a_day_without_time_is_read_cautiously(shop: World) -> None:
    member = shop.id_of("H00000")
    day = date(2026, 5, 4)
    batch = [
        *rows(member, at=day, evidence="EV-1"),
        *rows(member, row=2, at=day, state="withdrawn", evidence="EV-2"),
    ]
    shop.run("ingest", consent.import_records, batch, evidence_store=STORE)
    assert standing(shop, member) is WITHDRAWN
    items = shop.run("compliance", consent.history, member)
    assert [i.occurred_at.isoformat() for i in items] == [
        "2026-05-03T16:00:00+00:00",
        "2026-05-04T15:59:59.999999+00:00",
    ]


def test_NDR_22_5_no_frequent_asking(shop: World) -> None:
    member = shop.id_of("H00000")
    ask = {"purpose": "market_email"}
    assert shop.run("support", consent.may_ask, member, **ask)
    give(shop, member, state=REFUSED)
    shop.pass_time(days=1)
    assert not shop.run("support", consent.may_ask, member, **ask)
    shop.pass_time(days=89)
    assert shop.run("support", consent.may_ask, member, **ask)
    give(shop, member)
    assert not shop.run("support", consent.may_ask, member, **ask)
    assert not shop.run("support", consent.may_ask, member, purpose="order")


def test_restrictions_stand_until_lifted_and_leave_events(shop: World) -> None:
    member = shop.id_of("H00000")
    kind = RestrictionKind.DO_NOT_CONTACT
    assert shop.run("support", consent.restrict, member, kind=kind, channel="sms") is True
    assert shop.run("support", consent.restrict, member, kind=kind, channel="sms") is False
    assert [f.channel for f in shop.run("support", consent.standing_restrictions, member)] == ["sms"]
    assert shop.run("support", consent.lift, member, kind=kind, channel="sms") is True
    assert shop.run("support", consent.lift, member, kind=kind, channel="sms") is False
    assert shop.run("support", consent.standing_restrictions, member) == ()
    with shop.unit() as uow:
        kinds = [e.event.kind for e in audit.list_events(uow.session, member_id=member.hex()).items]
    assert kinds.count(EventKind.RESTRICTION_SET) == kinds.count(EventKind.RESTRICTION_LIFTED) == 1
    for wrong in ({"kind": kind, "purpose": "segment"}, {"kind": RestrictionKind.OBJECTION, "channel": "sms"}):
        with pytest.raises(InvalidInput):
            shop.run("support", consent.restrict, member, **wrong)


def test_coverage_counts_by_purpose_version_and_channel(shop: World) -> None:
    give(shop, shop.id_of("H00000"))
    give(shop, shop.id_of("H00001"), channel="store")
    give(shop, shop.id_of("H00002"), state=REFUSED)
    found = {(r.purpose, r.channel, r.state): r.members for r in shop.run("compliance", consent.coverage)}
    assert found == {
        ("market_email", "web", GIVEN): 1,
        ("market_email", "store", GIVEN): 1,
        ("market_email", "web", REFUSED): 1,
    }
    with pytest.raises(Denied):
        shop.run("marketing", consent.coverage)


def test_events_carry_no_text(shop: World) -> None:
    member = shop.id_of("H00000")
    give(shop, member, evidence="ui-1")
    with shop.unit() as uow:
        events = audit.list_events(uow.session, member_id=member.hex(), kinds=[EventKind.CONSENT_RECORDED]).items
    assert len(events) == 1
    assert events[0].event.purpose == "market_email"
    assert set(events[0].event.refs) == {"record", "policy", "notice", "version", "state"}


def test_forgotten_members_leave_no_current_state_but_their_records(shop: World) -> None:
    member = shop.id_of("H00000")
    give(shop, member)
    assert shop.run("compliance", consent.forget_current, [member]) >= 2
    assert shop.run("compliance", consent.coverage) == ()
    assert len(shop.run("compliance", consent.history, member)) == 1


def test_recording_needs_a_living_member(shop: World) -> None:
    with pytest.raises(NotFound):
        give(shop, MemberId(b"\x00" * 16))
    member = shop.id_of("H00000")
    with pytest.raises(Denied):
        shop.app.run(
            shop.member(shop.id_of("H00001")),
            consent.record,
            member,
            purpose="market_email",
            state=GIVEN,
            age=AgeStage.ADULT,
        )
