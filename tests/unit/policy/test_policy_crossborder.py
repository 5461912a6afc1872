"""The mechanisms that cover so many people, at each threshold and one below it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from common.policies import SHIPPED
from pdms.clock import SHANGHAI
from pdms.policy.crossborder import EVERY, Exported, covering
from pdms.policy.decide import ActorFacts, ConsentFacts, SubjectFacts, Use, decide
from pdms.policy.definitions import RestrictedRecipient
from pdms.policy.loader import load
from pdms.taxonomy import AgeStage, ConsentState, ConsentType, LawfulBasis, MemberStatus, Operation

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
PAPER = EVERY - {"exempt"}


@pytest.fixture(scope="module")
def policy():
    return load(SHIPPED)


@pytest.mark.parametrize(
    ("people", "sensitive", "wanted"),
    [
        (1, 0, EVERY),
        (99_999, 0, EVERY),
        (100_000, 0, PAPER),
        (1, 1, PAPER),
        (999_999, 9_999, PAPER),
        (1_000_000, 0, {"assessment"}),
        (10_000, 10_000, {"assessment"}),
    ],
)
def test_XBF_5_7_8_thresholds(policy, people, sensitive, wanted):
    purpose = policy.purposes["crossborder"]
    assert covering(Exported(people, sensitive), controller=policy.controller, purpose=purpose) == wanted
    needed = replace(purpose, basis=LawfulBasis.CONTRACT)
    assert covering(Exported(people, sensitive), controller=policy.controller, purpose=needed) == EVERY
    vital = replace(policy.controller, ciio=True)
    assert covering(Exported(people, sensitive), controller=vital, purpose=needed) == {"assessment"}


@pytest.mark.parametrize("purpose", ["partner", "crossborder"])
def test_PIPL_42_a_listed_recipient_gets_nothing_however_its_name_is_written(policy, purpose):
    recipient, spelt = {
        "partner": ("partner-insurance", "示例保险 有限公司"),
        "crossborder": ("overseas-seller", "EXAMPLE overseas seller, Ltd"),
    }[purpose]
    named = policy.purposes[purpose]
    consent = ConsentFacts(ConsentState.GIVEN, ConsentType.SEPARATE, NOW, named.categories, named.operations)

    def codes(since):
        line = RestrictedRecipient(spelt, since, "an announcement")
        return decide(
            replace(policy, restricted=(*policy.restricted, line)),
            use=Use(purpose, named.operations[0], recipient=recipient),
            subject=SubjectFacts(MemberStatus.ACTIVE, AgeStage.ADULT, consent),
            actor=ActorFacts(kind="system"),
            now=NOW,
        )

    today = NOW.astimezone(SHANGHAI).date()
    assert codes(today + timedelta(days=1)).permitted
    (refused,) = codes(today).reasons
    assert (refused.code, refused.article) == ("RECIPIENT_LISTED", "PIPL-42")


@pytest.mark.parametrize(("mechanism", "people", "codes"), [
    ("exempt", 99_999, ()), ("exempt", 100_000, ("EXPORT_THRESHOLD",)), ("scc", 100_000, ()),
    ("scc", 1_000_000, ("EXPORT_THRESHOLD",)), ("assessment", 1_000_000, ()),
])  # fmt: skip
def test_XBF_7_the_hundred_thousandth_person_is_not_exempt(policy, mechanism, people, codes):
    seller = replace(policy.recipients["overseas-seller"], mechanism=mechanism)
    policy = replace(policy, recipients=MappingProxyType({**policy.recipients, "overseas-seller": seller}))
    purpose = policy.purposes["crossborder"]
    consent = ConsentFacts(ConsentState.GIVEN, ConsentType.SEPARATE, NOW, purpose.categories, purpose.operations)
    found = decide(
        policy,
        use=Use("crossborder", Operation.EXPORT, recipient="overseas-seller"),
        subject=SubjectFacts(MemberStatus.ACTIVE, AgeStage.ADULT, consent),
        actor=ActorFacts(kind="system"),
        now=NOW,
        exported=Exported(people),
    )
    assert found.codes == codes
    for one in found.reasons:
        assert f"recipients.overseas-seller.mechanism: {mechanism} does not cover so many" in one.detail
