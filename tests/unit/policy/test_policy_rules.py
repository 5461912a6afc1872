"""Decisions, working days, reasons, permits, words and differences: pure parts of the policy."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import pytest

from common.policies import SHIPPED
from pdms.errors import Denied, InvalidInput, NotFound
from pdms.policy.calendar import add_working_days, is_working_day, published, working_days_between
from pdms.policy.check import advise, check
from pdms.policy.decide import (
    ActorFacts,
    ConsentFacts,
    Decision,
    RestrictionFact,
    SubjectFacts,
    Use,
    decide,
)
from pdms.policy.definitions import CalendarYear, Policy
from pdms.policy.diff import diff
from pdms.policy.explain import explain, explain_all
from pdms.policy.loader import load
from pdms.policy.permit import Permit
from pdms.policy.reasons import RANK, REASONS, ordered, reason
from pdms.taxonomy import (
    AgeStage,
    Channel,
    ConsentState,
    ConsentType,
    Language,
    LawfulBasis,
    MemberId,
    MemberStatus,
    Operation,
    RestrictionKind,
    Scope,
)

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
SYSTEM = ActorFacts(kind="system")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load(SHIPPED)


def given(policy: Policy, purpose: str, **more: object) -> ConsentFacts:
    definition = policy.purposes[purpose]
    consent = ConsentFacts(
        ConsentState.GIVEN,
        ConsentType.CONSENT,
        NOW - timedelta(days=1),
        definition.categories,
        definition.operations,
    )
    return replace(consent, **more)  # type: ignore[arg-type]


def adult(consent: ConsentFacts | None = None, **more: object) -> SubjectFacts:
    facts = SubjectFacts(MemberStatus.ACTIVE, AgeStage.ADULT, consent or ConsentFacts(), served=True)
    return replace(facts, **more)  # type: ignore[arg-type]


def ask(policy: Policy, use: Use, subject: SubjectFacts, actor: ActorFacts = SYSTEM, now: datetime = NOW) -> Decision:
    return decide(policy, use=use, subject=subject, actor=actor, now=now)


def test_PIPL_6_1_unknown_purpose(policy: Policy) -> None:
    assert ask(policy, Use("curiosity", Operation.USE), adult()).codes == ("NO_PURPOSE",)


def test_decision_carries_digest_and_articles(policy: Policy) -> None:
    decision = ask(policy, Use("segment", Operation.PROFILE), adult())
    assert decision.policy_digest == policy.digest
    assert [(r.code, r.article) for r in decision.reasons] == [("NO_CONSENT", "PIPL-13-1")]


def test_all_reasons_are_found(policy: Policy) -> None:
    use = Use("segment", Operation.SEND, fields=("phone",), channel=Channel.SMS)
    subject = adult(status=MemberStatus.DISABLED, age=AgeStage.MINOR)
    assert ask(policy, use, subject, ActorFacts(kind="operator")).codes == (
        "OPERATION_NOT_ALLOWED",
        "FIELD_NOT_ALLOWED",
        "CHANNEL_NOT_ALLOWED",
        "ROLE_NOT_ALLOWED",
        "MEMBER_DISABLED",
        "MINOR",
        "NO_CONSENT",
    )


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ConsentState.UNASKED, "NO_CONSENT"),
        (ConsentState.REQUESTED, "NO_CONSENT"),
        (ConsentState.REFUSED, "CONSENT_REFUSED"),
        (ConsentState.WITHDRAWN, "CONSENT_WITHDRAWN"),
        (ConsentState.EXPIRED, "CONSENT_EXPIRED"),
        (ConsentState.INVALIDATED, "CONSENT_INVALIDATED"),
    ],
)
def test_each_state_has_its_reason(policy: Policy, state: ConsentState, code: str) -> None:
    assert ask(policy, Use("segment", Operation.PROFILE), adult(given(policy, "segment", state=state))).codes == (code,)


def test_NDR_22_4_consent_period_ends(policy: Policy) -> None:
    short = replace(policy.purposes["segment"], consent_days=30)
    limited = replace(policy, purposes=MappingProxyType({**policy.purposes, "segment": short}))
    use = Use("segment", Operation.PROFILE)
    exactly = given(policy, "segment", occurred_at=NOW - timedelta(days=30))
    assert ask(limited, use, adult(exactly)).codes == ("CONSENT_EXPIRED",)
    assert ask(limited, use, adult(exactly), now=NOW - timedelta(microseconds=1)).permitted


def test_PIPL_14_2_added_category_asks_again(policy: Policy) -> None:
    old = given(policy, "segment", categories=("behaviour", "transaction"))
    assert ask(policy, Use("segment", Operation.PROFILE), adult(old)).codes == ("RECONSENT",)
    narrow = Use("segment", Operation.PROFILE, categories=("transaction",))
    assert ask(policy, narrow, adult(old)).permitted


def test_PIPL_55_pipia_absent_or_overdue(policy: Policy) -> None:
    use, consent = Use("segment", Operation.PROFILE), given(policy, "segment")
    none = replace(
        policy,
        purposes=MappingProxyType({**policy.purposes, "segment": replace(policy.purposes["segment"], pipia=None)}),
    )
    assert ask(none, use, adult(consent)).codes == ("PIPIA_MISSING",)
    assert ask(policy, use, adult(consent), now=datetime(2024, 1, 1, tzinfo=UTC)).codes == ("PIPIA_MISSING",)
    late = datetime(2029, 1, 1, tzinfo=UTC)
    assert ask(policy, use, adult(consent), now=late).codes == ("PIPIA_OVERDUE",)
    last_day_in_shanghai = datetime(2028, 12, 31, 15, 59, tzinfo=UTC)
    assert ask(policy, use, adult(consent), now=last_day_in_shanghai).permitted
    assert ask(policy, use, adult(consent), now=last_day_in_shanghai + timedelta(minutes=1)).codes == ("PIPIA_OVERDUE",)


def test_PIPL_31_1_child_needs_guardian(policy: Policy) -> None:
    use = Use("order", Operation.USE)
    child = adult(age=AgeStage.CHILD)
    assert ask(policy, use, child).codes == ("GUARDIAN_CONSENT_MISSING",)
    proper = given(policy, "order", type=ConsentType.GUARDIAN, audience="child")
    assert ask(policy, use, replace(child, consent=proper)).permitted
    adult_notice = replace(proper, audience="adult")
    assert ask(policy, use, replace(child, consent=adult_notice)).codes == ("CHILD_NOTICE",)
    own = replace(proper, type=ConsentType.WRITTEN)
    assert ask(policy, use, replace(child, consent=own)).codes == ("GUARDIAN_CONSENT_MISSING",)
    withdrawn = replace(proper, state=ConsentState.WITHDRAWN)
    assert ask(policy, use, replace(child, consent=withdrawn)).codes == ("GUARDIAN_CONSENT_MISSING",)


def test_MIN_24_3_no_marketing_below_18_nor_unknown(policy: Policy) -> None:
    for purpose, operation in (("segment", Operation.PROFILE), ("market_sms", Operation.SEND)):
        consent = given(policy, purpose)
        for age, code in ((AgeStage.CHILD, "MINOR"), (AgeStage.MINOR, "MINOR"), (AgeStage.UNKNOWN, "AGE_UNKNOWN")):
            assert code in ask(policy, Use(purpose, operation), adult(consent, age=age)).codes


def test_guardians_consent_ends_at_14(policy: Policy) -> None:
    consent = given(policy, "segment", type=ConsentType.GUARDIAN)
    assert ask(policy, Use("segment", Operation.PROFILE), adult(consent)).codes == ("GUARDIAN_LAPSED",)


def test_PIPL_13_2_contract_needs_notice(policy: Policy) -> None:
    assert ask(policy, Use("order", Operation.USE), adult(served=False)).codes == ("NO_NOTICE",)
    assert ask(policy, Use("rights", Operation.USE), adult(served=False)).permitted  # exempt: the member asks


def test_PIPL_23_recipient_by_recipient(policy: Policy) -> None:
    consent = given(policy, "partner", type=ConsentType.SEPARATE)
    use = Use("partner", Operation.PROVIDE, recipient="partner-insurance")
    assert ask(policy, use, adult(consent)).permitted
    assert ask(policy, replace(use, recipient="logistics"), adult(consent)).codes == ("RECIPIENT_NOT_ALLOWED",)
    assert ask(policy, replace(use, recipient=None), adult(consent)).codes == ("RECIPIENT_REQUIRED",)


def test_PIPL_21_contract_over(policy: Policy) -> None:
    consent = given(policy, "partner", type=ConsentType.SEPARATE)
    use = Use("partner", Operation.PROVIDE, recipient="partner-insurance")
    for until in (None, date(2026, 11, 21)):
        party = replace(policy.recipients["partner-insurance"], contract_until=until)
        over = replace(policy, recipients=MappingProxyType({**policy.recipients, party.id: party}))
        assert ask(over, use, adult(consent)).codes == ("CONTRACT_EXPIRED",)


def test_PIPL_38_1_mechanism(policy: Policy) -> None:
    consent = given(policy, "crossborder", type=ConsentType.SEPARATE)
    use = Use("crossborder", Operation.EXPORT, recipient="overseas-seller")
    assert ask(policy, use, adult(consent)).permitted
    party = replace(policy.recipients["overseas-seller"], mechanism_until=date(2026, 1, 1))
    lapsed = replace(policy, recipients=MappingProxyType({**policy.recipients, party.id: party}))
    assert ask(lapsed, use, adult(consent)).codes == ("MECHANISM_MISSING",)


def test_CERT_a_certificate_opens_the_border_to_its_last_day(policy: Policy) -> None:
    consent = given(policy, "crossborder", type=ConsentType.SEPARATE)
    use = Use("crossborder", Operation.EXPORT, recipient="overseas-seller")
    day = NOW.astimezone(UTC).date()
    for until, codes in ((day, ()), (day - timedelta(days=1), ("MECHANISM_MISSING",))):
        party = replace(policy.recipients["overseas-seller"], mechanism="cert", mechanism_until=until)
        changed = replace(policy, recipients=MappingProxyType({**policy.recipients, party.id: party}))
        assert ask(changed, use, adult(consent)).codes == codes


def test_PIPL_39_abroad_needs_a_separate_consent_to_that_recipient(policy: Policy) -> None:
    use = Use("crossborder", Operation.EXPORT, recipient="overseas-seller")
    assert ask(policy, use, adult()).codes == ("NO_CONSENT",)
    assert ask(policy, use, adult(given(policy, "crossborder"))).codes == ("CONSENT_TYPE",)
    assert ask(policy, use, adult(given(policy, "crossborder", type=ConsentType.SEPARATE))).permitted


def test_PIPL_16_who_refused_everything_optional_is_served_all_the_same(policy: Policy) -> None:
    refused = ConsentFacts(ConsentState.REFUSED, ConsentType.CONSENT, NOW)
    assert ask(policy, Use("order", Operation.USE), adult(refused)).permitted
    for name, purpose in policy.purposes.items():
        if purpose.basis is LawfulBasis.CONTRACT:
            assert purpose.consent is ConsentType.NONE, name


@pytest.mark.parametrize(
    ("wish", "purpose", "operation", "code"),
    [
        (RestrictionFact(RestrictionKind.RESTRICTION), "order", Operation.USE, "RESTRICTED"),
        (RestrictionFact(RestrictionKind.RESTRICTION), "order", Operation.STORE, None),
        (RestrictionFact(RestrictionKind.RESTRICTION), "rights", Operation.USE, None),
        (RestrictionFact(RestrictionKind.OBJECTION, "order"), "order", Operation.USE, "OBJECTED"),
        (RestrictionFact(RestrictionKind.OBJECTION, "service"), "order", Operation.USE, None),
        (RestrictionFact(RestrictionKind.ADM_OPT_OUT), "order", Operation.USE, None),
    ],
)
def test_PIPL_44_wishes(
    policy: Policy, wish: RestrictionFact, purpose: str, operation: Operation, code: str | None
) -> None:
    codes = ask(policy, Use(purpose, operation), adult(restrictions=(wish,))).codes
    assert codes == (() if code is None else (code,))


def test_PIPL_24_2_and_do_not_contact_by_channel(policy: Policy) -> None:
    off = RestrictionFact(RestrictionKind.ADM_OPT_OUT)
    segment = adult(given(policy, "segment"), restrictions=(off,))
    assert ask(policy, Use("segment", Operation.PROFILE), segment).codes == ("ADM_OPT_OUT",)
    silent = RestrictionFact(RestrictionKind.DO_NOT_CONTACT, channel="sms")
    sms = adult(given(policy, "market_sms"), restrictions=(silent,))
    assert ask(policy, Use("market_sms", Operation.SEND), sms).codes == ("DO_NOT_CONTACT",)
    mail = adult(given(policy, "market_email"), restrictions=(silent,))
    assert ask(policy, Use("market_email", Operation.SEND), mail).permitted


def test_PIPL_51_4_role_and_training(policy: Policy) -> None:
    support = ActorFacts("operator", frozenset({Scope.SUPPORT}), "support", date(2026, 11, 22))
    use = Use("order", Operation.REVEAL, fields=("phone",), reason="DELIVERY_FAILED")
    assert ask(policy, use, adult(), support).permitted
    assert ask(policy, use, adult(), replace(support, trained_until=date(2026, 11, 21))).codes == ("TRAINING_LAPSED",)
    assert ask(policy, use, adult(), replace(support, trained_until=None)).codes == ("TRAINING_LAPSED",)
    assert ask(policy, replace(use, reason=None), adult(), support).codes == ("REASON_MISSING",)
    assert ask(policy, use, adult(), replace(support, scopes=frozenset())).codes == ("ROLE_NOT_ALLOWED",)
    admin = ActorFacts("operator", frozenset({Scope.ADMIN}), "admin", date(2030, 1, 1))
    assert ask(policy, use, adult(), admin).codes == ("ROLE_NOT_ALLOWED",)
    unnamed = ActorFacts("operator", frozenset({Scope.SUPPORT}), None, date(2030, 1, 1))
    assert ask(policy, use, adult(), unnamed).permitted


def test_member_acts_for_themself_only(policy: Policy) -> None:
    use = Use("rights", Operation.REVEAL, fields=("phone",))
    assert ask(policy, use, adult(), ActorFacts(kind="member", own=True)).permitted
    assert ask(policy, use, adult(), ActorFacts(kind="member", own=False)).codes == ("NOT_SELF",)
    assert ask(policy, Use("order", Operation.USE), adult(), ActorFacts(kind="member", own=True)).codes == (
        "ROLE_NOT_ALLOWED",
    )


def test_standing_of_the_member(policy: Policy) -> None:
    use = Use("order", Operation.USE)
    assert ask(policy, use, adult(status=None)).codes == ("MEMBER_UNKNOWN",)
    assert ask(policy, use, adult(status=MemberStatus.ERASED)).codes == ("MEMBER_ERASED",)
    assert ask(policy, use, adult(status=MemberStatus.DISABLED)).codes == ("MEMBER_DISABLED",)
    assert ask(policy, Use("hold", Operation.STORE), adult(status=MemberStatus.DISABLED)).permitted


def test_reasons_are_registered_once_with_texts() -> None:
    assert len(set(RANK.values())) == len(REASONS)
    for code, item in REASONS.items():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", code)
        assert item.article
        assert item.text(Language.ZH) != item.text(Language.EN)
    assert ordered({"NO_CONSENT", "NO_PURPOSE"}) == ("NO_PURPOSE", "NO_CONSENT")
    with pytest.raises(KeyError):
        reason("NO_SUCH_CODE")


# --- working days: 调休 of the State Council's notices, checked by hand


def test_T35273_8_7_working_days_skip_national_day(policy: Policy) -> None:
    # filed Wed 30 Sep 2026; 1-7 Oct holiday; 10 Oct (Saturday) is worked
    assert add_working_days(date(2026, 9, 30), 1, calendars=policy.calendars) == date(2026, 10, 8)
    assert add_working_days(date(2026, 9, 30), 3, calendars=policy.calendars) == date(2026, 10, 10)
    assert add_working_days(date(2026, 9, 30), 15, calendars=policy.calendars) == date(2026, 10, 27)


def test_working_weekends_and_holidays(policy: Policy) -> None:
    assert is_working_day(date(2026, 2, 14), calendars=policy.calendars)
    assert not is_working_day(date(2026, 2, 16), calendars=policy.calendars)
    assert not is_working_day(date(2026, 3, 1), calendars=policy.calendars)
    assert working_days_between(date(2025, 9, 26), date(2025, 10, 11), calendars=policy.calendars) == 6
    worked = [
        sum(is_working_day(date(y, 1, 1) + timedelta(days=n), calendars=policy.calendars) for n in range(365))
        for y in (2025, 2026)
    ]
    assert worked == [248, 248]


def test_in_an_unpublished_year_monday_to_friday_count(policy: Policy) -> None:
    """Early rather than late: New Year's Day counts as worked, since nobody has said yet that it is not."""
    assert 2027 not in policy.calendars
    assert is_working_day(date(2027, 1, 1), calendars=policy.calendars)
    assert not is_working_day(date(2027, 1, 2), calendars=policy.calendars)
    due = add_working_days(date(2026, 12, 25), 15, calendars=policy.calendars)
    assert due == date(2027, 1, 15)
    holiday = CalendarYear(2027, frozenset({date(2027, 1, 1)}), frozenset(), "made up")
    known = dict(policy.calendars) | {2027: holiday}
    assert add_working_days(date(2026, 12, 25), 15, calendars=known) == date(2027, 1, 18)
    assert not published(date(2026, 12, 25), due, calendars=policy.calendars)
    assert published(date(2026, 12, 25), due, calendars=known)
    assert published(date(2026, 12, 1), date(2026, 12, 31), calendars=policy.calendars)
    with pytest.raises(InvalidInput):
        add_working_days(date(2026, 1, 1), 0, calendars=policy.calendars)


