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
from pdms.crypto import packed_set_digest
from pdms.errors import Denied, NotFound, Reason
from pdms.gate import exports
from pdms.gate.activation import (
    Activation,
    Difference,
    PolicyInForce,
    activate,
    activate_documents,
    active_digest,
    affected,
    difference,
    history,
    in_force,
    newest,
    policy_at,
    require_active,
    revert,
)
from pdms.gate.consent_export import export_consents, to_export
from pdms.gate.facts import actor_facts, subject_facts
from pdms.gate.member_ids import MemberIds
from pdms.gate.notice_duties import NoticeDuty, end_exemption, notice_duties
from pdms.gate.recording import record_consent
from pdms.gate.seen import Looking
from pdms.gate.told import About, told
from pdms.policy.crossborder import NOBODY, Exported
from pdms.policy.decide import (
    RIGHTS,
    SUBJECT_REQUEST,
    ActorFacts,
    Decision,
    SubjectFacts,
    Use,
    decide,
    is_sensitive,
    reasons_of,
    use_codes,
)
from pdms.policy.permit import PERMIT_LIFE, Permit
from pdms.taxonomy import (
    ID_BYTES,
    AgeStage,
    Channel,
    MemberId,
    Operation,
    new_id,
)
from pdms.unit_of_work import UnitOfWork

__all__ = [
    "Activation",
    "Difference",
    "Eligible",
    "NoticeDuty",
    "PolicyInForce",
    "activate",
    "activate_documents",
    "active_digest",
    "affected",
    "compare_permit",
    "decide_one",
    "difference",
    "eligible",
    "end_exemption",
    "export_consents",
    "forget",
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
    "settle_sets",
    "to_export",
]


Said = tuple[dict[str, str], dict[str, int]]
"""What an event tells of a decision: refs and numbers."""


@dataclass(frozen=True, slots=True)
class Eligible:
    """Answer of a set decision; its event is recorded."""

    member_ids: MemberIds
    total: int
    """Living members decided on."""
    excluded: Mapping[str, int]
    """Reason code → members; a member may have several."""
    left_out: Mapping[str, int]
    """Reason code → members, each once: what one member changes of these numbers is one, by one."""
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


def _decide(uow: UnitOfWork, member_id: MemberId, use: Use) -> tuple[Decision, ActorFacts, SubjectFacts, Exported]:
    actor, subject = actor_facts(uow, member_id=member_id), subject_facts(uow, member_id, use=use)
    exported = NOBODY
    if use.operation is Operation.EXPORT and subject.status is not None:
        exported = exports.with_them(uow, [member_id], sensitive=is_sensitive(uow.policy, use, subject.age))
    decision = decide(uow.policy, use=use, subject=subject, actor=actor, now=uow.now, exported=exported)
    return decision, actor, subject, exported


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
    if use.operation is Operation.EXPORT:
        exports.hold(uow)
    looking = Looking(uow)
    decision, actor, subject, exported = _decide(uow, member_id, use)
    said = told(uow.policy, about=About.MEMBER, use=use, actor=actor, subject=subject, exported=exported)
    said[1].update(looking.numbers())
    if not decision.permitted:
        known = "MEMBER_UNKNOWN" not in decision.codes
        _refuse(uow, use, decision.reasons, said, member_id=member_id if known else None)
    if use.operation is Operation.EXPORT:
        exports.count(uow, [member_id], sensitive=is_sensitive(uow.policy, use, subject.age))
    return _issue(uow, use, said, member_id=member_id, view=None)


