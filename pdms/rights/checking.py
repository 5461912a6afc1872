"""Checking who asks for a member's data: against one held field, or by whatever `codes` and `representatives` ask.

Guarantees: nothing beyond what is held is asked of a member (NDR-23); every try is counted for good before its answer
is known, five failures let the request lapse, and what was tried is not told from what is held.
"""

from datetime import timedelta
from typing import NoReturn

from sqlmodel import col, func, select

from pdms.audit.catalogue import EventKind
from pdms.errors import Conflict, Denied, InvalidInput
from pdms.ingest.normalise import normalise_value
from pdms.policy.reasons import reason
from pdms.rights.intake import IdentityMethod, RequestView, accept_identity, load, move, view
from pdms.rights.tables import SubjectRequestRow
from pdms.taxonomy import MemberId, Requester, RequestState, RequestType, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

CODE_TRIES = 5
SETTLES = timedelta(days=30)
"""So long after its correction a field proves nobody: whoever got it changed would pass every later check with it."""


def verify(uow: UnitOfWork, *, request_id: str, field: str, value: str) -> RequestView:
    """Check a requester's identity against one held field, as staff hears it from them (NDR-23: held data only).

    Only a field by which members are looked up tells one from another: a name, an address, a birth date or a gender is
    known to others or guessed in five tries.

    :raises InvalidInput: another field.
    :raises Denied: it is not what is held, or was corrected lately; the attempt is logged and counted, and five
        failures let the request lapse.
    """
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    row = load(uow, request_id)
    members_own(row)
    proving = sorted(f.name for f in uow.policy.fields.values() if f.index)
    if field not in proving:
        raise InvalidInput(f"field: identity is checked by {', '.join(proving)}")
    row = count_try(uow, row)
    try:
        claimed = normalise_value(uow.policy, field=field, value=value, now=uow.now)
    except InvalidInput:  # what cannot be a telephone number is not this member's
        claimed = ""
    fits = bool(claimed) and vault.matches(uow, MemberId(row.member_id), field=field, value=claimed)
    if not fits or corrected_lately(uow, row, field):
        failed_try(uow, row)
    accept_identity(uow, row, IdentityMethod.HELD_DATA)
    return view(uow, row)


def members_own(row: SubjectRequestRow) -> None:
    """Refuse what proves a member where another asks: what a child's telephone shows proves no guardian."""
    if row.requester != Requester.MEMBER:
        raise Conflict("request: a guardian or kin asked; their authority is proven by evidence (request prove)")


def count_try(uow: UnitOfWork, row: SubjectRequestRow) -> SubjectRequestRow:
    """Count one try at the identity check, for good; return the row as it is after that, held until the unit ends.

    :raises Conflict: none is awaited, or not any more, or there were too many.
    """
    awaits(row)
    row.code_tries += 1
    uow.session.add(row)
    lapsed = row.code_tries > CODE_TRIES
    if lapsed:
        move(uow, row, RequestState.LAPSED)
        row.detail = row.code_digest = None
    # Counted for good before the answer is known: a failed try must survive the rollback of its refusal.
    uow.commit_intent()
    if lapsed:
        raise Conflict("request: too many failed identity checks, it has lapsed")
    row = load(uow, row.request_id)  # the commit let go of it: whoever cancelled, refused or erased since was first
    awaits(row)
    return row


def awaits(row: SubjectRequestRow) -> None:
    """Refuse what is not waiting for an identity check (any more)."""
    if row.state != RequestState.IDENTITY_CHECK:
        raise Conflict("state: the request is not waiting for an identity check")


def corrected_lately(uow: UnitOfWork, row: SubjectRequestRow, field: str) -> bool:
    """Whether `field` was corrected so lately that it proves nobody's identity yet."""
    query = select(SubjectRequestRow.request_id).where(
        col(SubjectRequestRow.member_id) == row.member_id,
        col(SubjectRequestRow.type) == RequestType.CORRECTION.value,
        col(SubjectRequestRow.state).in_([RequestState.EXECUTING, RequestState.FULFILLED, RequestState.CLOSED]),
        col(SubjectRequestRow.field) == field,
        func.coalesce(SubjectRequestRow.ended_at, SubjectRequestRow.received_at) > uow.now - SETTLES,
    )
    return uow.session.exec(query).first() is not None


def failed_try(uow: UnitOfWork, row: SubjectRequestRow) -> NoReturn:
    """Refuse and log a try that did not fit; what was tried is not told from what is held."""
    uow.refuse(
        Denied("identity was not confirmed", reasons=(reason("NOT_VERIFIED", detail="what was given does not fit"),)),
        kind=EventKind.LOGIN_FAILED,
        member=MemberId(row.member_id),
        refs={"request": row.request_id},
    )