# --- permits


def test_permit_is_narrow_and_short_lived() -> None:
    member = MemberId(b"m" * 16)
    permit = Permit(
        "permit-" + "0" * 32, "0" * 32, "order", Operation.REVEAL, member, (), ("phone",), None, None, None,
        NOW, NOW + timedelta(minutes=10), "op", "0" * 64,
    )  # fmt: skip
    permit.require(now=NOW, operation=Operation.REVEAL, member_id=member, fields=("phone",))
    for broken in (
        {"now": NOW + timedelta(minutes=10)},
        {"now": NOW - timedelta(seconds=1)},
        {"operation": Operation.SEND},
        {"member_id": MemberId(b"n" * 16)},
        {"member_id": None},
        {"fields": ("phone", "email")},
        {"view": "member_value"},
    ):
        asked = {"now": NOW, "operation": Operation.REVEAL, "member_id": member, "fields": ("phone",)} | broken
        with pytest.raises(Denied):
            permit.require(**asked)  # type: ignore[arg-type]


# --- words, differences, advice


def test_PIPL_48_every_purpose_is_explained(policy: Policy) -> None:
    for language in Language:
        text = explain_all(policy, language=language)
        assert policy.digest in text
        for purpose in policy.purposes.values():
            assert purpose.label[language] in text
            assert purpose.article in text
    assert "PIPL-24-1" in explain(policy, purpose="pricing", language=Language.EN)
    with pytest.raises(NotFound):
        explain(policy, purpose="curiosity")


def test_PIPL_14_2_diff_names_consents_to_ask_again(policy: Policy) -> None:
    segment = policy.purposes["segment"]
    wider = replace(segment, categories=(*segment.categories, "interaction"))
    order = replace(policy.purposes["order"], categories=("basic", "transaction", "interaction"))
    after = replace(
        policy, digest="1" * 64, purposes=MappingProxyType({**policy.purposes, "segment": wider, "order": order})
    )
    found = diff(policy, after)
    assert found.to_ask_again == ("segment",)
    assert {c.purpose: c.added_categories for c in found.changed} == {
        "segment": ("interaction",),
        "order": ("interaction",),
    }
    assert diff(policy, policy).changed == ()


def test_advice_sees_what_ends_soon(policy: Policy) -> None:
    assert advise(policy, today=date(2026, 11, 22)) == []
    assert any(
        "cn-2027.yaml is missing (calendar unpublished)" in line for line in advise(policy, today=date(2026, 12, 2))
    )
    assert any("pipia-segment" in line for line in advise(policy, today=date(2028, 12, 1)))
    report = check(SHIPPED / "nowhere", today=date(2026, 11, 22))
    assert report.policy is None
    assert report.problems
