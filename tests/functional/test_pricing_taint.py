"""What is known of a member reaches no price: asked as the purpose that makes prices, every face refuses it."""

import pytest

from pdms.errors import Denied
from pdms.gate import service as gate
from pdms.policy.decide import ActorFacts, ConsentFacts, SubjectFacts, Use, decide
from pdms.policy.lint_pricing import prices
from pdms.taxonomy import AgeStage, ConsentState, ConsentType, MemberStatus, Operation
from pdms.unit_of_work import Actor

PRICING = "pricing"


@pytest.fixture(scope="module")
def asked(shop):
    """Every use that would bring data of a member into a price: what is touched, and how."""
    policy = shop.world.app.policy
    uses = [{"categories": (name,), "operation": Operation.USE} for name in policy.categories]
    uses += [{"fields": (name,), "operation": Operation.USE} for name in policy.fields]
    return uses + [{"operation": one} for one in Operation if one is not Operation.USE]


def test_PIPL_24_1_no_profile_tag_or_segment_reaches_a_price_by_the_gate(shop, asked):
    world, member = shop.world, shop.world.id_of("H00050")
    tags = {"categories": ("personalisation",), "operation": Operation.USE}
    assert tags in asked
    for use in asked:
        with world.app.unit(Actor.system()) as uow, pytest.raises(Denied) as one:
            gate.permit(uow, member_id=member, purpose=PRICING, **use)
        with world.app.unit(Actor.system()) as uow, pytest.raises(Denied) as many:
            gate.eligible(uow, purpose=PRICING, **use)
        for caught in (one, many):
            codes = {reason.code for reason in caught.value.reasons}
            assert codes & {"CATEGORY_NOT_ALLOWED", "FIELD_NOT_ALLOWED", "OPERATION_NOT_ALLOWED"}, use


def test_PIPL_24_1_no_profile_tag_or_segment_reaches_a_price_over_the_api(shop, asked):
    member = shop.id_of("H00050")
    for use in asked:
        said = {name: list(value) if isinstance(value, tuple) else value for name, value in use.items()}
        answer = shop.post(
            "compliance", "/v1/policies/decisions", {"member_id": member, "purpose": PRICING, **said}
        ).json()
        assert answer["permitted"] is False, use
        assert {one["code"] for one in answer["reasons"]} - {"ROLE_NOT_ALLOWED"}, use
    views = [view.purpose for view in shop.world.app.policy.views.values()]
    assert PRICING not in views
    assert not any(PRICING in role.purposes for role in shop.world.app.policy.roles.values())


def test_PIPL_24_1_any_two_members_get_the_same_answer(shop):
    """In pairs: whatever they agreed to or refused, and however old they are."""
    policy = shop.world.app.policy
    assert [one.name for one in policy.purposes.values() if prices(one)] == [PRICING]
    answers = {
        decide(
            policy,
            use=Use(PRICING, Operation.USE),
            subject=SubjectFacts(MemberStatus.ACTIVE, age, ConsentFacts(state, kind), served=True),
            actor=ActorFacts(kind="system"),
            now=shop.world.clock.instant,
        ).codes
        for age in AgeStage
        for state in ConsentState
        for kind in ConsentType
    }
    assert answers == {()}
