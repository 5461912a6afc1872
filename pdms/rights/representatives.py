"""Guardians of minors and kin of the deceased, who ask for a member (MIN-34, PIPL-49).

Guarantees: whoever asks gets a number and a due date, whether or not there is such a member, and a proof that does not
hold is answered alike whatever the reason: the intake tells nobody who is a member, a minor, or dead. Authority is
proven by evidence that staff saw; of it the reference is kept and nothing else (NDR-23). A guardian acts for a member
below 18, kin for the close relative who died, in an interest of their own, unless the member arranged otherwise; both
are checked again when the request is carried out, by another operator than the one who accepted the proof (MIN-36).

Of age is who is so in the vault, which knows the month: until the end of the one of the eighteenth birthday a guardian
may act. Deliberately not here: judging a document. That a member has died pdms knows only by the officer who saw it.
"""

from typing import Final

from pdms.audit.events import is_reference
from pdms.clock import SHANGHAI
from pdms.consent import service as consent
from pdms.errors import Denied, InvalidInput, NotFound
from pdms.policy.reasons import reason
from pdms.rights import checking, intake
from pdms.rights.intake import IdentityMethod, RequestView
from pdms.rights.lookup import find_by_number
from pdms.rights.machine import OPEN
from pdms.rights.refusals import RefusalCode
from pdms.rights.tables import SubjectRequestRow
from pdms.taxonomy import (
    AgeStage,
    KinInterest,
    MemberId,
    MemberStatus,
    Requester,
    RequestState,
    RequestType,
    RestrictionKind,
    Scope,
    new_id_bytes,
)
from pdms.unit_of_work import ActorKind, UnitOfWork
from pdms.vault import service as vault
from pdms.vault.age import age_stage

KIN_MAY: Final = frozenset({RequestType.ACCESS, RequestType.CORRECTION, RequestType.DELETION})
"""Looking, copying, correcting, deleting: what PIPL-49 names."""
PROVEN: Final = tuple(state for state in OPEN if state in (RequestState.ASSESSING, RequestState.EXECUTING))


def open_for(
    uow: UnitOfWork,
    *,
    requester: Requester,
    system: str,
    number: str,
    request_type: RequestType,
    interest: KinInterest | None = None,
    field: str | None = None,
    value: str | None = None,
) -> RequestView:
    """Receive what a guardian or kin asks for the member to whom a system of the shop gave `number`.

    Where there is none the request is entered all the same, upon nobody: nobody learns who is a member.

    :raises InvalidInput: kin asks for more than PIPL-49 grants, or without an interest; a correction lacks its parts.
    """
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    if requester is Requester.MEMBER:
        raise InvalidInput("requester: guardian or kin; a member's own request is submitted")
    if (interest is not None) != (requester is Requester.KIN):
        raise InvalidInput("interest: kin asks for a lawful interest of their own, guardians for the child (PIPL-49)")
    if requester is Requester.KIN and request_type not in KIN_MAY:
        raise InvalidInput(f"type: kin may ask for {', '.join(sorted(KIN_MAY))} (PIPL-49)")
    intake.check_asked(uow, request_type, field=field, value=value)
    found = find_by_number(uow, system=system, number=number)
    row = intake.receive(
        uow,
        member_id=found if found is not None else MemberId(new_id_bytes()),
        request_type=request_type,
        field=field,
        value=value,
        requester=requester,
        interest=interest,
    )
    return intake.view(uow, row)


def prove(uow: UnitOfWork, *, request_id: str, evidence: str) -> RequestView:
    """Accept the proof of a guardian's or kin's authority that staff has seen.

    A proof under the reference that a guardian's consent named is known; any other one an officer must have seen. Kin
    of a member who arranged otherwise is refused at once, in writing.

    :param evidence: reference of the proof in the shop's files, such as `GP-2026-118`; never what it says.
    :raises Denied: NOT_VERIFIED, whatever does not hold; logged and counted, five let the request lapse.
    """
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    if not is_reference(evidence):
        raise InvalidInput("evidence: a numbered reference such as GP-2026-118, never what the proof says")
    row = intake.load(uow, request_id)
    if row.requester == Requester.MEMBER:
        raise InvalidInput("request: the member asked; their identity is checked (request verify)")
    row = checking.count_try(uow, row)
    member, guardian = MemberId(row.member_id), row.requester == Requester.GUARDIAN
    known = guardian and evidence in consent.guardian_references(uow, member)
    seen = known or Scope.COMPLIANCE in uow.actor.scopes
    if not seen or not _may_act(uow, row, known=known):
        checking.failed_try(uow, row)
    intake.only_one(uow, member, RequestType(row.type), among=PROVEN)
    row.evidence, row.proven_by = evidence, uow.actor.id
    intake.accept_identity(uow, row, IdentityMethod.PROOF_ON_RECORD if known else IdentityMethod.PROOF_SHOWN)
    if _otherwise_arranged(uow, row):
        intake.end_refused(uow, row, RefusalCode.OTHERWISE_ARRANGED)
    return intake.view(uow, row)


def check_execution(uow: UnitOfWork, row: SubjectRequestRow) -> None:
    """Refuse to carry out what another than the member asked for, unless its ground still stands and two agree on it.

    :raises Denied: SELF_APPROVAL: the same operator accepted the proof. NO_AUTHORITY: grown up, or otherwise arranged.
    """
    if row.requester == Requester.MEMBER:
        return
    member, refs = MemberId(row.member_id), {"request": row.request_id}
    if uow.actor.kind is not ActorKind.OPERATOR or uow.actor.id == row.proven_by:
        detail = "another operator than the one who accepted the proof carries it out"
        why = reason("SELF_APPROVAL", detail=detail)
        uow.refuse(Denied("this needs a second operator", reasons=(why,)), member=member, refs=refs)
    on_record = row.identity_method == IdentityMethod.PROOF_ON_RECORD
    if not _may_act(uow, row, known=on_record) or _otherwise_arranged(uow, row):
        why = reason("NO_AUTHORITY", detail="the member is no minor any more, or arranged otherwise; refuse it")
        uow.refuse(Denied("the requester's authority does not hold", reasons=(why,)), member=member, refs=refs)


def _may_act(uow: UnitOfWork, row: SubjectRequestRow, *, known: bool) -> bool:
    """Whether there is such a member, and, for a guardian, a minor; an unknown age needs a proof that is `known`."""
    try:
        state = vault.state(uow, MemberId(row.member_id))
    except NotFound:
        return False
    if state.status is MemberStatus.ERASED:
        return False
    age = age_stage(state.turns_14, state.turns_18, uow.now.astimezone(SHANGHAI).date())
    young = {AgeStage.CHILD, AgeStage.MINOR} | ({AgeStage.UNKNOWN} if known else set())
    return row.requester == Requester.KIN or age in young


def _otherwise_arranged(uow: UnitOfWork, row: SubjectRequestRow) -> bool:
    """Whether kin asks, and the member wanted none to."""
    if row.requester != Requester.KIN:
        return False
    member = MemberId(row.member_id)
    return any(one.kind is RestrictionKind.NO_KIN for one in consent.standing_restrictions(uow, member))