def release_permit(uow: UnitOfWork, *, view: str) -> Permit:
    """Return the Permit to publish a view; whose data it holds is decided by `eligible`.

    :raises NotFound: no such view. :raises Denied: the purpose, the actor or the assessment does not allow it.
    """
    require_active(uow)
    definition = uow.policy.views.get(view)
    if definition is None:
        raise NotFound("view: the policy has none of this name")
    use = Use(purpose=definition.purpose, operation=Operation.PROFILE)
    said = _judge(uow, use, actor_facts(uow), refs={"view": view})
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
    from pdms.gate.sets import decide_set  # arithmetic on columns: not for every command that opens a home

    actor = actor_facts(uow)
    _judge(uow, use, actor)
    looking = Looking(uow)
    decided = decide_set(uow, purpose=uow.policy.purposes[purpose], use=use, among=among)
    seen = looking.numbers()
    exported = NOBODY
    if operation is Operation.EXPORT:
        exported = _count_exports(uow, use, actor, decided.eligible)
    refs, numbers = told(uow.policy, about=About.SET, use=use, actor=actor, exported=exported)
    if among is not None:
        numbers["named"] = len(among)
    digest = packed_set_digest(uow.keys.system_key("audit-digest"), decided.eligible.packed, width=ID_BYTES).hex()
    event_id = uow.record(
        EventKind.PERMIT,
        purpose=purpose,
        outcome=Outcome.PERMITTED,
        refs=refs,
        numbers={**numbers, **seen, "members": decided.total, "eligible": len(decided.eligible), **decided.excluded},
        digest=digest,
    )
    return Eligible(
        member_ids=decided.eligible,
        total=decided.total,
        excluded=decided.excluded,
        left_out=decided.left_out,
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


def settle_sets(uow: UnitOfWork) -> int:
    """Bring the packed state of all members up to date, so that the next set decision need not; return how many."""
    from pdms.gate.pages import settle

    return settle(uow)


def forget(uow: UnitOfWork, member_ids: Sequence[MemberId]) -> None:
    """Take erased members out of the packed state; vault and consent have forgotten them before."""
    from pdms.gate.pages import drop

    drop(uow, member_ids)


def _judge(
    uow: UnitOfWork,
    use: Use,
    actor: ActorFacts,
    *,
    exported: Exported = NOBODY,
    refs: Mapping[str, str] | None = None,
) -> Said:
    """Return what an event tells of a use that is allowed, whoever it concerns. :raises Denied: it is not."""
    definition = uow.policy.purposes.get(use.purpose)
    codes = {"NO_PURPOSE"}
    if definition is not None:
        codes = use_codes(uow.policy, definition, use=use, actor=actor, now=uow.now, exported=exported)
    said = told(uow.policy, about=About.USE, use=use, actor=actor, exported=exported)
    if codes:
        _refuse(uow, use, reasons_of(uow.policy, codes, use=use, actor=actor), said, refs=refs)
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


def _count_exports(uow: UnitOfWork, use: Use, actor: ActorFacts, members: MemberIds) -> Exported:
    """Count a set whose data goes abroad; refuse the use where the mechanism does not cover so many."""
    exports.hold(uow)
    purpose = uow.policy.purposes[use.purpose]
    children = purpose.minors != "deny" or purpose.unknown_age != "deny"  # some of them may be: as if all were
    sensitive = is_sensitive(uow.policy, use, AgeStage.CHILD if children else AgeStage.ADULT)
    exported = exports.with_them(uow, members, sensitive=sensitive)
    _judge(uow, use, actor, exported=exported)
    exports.count(uow, members, sensitive=sensitive)
    return exported


def _refuse(
    uow: UnitOfWork,
    use: Use,
    reasons: Sequence[Reason],
    said: Said,
    *,
    member_id: MemberId | None = None,
    refs: Mapping[str, str] | None = None,
) -> NoReturn:
    """Log the denial and raise it. An unknown purpose is not echoed into the log: it may be anything."""
    known = use.purpose in uow.policy.purposes
    uow.refuse(
        Denied("the policy does not permit this use", reasons=tuple(reasons)),
        kind=EventKind.DENIAL,
        member=member_id,
        purpose=use.purpose if known else None,
        refs={**said[0], **(refs or {})},
        numbers=said[1],
    )
