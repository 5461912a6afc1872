"""The gate: every use of personal data asks here.

Guarantees: no Permit without its event in the same transaction, which commits before anything leaves; a denial is
committed on its own, since the operation rolls back; reasons are registered codes with articles; refusing is the
default. Deliberately not here: the rules (`policy.decide`), the doing (vault, publish, dispatch).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.clock import SHANGHAI
from pdms.consent import service as consent
from pdms.consent.service import ConsentReceipt
from pdms.crypto import set_digest
from pdms.errors import Denied, NotFound
from pdms.gate.activation import (
    Activation,
    PolicyInForce,
    activate,
    activate_documents,
    active_digest,
    affected,
    history,
    in_force,
    newest,
    policy_at,
    require_active,
    revert,
)
from pdms.gate.facts import actor_facts, subject_facts
from pdms.gate.notice_duties import NoticeDuty, end_exemption, notice_duties
from pdms.gate.sets import decide_set
from pdms.gate.told import About, told
from pdms.policy.decide import RIGHTS, SUBJECT_REQUEST, ActorFacts, Decision, SubjectFacts, Use, decide, use_codes
from pdms.policy.permit import PERMIT_LIFE, Permit
from pdms.policy.reasons import ordered, reason
from pdms.taxonomy import (
    AgeStage,
    Channel,
    ConsentState,
    ConsentType,
    Language,
    MemberId,
    Operation,
    Scope,
    new_id,
)
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault
from pdms.vault.age import age_stage

__all__ = [
    "Activation",
    "Eligible",
    "NoticeDuty",
    "PolicyInForce",
    "activate",
    "activate_documents",
    "active_digest",
    "affected",
    "compare_permit",
    "decide_one",
    "eligible",
    "end_exemption",
    "history",
    "in_force",
    "newest",
    "notice_duties",
    "permit",
    "policy_at",
    "record_consent",
    "release_permit",
    "revert",
    "search_permit",
]


Said = tuple[dict[str, str], dict[str, int]]
"""What an event tells of a decision: refs and numbers."""


@dataclass(frozen=True, slots=True)
class Eligible:
    """Answer of a set decision; its event is recorded."""

    member_ids: list[MemberId]
    total: int
    """Living members decided on."""
    excluded: Mapping[str, int]
    """Reason code → members; a member may have several."""
    digest: str
    """Keyed digest of the eligible ids, hex: names the set without naming anyone."""
    event_id: str
    policy_digest: str


def decide_one(
    uow: UnitOfWork,
    *,
    member_id: MemberId,
    purpose: str,
    operation: Operation,
    fields: Sequence[str] = (),
    categories: Sequence[str] = (),
    channel: Channel | None = None,
    recipient: str | None = None,
    reason: str | None = None,
) -> Decision:
    """Decide without recording: for showing what would be answered, and inside a batch that has its own event."""
    use = Use(
        purpose=purpose,
        operation=operation,
        fields=tuple(fields),
        categories=tuple(categories),
        channel=channel,
        recipient=recipient,
        reason=reason,
    )
    return _decide(uow, member_id, use)[0]


def _decide(uow: UnitOfWork, member_id: MemberId, use: Use) -> tuple[Decision, ActorFacts, SubjectFacts]:
    actor, subject = actor_facts(uow, member_id=member_id), subject_facts(uow, member_id, use=use)
    return decide(uow.policy, use=use, subject=subject, actor=actor, now=uow.now), actor, subject


def permit(
    uow: UnitOfWork,
    *,
    member_id: MemberId,
    purpose: str,
    operation: Operation,
    fields: Sequence[str] = (),
    categories: Sequence[str] = (),
    channel: Channel | None = None,
    recipient: str | None = None,
    reason: str | None = None,
    ticket: str | None = None,
) -> Permit:
    """Return a Permit for one member, recorded; good for `PERMIT_LIFE`, to reveal for as long as the policy says.

    :raises Denied: with every reason; the denial is committed and this unit rolled back.
    :raises Conflict: POLICY_NOT_ACTIVE.
    """
    require_active(uow)
    if reason is None and purpose == RIGHTS:
        reason = SUBJECT_REQUEST
    use = Use(
        purpose=purpose,
        operation=operation,
        fields=tuple(fields),
        categories=tuple(categories),
        channel=channel,
        recipient=recipient,
        reason=reason,
        ticket=ticket,
    )
    decision, actor, subject = _decide(uow, member_id, use)
    said = told(uow.policy, about=About.MEMBER, use=use, actor=actor, subject=subject)
    if not decision.permitted:
        known = "MEMBER_UNKNOWN" not in decision.codes
        _refuse(uow, use, decision.codes, said, member_id=member_id if known else None)
    return _issue(uow, use, said, member_id=member_id, view=None)


def release_permit(uow: UnitOfWork, *, view: str) -> Permit:
    """Return the Permit to publish a view; whose data it holds is decided by `eligible`.

    :raises NotFound: no such view. :raises Denied: the purpose, the actor or the assessment does not allow it.
    """
    require_active(uow)
    definition = uow.policy.views.get(view)
    if definition is None:
        raise NotFound("view: the policy has none of this name")
    use, actor = Use(purpose=definition.purpose, operation=Operation.PROFILE), actor_facts(uow)
    codes = use_codes(uow.policy, uow.policy.purposes[definition.purpose], use=use, actor=actor, now=uow.now)
    said = told(uow.policy, about=About.USE, use=use, actor=actor)
    if codes:
        _refuse(uow, use, ordered(codes), said, refs={"view": view})
    return _issue(uow, use, said, member_id=None, view=view)


def search_permit(
    uow: UnitOfWork, *, purpose: str, fields: Sequence[str], reason: str, ticket: str | None = None
) -> Permit:
    """Return the Permit to search members by parts of `fields`; it opens none of them to the asker.

    :raises Denied: the purpose, the fields, the reason or the actor does not allow it.
    """
    require_active(uow)
    use = Use(purpose=purpose, operation=Operation.REVEAL, fields=tuple(fields), reason=reason, ticket=ticket)
    said = _judge(uow, use, actor_facts(uow))
    return _issue(uow, use, said, member_id=None, view=None)


def eligible(
    uow: UnitOfWork,
    *,
    purpose: str,
    operation: Operation,
    categories: Sequence[str] = (),
    recipient: str | None = None,
    fields: Sequence[str] = (),
    among: Sequence[MemberId] | None = None,
) -> Eligible:
    """Decide for every living member; one event with counts and a keyed digest.

    :param fields: what of the vault is touched, where it is. :param among: decide for these members only.
    :raises Denied: the use itself is not allowed, whoever it concerns.
    """
    require_active(uow)
    use = Use(
        purpose=purpose,
        operation=operation,
        fields=tuple(fields),
        categories=tuple(categories),
        recipient=recipient,
    )
    actor = actor_facts(uow)
    _judge(uow, use, actor)
    refs, numbers = told(uow.policy, about=About.SET, use=use, actor=actor)
    if among is not None:
        numbers["named"] = len(among)
    decided = decide_set(uow, purpose=uow.policy.purposes[purpose], use=use, among=among)
    digest = set_digest(uow.keys.system_key("audit-digest"), decided.eligible).hex()
    event_id = uow.record(
        EventKind.PERMIT,
        purpose=purpose,
        outcome=Outcome.PERMITTED,
        refs=refs,
        numbers={**numbers, "members": decided.total, "eligible": len(decided.eligible), **decided.excluded},
        digest=digest,
    )
    return Eligible(
        member_ids=decided.eligible,
        total=decided.total,
        excluded=decided.excluded,
        digest=digest,
        event_id=event_id,
        policy_digest=uow.policy.digest,
    )


def compare_permit(
    uow: UnitOfWork, *, purpose: str, fields: Sequence[str], among: Sequence[MemberId]
) -> tuple[Permit, Eligible]:
    """Return the Permit to compare fields of a set of members inside the vault, and whom of them it was decided for.

    :raises Denied: the purpose does not allow it, whoever it concerns.
    """
    decided = eligible(uow, purpose=purpose, operation=Operation.USE, fields=fields, among=among)
    permit = Permit(
        id=new_id("permit"),
        event_id=decided.event_id,
        purpose=purpose,
        operation=Operation.USE,
        member_id=None,
        categories=(),
        fields=tuple(fields),
        channel=None,
        recipient=None,
        view=None,
        issued_at=uow.now,
        expires_at=uow.now + PERMIT_LIFE,
        actor=uow.actor.id,
        policy_digest=uow.policy.digest,
    )
    return permit, decided


def record_consent(
    uow: UnitOfWork,
    member_id: MemberId,
    *,
    purpose: str,
    state: ConsentState,
    type: ConsentType = ConsentType.CONSENT,  # noqa: A002 - the word of the standard
    channel: str = "web",
    language: Language = Language.ZH,
    recipient: str = "",
    evidence: str = "",
    guardian: str = "",
    preticked: bool = False,
    ui_hash: str = "",
) -> ConsentReceipt:
    """Record one live consent event of a living member; the age stage is read here (PIPL-31). Returns the receipt.

    :raises NotFound: no such member. :raises InvalidInput: a rule is broken; `code` names it.
    """
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE, Scope.INGEST)
    held = vault.state(uow, member_id)
    today = uow.now.astimezone(SHANGHAI).date()
    age: AgeStage = age_stage(held.turns_14, held.turns_18, today)
    return consent.record(
        uow,
        member_id,
        purpose=purpose,
        state=state,
        age=age,
        type=type,
        channel=channel,
        language=language,
        recipient=recipient,
        evidence=evidence,
        guardian=guardian,
        preticked=preticked,
        ui_hash=ui_hash,
    )


def _judge(uow: UnitOfWork, use: Use, actor: ActorFacts) -> Said:
    """Return what an event tells of a use that is allowed, whoever it concerns. :raises Denied: it is not."""
    definition = uow.policy.purposes.get(use.purpose)
    codes = (
        {"NO_PURPOSE"} if definition is None else use_codes(uow.policy, definition, use=use, actor=actor, now=uow.now)
    )
    said = told(uow.policy, about=About.USE, use=use, actor=actor)
    if codes:
        _refuse(uow, use, ordered(codes), said)
    return said


def _issue(uow: UnitOfWork, use: Use, said: Said, *, member_id: MemberId | None, view: str | None) -> Permit:
    permit_id = new_id("permit")
    refs = {"permit": permit_id, **said[0]}
    if view is not None:
        refs["view"] = view
    event_id = uow.record(
        EventKind.PERMIT,
        member=member_id,
        purpose=use.purpose,
        outcome=Outcome.PERMITTED,
        reasons=(use.reason,) if use.reason else (),
        refs=refs,
        numbers=said[1],
        ticket=use.ticket,
    )
    life = timedelta(minutes=uow.policy.reveal.permit_minutes) if use.operation is Operation.REVEAL else PERMIT_LIFE
    return Permit(
        id=permit_id,
        event_id=event_id,
        purpose=use.purpose,
        operation=use.operation,
        member_id=member_id,
        categories=use.categories,
        fields=use.fields,
        channel=use.channel,
        recipient=use.recipient,
        view=view,
        issued_at=uow.now,
        expires_at=uow.now + life,
        actor=uow.actor.id,
        policy_digest=uow.policy.digest,
        reason=use.reason,
        ticket=use.ticket,
    )


def _refuse(
    uow: UnitOfWork,
    use: Use,
    codes: Sequence[str],
    said: Said,
    *,
    member_id: MemberId | None = None,
    refs: Mapping[str, str] | None = None,
) -> NoReturn:
    """Log the denial and raise it. An unknown purpose is not echoed into the log: it may be anything."""
    known = use.purpose in uow.policy.purposes
    uow.refuse(
        Denied("the policy does not permit this use", reasons=tuple(reason(code) for code in codes)),
        kind=EventKind.DENIAL,
        member=member_id,
        purpose=use.purpose if known else None,
        refs={**said[0], **(refs or {})},
        numbers=said[1],
    )
