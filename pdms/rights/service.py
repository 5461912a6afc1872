"""What faces call: subject requests from intake to receipt, withdrawal, reveal, and the sweep."""

from collections.abc import Callable

from sqlmodel import col, select

from pdms.access import service as access
from pdms.access.service import IssuedMemberToken
from pdms.errors import Conflict, InvalidInput, NotFound
from pdms.rights import intake
from pdms.rights.checking import verify
from pdms.rights.codes import enter_code, send_code
from pdms.rights.decoys import change_decoys, list_decoys
from pdms.rights.disclosure import DisclosureScope, disclose, to_disclose
from pdms.rights.erase import ErasurePlan, begun_for, plan
from pdms.rights.execute import Executed, execute
from pdms.rights.held import HeldMonth, HeldRecord, find_held, open_held
from pdms.rights.held import overview as held_overview
from pdms.rights.intake import (
    IdentityMethod,
    RequestView,
    cancel,
    id_of,
    list_requests,
    refuse,
    show,
    submit,
)
from pdms.rights.invalidate import Invalidation, invalidate
from pdms.rights.lookup import find_by_number, find_members, reveal, search_members, to_reveal
from pdms.rights.machine import OPEN
from pdms.rights.packages import OpenedPackage, PackageLink, open_package
from pdms.rights.refusals import RefusalCode
from pdms.rights.representatives import open_for, prove
from pdms.rights.sweep import Swept, sweep
from pdms.rights.tables import SubjectRequestRow
from pdms.rights.withdraw import Withdrawal, express, ingest, ingest_table, lift, opt_out, restrict, withdraw
from pdms.taxonomy import MemberId, MemberStatus, Requester, RequestState, RequestType, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault

__all__ = [
    "DisclosureScope",
    "ErasurePlan",
    "Executed",
    "HeldMonth",
    "HeldRecord",
    "IdentityMethod",
    "Invalidation",
    "OpenedPackage",
    "PackageLink",
    "RefusalCode",
    "RequestView",
    "Swept",
    "Withdrawal",
    "cancel",
    "change_decoys",
    "disclose",
    "enter_code",
    "erase_member",
    "execute",
    "express",
    "find_by_number",
    "find_held",
    "find_members",
    "held_overview",
    "id_of",
    "ingest",
    "ingest_table",
    "invalidate",
    "lift",
    "list_decoys",
    "list_requests",
    "member_token",
    "open_deletion",
    "open_for",
    "open_held",
    "open_package",
    "opt_out",
    "plan",
    "prove",
    "refusal_code",
    "refuse",
    "restrict",
    "resume_erasure",
    "reveal",
    "search_members",
    "send_code",
    "show",
    "submit",
    "sweep",
    "to_disclose",
    "to_reveal",
    "verify",
    "withdraw",
]


def refusal_code(text: str) -> RefusalCode:
    """Return the ground that `text` names. :raises InvalidInput: none does."""
    try:
        return RefusalCode(text)
    except ValueError:
        raise InvalidInput(f"code: one of {', '.join(RefusalCode)}") from None


def member_token(uow: UnitOfWork, *, member_id: MemberId) -> IssuedMemberToken:
    """Exchange the shop's key for a token bound to one active member. :raises NotFound: none, or not active."""
    uow.require(Scope.SUPPORT, Scope.MEMBER)  # before the look-up: its answer tells who is a member
    if vault.state(uow, member_id).status != MemberStatus.ACTIVE:
        raise NotFound("member: no active one has this id")
    return access.issue_member_token(uow, member_id=member_id)


def open_deletion(uow: UnitOfWork, *, member_id: MemberId) -> RequestView | None:
    """Return the member's deletion request that has not ended yet, if there is one."""
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    query = select(SubjectRequestRow).where(
        col(SubjectRequestRow.member_id) == member_id,
        col(SubjectRequestRow.type) == RequestType.DELETION.value,
        col(SubjectRequestRow.requester) == Requester.MEMBER.value,
        col(SubjectRequestRow.state).in_([state.value for state in OPEN]),
    )
    row = uow.session.exec(query).first()
    return intake.view(uow, row) if row is not None else None


def erase_member(
    units: UnitFactory,
    *,
    member_id: MemberId,
    field: str,
    value: str,
    progress: Callable[[str], None] = lambda _: None,
) -> Executed:
    """Submit, verify and execute a deletion in one go; goes on with one that was begun before.

    :raises Denied: `value` is not what is held in `field`; the attempt is logged.
    """
    with units() as uow:
        request = open_deletion(uow, member_id=member_id)
        if request is None:
            request = submit(uow, member_id=member_id, request_type=RequestType.DELETION)
    if request.state is RequestState.IDENTITY_CHECK:
        with units() as uow:
            request = verify(uow, request_id=request.request_id, field=field, value=value)
    if request.state not in (RequestState.ASSESSING, RequestState.EXECUTING):
        raise Conflict(f"state: the request is {request.state}")
    return execute(units, request_id=request.request_id, progress=progress)


def resume_erasure(
    units: UnitFactory, *, system: str, external_id: str, progress: Callable[[str], None] = lambda _: None
) -> Executed:
    """Go on with the erasure of the member who had this number, cut off when it led nowhere any more.

    :raises NotFound: no erasure of this number is under way.
    """
    with units() as uow:
        request_id = begun_for(uow, system=system, external_id=external_id)
    if request_id is None:
        raise NotFound("member: none has this number in this system")
    return execute(units, request_id=request_id, progress=progress)
