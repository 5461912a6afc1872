"""Carrying out an assessed request of any kind, to its receipt.

Guarantee: a request has ended when it has its receipt, and not before; cut off in between, it is still being executed
and the next call goes on. What it does may be done twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.errors import Conflict
from pdms.rights import correct, erase, intake, packages, receipts, representatives, withdraw
from pdms.rights.intake import RequestView
from pdms.rights.packages import PackageLink
from pdms.rights.tables import SubjectRequestRow
from pdms.taxonomy import MemberId, RequestState, RequestType, RestrictionKind, Scope
from pdms.unit_of_work import ActorKind, UnitFactory, UnitOfWork


@dataclass(frozen=True, slots=True)
class Executed:
    """The request afterwards; an access request's link is handed out here and never again."""

    request: RequestView
    receipt: str | None
    link: PackageLink | None


def execute(units: UnitFactory, *, request_id: str, progress: Callable[[str], None] = lambda _: None) -> Executed:
    """Carry an assessed request out. A member may do so for their own; deletions are staff's, after the plan.

    Asked again after its end, it gives the receipt again. Cut off before, an access request gets a fresh link, since
    the first went to nobody.

    :raises Conflict: it is not assessed, or it was refused or cancelled.
    :raises Denied: what a guardian or kin asked for, by whoever accepted their proof, or where it no longer holds.
    """
    with units() as uow:
        uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
        row = intake.load(uow, request_id)
        kind, state = RequestType(row.type), RequestState(row.state)
        if row.receipt is not None:
            return Executed(intake.view(uow, row), row.receipt, None)
        if state not in (RequestState.ASSESSING, RequestState.EXECUTING):
            raise Conflict(f"state: a request that is {state} cannot be executed")
        if state is RequestState.ASSESSING:
            representatives.check_execution(uow, row)
    if kind is RequestType.DELETION:
        receipt = erase.execute(units, request_id=request_id, progress=progress)
        with units() as uow:
            return Executed(intake.view(uow, intake.load(uow, request_id)), receipt, None)
    return _at_once(units, request_id, kind)


def _at_once(units: UnitFactory, request_id: str, kind: RequestType) -> Executed:
    link: PackageLink | None = None
    with units() as uow:
        uow.lock_anon_first()
        row = intake.load(uow, request_id)
        if row.receipt is not None:  # another process ended it meanwhile
            return Executed(intake.view(uow, row), row.receipt, None)
        if row.state != RequestState.EXECUTING:
            intake.move(uow, row, RequestState.EXECUTING)
        if kind is RequestType.ACCESS:
            link = packages.build(uow, row)
            document = _plain_document(uow, row, article="PIPL-45")
        elif kind is RequestType.CORRECTION:
            document = correct.execute(uow, row)
        else:
            document = _stop(uow, row, kind)
        event_id = uow.record(
            EventKind.REQUEST_TRANSITION,
            member=MemberId(row.member_id),
            refs={"request": request_id},
            reasons=("DONE",),
        )
    with units() as uow:
        audit.sequence(uow.session, signer=uow.log_signer, now=uow.now)
    with units() as uow:
        row = intake.load(uow, request_id)
        if row.receipt is None:
            intake.move(uow, row, RequestState.FULFILLED)
            row.ended_at, row.detail = uow.now, None
            row.receipt = receipts.signed(uow, document, event_id=event_id)
        return Executed(intake.view(uow, row), row.receipt, link)


def _stop(uow: UnitOfWork, row: SubjectRequestRow, kind: RequestType) -> dict[str, object]:
    member = MemberId(row.member_id)
    if kind is RequestType.RESTRICTION:
        withdraw.restrict(uow, member_id=member, kind=RestrictionKind.RESTRICTION, request=row.request_id)
        return _plain_document(uow, row, article="PIPL-44")
    channel = "web" if uow.actor.kind is ActorKind.MEMBER else "phone"
    for purpose in sorted(withdraw.given_purposes(uow, member)):
        withdraw.withdraw(uow, member_id=member, purpose=purpose, channel=channel)
    return _plain_document(uow, row, article="PIPL-15-1")


def _plain_document(uow: UnitOfWork, row: SubjectRequestRow, *, article: str) -> dict[str, object]:
    return {
        "type": f"{row.type}-receipt",
        "request": row.number,
        "request_id": row.request_id,
        "completed_at": uow.now.astimezone(UTC).isoformat(timespec="seconds"),
        "article": article,
    }
