"""Each condition of a use, taken away alone: the refusal has its code, its article, and names the policy's line."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import pytest

from common.policies import SHIPPED
from pdms.policy.decide import ActorFacts, ConsentFacts, SubjectFacts, Use, decide
from pdms.policy.definitions import Policy
from pdms.policy.gaps import LINED
from pdms.policy.lint import problems
from pdms.policy.loader import load
from pdms.policy.reasons import REASONS
from pdms.taxonomy import AgeStage, Channel, ConsentState, ConsentType, MemberStatus, Operation

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
SYSTEM = ActorFacts(kind="system")
EXPORT = Use("crossborder", Operation.EXPORT, recipient="overseas-seller")
SEND = Use("market_email", Operation.SEND, channel=Channel.EMAIL)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load(SHIPPED)


def asked(policy: Policy, use: Use, actor: ActorFacts = SYSTEM) -> dict[str, Any]:
    """Decide for an adult who agreed to everything in the strongest form; code to reason."""
    purpose = policy.purposes.get(use.purpose)
    consent = ConsentFacts()
    if purpose is not None:
        consent = ConsentFacts(ConsentState.GIVEN, ConsentType.WRITTEN, NOW, tuple(policy.categories), tuple(Operation))
    subject = SubjectFacts(MemberStatus.ACTIVE, AgeStage.ADULT, consent, served=True)
    return {one.code: one for one in decide(policy, use=use, subject=subject, actor=actor, now=NOW).reasons}


def purpose_with(policy: Policy, name: str, **change: object) -> Policy:
    changed = replace(policy.purposes[name], **change)  # type: ignore[arg-type]
    return replace(policy, purposes=MappingProxyType({**policy.purposes, name: changed}))


def recipient_with(policy: Policy, name: str, **change: object) -> Policy:
    changed = replace(policy.recipients[name], **change)  # type: ignore[arg-type]
    return replace(policy, recipients=MappingProxyType({**policy.recipients, name: changed}))


def pipia_with(policy: Policy, name: str, **change: object) -> Policy:
    changed = replace(policy.pipias[name], **change)  # type: ignore[arg-type]
    return replace(policy, pipias=MappingProxyType({**policy.pipias, name: changed}))


def same(policy: Policy) -> Policy:
    return policy


PAST = date(2026, 11, 21)
CONDITIONS: dict[str, tuple[Callable[[Policy], Policy], Use, str, str]] = {
    "PIPL_6_1_purpose": (same, Use("curiosity", Operation.USE), "NO_PURPOSE", "purposes: none of this name"),
    "NDR_22_4_operation": (
        same, replace(SEND, operation=Operation.PROFILE), "OPERATION_NOT_ALLOWED",
        "purposes.market_email.operations: profile not among them",
    ),
    "PIPL_6_2_category": (
        same, replace(SEND, categories=("basic", "behaviour")), "CATEGORY_NOT_ALLOWED",
        "purposes.market_email.categories: behaviour not among them",
    ),
    "PIPL_6_2_unknown_category": (
        same, replace(SEND, categories=("13800138000",)), "CATEGORY_NOT_ALLOWED",
        "purposes.market_email.categories: none of this name",
    ),
    "PIPL_6_2_field": (
        same, replace(SEND, fields=("phone",)), "FIELD_NOT_ALLOWED",
        "purposes.market_email.deny_fields: names phone",
    ),
    "PIPL_6_2_field_of_another_category": (
        same, replace(SEND, fields=("id_number",)), "FIELD_NOT_ALLOWED",
        "purposes.market_email.categories: sensitive not among them",
    ),
    "ADL_43_channel": (
        same, replace(SEND, channel=Channel.SMS), "CHANNEL_NOT_ALLOWED", "purposes.market_email.channel: email",
    ),
    "PIPL_55_assessment": (
        lambda p: replace(p, pipias=MappingProxyType({})), EXPORT, "PIPIA_MISSING",
        "purposes.crossborder.pipia: no assessment on file",
    ),
    "PIPL_55_review": (
        lambda p: pipia_with(p, "pipia-crossborder", review_by=PAST), EXPORT, "PIPIA_OVERDUE",
        "pipias.pipia-crossborder.review_by: past",
    ),
    "PIPL_23_no_recipient": (
        same, replace(EXPORT, recipient=None), "RECIPIENT_REQUIRED",
        "purposes.crossborder.recipients: one of them must be named",
    ),
    "PIPL_23_recipient": (
        same, replace(EXPORT, recipient="logistics"), "RECIPIENT_NOT_ALLOWED",
        "purposes.crossborder.recipients: logistics not among them",
    ),
    "PIPL_21_contract": (
        lambda p: recipient_with(p, "overseas-seller", contract_until=PAST), EXPORT, "CONTRACT_EXPIRED",
        "recipients.overseas-seller.contract_until: missing or past",
    ),
    "PIPL_38_1_mechanism": (
        lambda p: recipient_with(p, "overseas-seller", mechanism=None), EXPORT, "MECHANISM_MISSING",
        "recipients.overseas-seller.mechanism: missing",
    ),
    "PIPL_38_1_mechanism_of_the_purpose": (
        lambda p: purpose_with(p, "crossborder", mechanisms=("cert",)), EXPORT, "MECHANISM_MISSING",
        "purposes.crossborder.mechanisms: scc not among them",
    ),
    "PIPL_38_1_mechanism_until": (
        lambda p: recipient_with(p, "overseas-seller", mechanism_until=PAST), EXPORT, "MECHANISM_MISSING",
        "recipients.overseas-seller.mechanism_until: past",
    ),
    "PIPL_38_1_region": (
        lambda p: recipient_with(p, "partner-insurance", region="hk"),
        Use("partner", Operation.PROVIDE, recipient="partner-insurance"), "REGION_NOT_ALLOWED",
        "recipients.partner-insurance.region: abroad, and this is no export",
    ),
}  # fmt: skip
"""Name of the case → what is taken away, the use, the code, the line that is named."""


@pytest.mark.parametrize("case", CONDITIONS)
def test_a_gap_denies_and_names_the_line(policy: Policy, case: str) -> None:
    change, use, code, line = CONDITIONS[case]
    for whole in (EXPORT, SEND):
        assert asked(policy, whole) == {}
    found = asked(change(policy), use)
    assert found.keys() - {"RECONSENT"} == {code}  # what nobody was asked for is not consented to either
    assert found[code].article == REASONS[code].article
    assert found[code].detail == f"{REASONS[code].en} policy.yaml: {line}"


def test_PIPL_51_4_a_role_that_may_not_act_is_named(policy: Policy) -> None:
    actor = ActorFacts(kind="operator", role="support", scopes=frozenset(policy.roles["support"].scopes))
    found = asked(policy, SEND, actor)
    assert list(found) == ["ROLE_NOT_ALLOWED"]
    assert "roles.support.purposes: market_email not among them" in found["ROLE_NOT_ALLOWED"].detail


def test_every_reason_that_lies_in_the_policy_names_a_line() -> None:
    known = {code for _, _, code, _ in CONDITIONS.values()} | {"ROLE_NOT_ALLOWED", "REASON_UNKNOWN", "TICKET_MISSING"}
    known.add("EXPORT_THRESHOLD")  # test_policy_crossborder.py
    assert known == LINED


def test_PIPL_38_1_a_purpose_that_gives_abroad_without_export_does_not_load(policy: Policy) -> None:
    assert problems(policy) == []
    abroad = recipient_with(policy, "partner-insurance", region="hk")
    told = [line for line in problems(abroad) if line.startswith("policy.yaml: purposes.partner.recipients")]
    assert [line.split(": ", 2)[2] for line in told] == [
        "partner-insurance is abroad; only the operation export reaches it (PIPL-38-1)"
    ]
    at_home = recipient_with(policy, "overseas-seller", region="cn")
    assert any("overseas-seller is not abroad" in line for line in problems(at_home))


def test_two_recipients_that_the_log_would_write_alike_are_refused(policy: Policy) -> None:
    one = next(iter(policy.recipients.values()))
    for names, told in ((("new_one", "new-one"), 1), (("new_one", "new_two"), 0)):
        more = {name: replace(one, id=name) for name in names}
        changed = replace(policy, recipients={**policy.recipients, **more})
        assert sum("the log writes it as it writes new_one" in line for line in problems(changed)) == told
