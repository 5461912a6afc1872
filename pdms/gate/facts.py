"""Reading what a decision about one member needs: standing, age, wishes, notice, consent.

Guarantee: age and expiry are read from the instant of the unit of work, never stored. No judgement here.
"""

from typing import Literal

from pdms.clock import SHANGHAI
from pdms.consent import sets
from pdms.consent.restrictions import standing_restrictions
from pdms.errors import NotFound
from pdms.policy.decide import ActorFacts, SubjectFacts, Use, required_categories
from pdms.taxonomy import MemberId, Operation
from pdms.unit_of_work import ActorKind, UnitOfWork
from pdms.vault import service as vault
from pdms.vault.age import age_stage

KINDS: dict[ActorKind, Literal["operator", "member", "system"]] = {
    ActorKind.OPERATOR: "operator",
    ActorKind.MEMBER: "member",
    ActorKind.SYSTEM: "system",
}


BY_SET = frozenset(
    {Operation.PROFILE, Operation.ADM, Operation.SEND, Operation.DEIDENTIFY, Operation.AGGREGATE, Operation.PROVIDE,
     Operation.EXPORT, Operation.ENTRUST}
)  # fmt: skip
"""Operations for which members are chosen by a rule, not by their name."""


def actor_facts(uow: UnitOfWork, *, member_id: MemberId | None = None) -> ActorFacts:
    """Return the facts about who asks."""
    actor = uow.actor
    unnamed = actor.kind is ActorKind.SYSTEM and not actor.scopes  # somebody with a link, not the house itself
    return ActorFacts(
        kind="operator" if unnamed else KINDS[actor.kind],
        scopes=actor.scopes,
        role=actor.role,
        trained_until=actor.trained_until,
        own=actor.kind is ActorKind.MEMBER and actor.member_id == member_id,
    )


def subject_facts(uow: UnitOfWork, member_id: MemberId, *, use: Use) -> SubjectFacts:
    """Return the facts about one member for one use; `status` None where there is no such member.

    A honey member is nobody to whatever leaves for a set of members; to an operator it is like any other.
    """
    purpose = uow.policy.purposes.get(use.purpose)
    if use.operation in BY_SET and member_id in vault.decoys(uow):
        return SubjectFacts(status=None)
    try:
        state = vault.state(uow, member_id)
    except NotFound:
        return SubjectFacts(status=None)
    today = uow.now.astimezone(SHANGHAI).date()
    age = age_stage(state.turns_14, state.turns_18, today)
    wishes = standing_restrictions(uow, member_id)
    if purpose is None:
        return SubjectFacts(status=state.status, age=age, restrictions=wishes)
    asks = purpose.rests_on_consent or purpose.minors == "guardian"
    return SubjectFacts(
        status=state.status,
        age=age,
        consent=sets.consent_facts(uow, member_id, purpose=purpose, recipient=use.recipient or "")
        if asks
        else sets.NO_CONSENT,
        served=purpose.notice is not None
        and not purpose.rests_on_consent
        and sets.served(
            uow,
            member_id,
            purpose=purpose,
            required=required_categories(uow.policy, use),
            operation=use.operation,
        ),
        restrictions=wishes,
    )
