"""Intake of subject requests: receive, check identity, assess, refuse, cancel, list.

Guarantees: a member touches only their own requests; identity is checked with data already held or with a code sent to
the contact on file, and nothing further is asked (NDR-23); every move is an event; a refusal carries its code, its
article and its letter (PIPL-50). It executes nothing: that is `execute`. Guardians and kin ask through
`representatives`.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlmodel import col, func, select

from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.crypto import seal_blob
from pdms.db import Lock, alone, member_alone
from pdms.errors import Conflict, InvalidInput, NotFound
from pdms.ingest.normalise import normalise_value
from pdms.rights.clocks import due_on, is_provisional
from pdms.rights.machine import MOVES, OPEN, check_move
from pdms.rights.refusals import OF_KIN, RefusalCode, article_of, letter
from pdms.rights.tables import SubjectRequestRow
from pdms.taxonomy import (
    KinInterest,
    Language,
    MemberId,
    MemberStatus,
    Requester,
    RequestState,
    RequestType,
    Scope,
    new_id,
)
from pdms.unit_of_work import ActorKind, UnitOfWork
from pdms.vault import service as vault

DETAIL_LABEL = "request-details"


class IdentityMethod(StrEnum):
    """How a requester's identity was checked."""

    MEMBER_SESSION = "MEMBER_SESSION"
    ONE_TIME_CODE = "ONE_TIME_CODE"
    HELD_DATA = "HELD_DATA"
    """A member of staff compared what the requester said with what is held, through `vault.matches`."""
    PROOF_ON_RECORD = "PROOF_ON_RECORD"
    """A guardian's proof, the same as at a consent of theirs."""
    PROOF_SHOWN = "PROOF_SHOWN"
    """An officer was shown the proof of a guardian or of kin."""


@dataclass(frozen=True, slots=True)
class RequestView:
    """One request as its member and the officers see it; no member data."""

    request_id: str
    number: str
    type: RequestType
    state: RequestState
    received_at: datetime
    due_on: date
    due_provisional: bool
    """The calendar of a year up to that day is unpublished: every Monday to Friday was counted."""
    overdue: bool
    identity_method: str | None
    refusal_code: str | None
    refusal_article: str | None
    receipt: str | None
    requester: Requester
    interest: KinInterest | None
    """For what kin asks."""
    letter: Mapping[Language, str] | None = dataclasses.field(repr=False)
    """The refusal in writing, by language."""


def submit(
    uow: UnitOfWork,
    *,
    member_id: MemberId,
    request_type: RequestType,
    field: str | None = None,
    value: str | None = None,
) -> RequestView:
    """Receive a request; the clock starts now.

    A request out of the member's own session has its identity checked already. Where staff takes it in, it waits in
    `identity_check`.

    :param field: member field to correct; :param value: its new value (corrections only).
    :raises NotFound: no such member. :raises InvalidInput: a correction lacks field or value, or another type has them.
    :raises Conflict: an open request of the same type is there already.
    """
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
    guard_member(uow, member_id)
    check_asked(uow, request_type, field=field, value=value)
    only_one(uow, member_id, request_type, among=[*OPEN])
    row = receive(uow, member_id=member_id, request_type=request_type, field=field, value=value)
    if uow.actor.kind is ActorKind.MEMBER:
        accept_identity(uow, row, IdentityMethod.MEMBER_SESSION)
    return view(uow, row)


def check_asked(uow: UnitOfWork, request_type: RequestType, *, field: str | None, value: str | None) -> None:
    """Refuse a correction without field or value, or to what the field cannot hold; and other requests with either."""
    if (request_type is RequestType.CORRECTION) != (field is not None and value is not None):
        raise InvalidInput("field and value: a correction needs both, other requests neither")
    if field is not None and (field not in uow.policy.fields or len(value or "") > uow.policy.fields[field].max_length):
        raise InvalidInput("field: not a member field of the policy, or its value is too long")
    if field is not None and value is not None:
        normalise_value(uow.policy, field=field, value=value, now=uow.now)  # refused now rather than on execution


def only_one(uow: UnitOfWork, member_id: MemberId, request_type: RequestType, *, among: Sequence[RequestState]) -> None:
    """Hold the member. :raises Conflict: a request of theirs of this kind is in one of these states.

    What a guardian or kin asked for counts only once it is proven: anybody could stand in the member's way.
    """
    member_alone(uow.session.connection(), [member_id])
    unproven = (RequestState.RECEIVED.value, RequestState.IDENTITY_CHECK.value)
    same = select(SubjectRequestRow.number).where(
        col(SubjectRequestRow.member_id) == member_id,
        col(SubjectRequestRow.type) == request_type.value,
        col(SubjectRequestRow.state).in_([state.value for state in among]),
        (col(SubjectRequestRow.requester) == Requester.MEMBER.value) | col(SubjectRequestRow.state).not_in(unproven),
    )
    if (number := uow.session.exec(same).first()) is not None:
        raise Conflict(f"request: {number} of the same kind is still open; go on with it, or cancel it")


def receive(
    uow: UnitOfWork,
    *,
    member_id: MemberId,
    request_type: RequestType,
    field: str | None,
    value: str | None,
    requester: Requester = Requester.MEMBER,
    interest: KinInterest | None = None,
) -> SubjectRequestRow:
    """Enter a request; it waits for its identity check."""
    request_id, due = new_id("req"), due_on(uow.now, calendars=uow.policy.calendars)
    row = SubjectRequestRow(
        request_id=request_id,
        number=next_number(uow),
        member_id=member_id,
        type=request_type.value,
        state=RequestState.RECEIVED.value,
        received_at=uow.now,
        due_on=due,
        due_provisional=is_provisional(uow.now, due, calendars=uow.policy.calendars),
        requester=requester.value,
        interest=interest.value if interest is not None else None,
        field=field,
        detail=_sealed(uow, request_id, value) if value is not None else None,
    )
    uow.session.add(row)
    uow.record(
        EventKind.REQUEST_RECEIVED,
        member=member_id,
        refs={"request": request_id, "requester": requester.value},
        reasons=(request_type.value.upper(),),
    )
    move(uow, row, RequestState.IDENTITY_CHECK)
    return row


def cancel(uow: UnitOfWork, *, request_id: str) -> RequestView:
    """Take a request back, before it is executed. :raises Conflict: it is being executed, or ended."""
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
    row = load(uow, request_id)
    move(uow, row, RequestState.CANCELLED)
    row.ended_at, row.detail, row.code_digest = uow.now, None, None
    uow.record(EventKind.REQUEST_CANCELLED, member=MemberId(row.member_id), refs={"request": request_id})
    return view(uow, row)


def refuse(uow: UnitOfWork, *, request_id: str, code: RefusalCode) -> RequestView:
    """Refuse an assessed request on a stated ground (PIPL-50: with reasons). :raises Conflict: not being assessed."""
    uow.require(Scope.COMPLIANCE)
    row = load(uow, request_id)
    if code in OF_KIN and row.requester != Requester.KIN:
        raise InvalidInput("code: a ground on which only kin is refused")
    end_refused(uow, row, code)
    return view(uow, row)


def end_refused(uow: UnitOfWork, row: SubjectRequestRow, code: RefusalCode) -> None:
    """End an assessed request by a refusal, in writing."""
    move(uow, row, RequestState.REFUSED, why=code.value)
    article = article_of(code, requester=Requester(row.requester))
    row.refusal_code, row.refusal_article, row.ended_at, row.detail = code.value, article, uow.now, None
    texts = letter(
        number=row.number,
        received_on=row.received_at.astimezone(SHANGHAI).date(),
        code=code,
        article=article,
        controller=uow.policy.controller,
    )
    row.letter = json.dumps(texts, ensure_ascii=False)


def show(uow: UnitOfWork, *, request_id: str) -> RequestView:
    """Return one request. A member sees only their own."""
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
    return view(uow, load(uow, request_id))


def id_of(uow: UnitOfWork, *, number: str) -> str:
    """Return the id of the request whose number, `R-…`, receipts and lists tell. :raises NotFound: none has it."""
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    found = uow.session.exec(
        select(SubjectRequestRow.request_id).where(col(SubjectRequestRow.number) == number)
    ).first()
    if found is None:
        raise NotFound("request: none has this number")
    return found


def list_requests(
    uow: UnitOfWork,
    *,
    member_id: MemberId | None = None,
    overdue: bool = False,
    after: tuple[date, str] | None = None,
    limit: int = 100,
) -> tuple[RequestView, ...]:
    """List requests, the most urgent first; `overdue` keeps open ones whose day has passed.

    :param after: due date and number of the request after which to go on.
    :param limit: at least 1; more than 1001 are not given. :raises InvalidInput: a smaller one.
    """
    if limit < 1:
        raise InvalidInput("limit: at least 1")
    if uow.actor.kind is ActorKind.MEMBER:
        member_id = uow.actor.member_id
    else:
        uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    query = select(SubjectRequestRow).order_by(col(SubjectRequestRow.due_on), col(SubjectRequestRow.number))
    if member_id is not None:
        query = query.where(col(SubjectRequestRow.member_id) == member_id)
    if overdue:
        query = query.where(
            col(SubjectRequestRow.state).in_([s.value for s in OPEN]), col(SubjectRequestRow.due_on) < _today(uow)
        )
    if after is not None:
        day, number = after
        query = query.where(
            (col(SubjectRequestRow.due_on) > day)
            | ((col(SubjectRequestRow.due_on) == day) & (col(SubjectRequestRow.number) > number))
        )
    return tuple(view(uow, row) for row in uow.session.exec(query.limit(min(limit, 1001))))


def load(uow: UnitOfWork, request_id: str) -> SubjectRequestRow:
    """Return a request's row.

    :raises NotFound: none has this id, or it is not the acting member's; the reach for another's is in the log.
    """
    row = uow.session.get(SubjectRequestRow, request_id, with_for_update=not uow.read_only)
    missing = NotFound("request: none has this id")
    if row is None:
        raise missing
    if uow.actor.kind is ActorKind.MEMBER and row.member_id != uow.actor.member_id:
        uow.refuse(missing, member=uow.actor.member_id)
    return row


def guard_member(uow: UnitOfWork, member_id: MemberId) -> None:
    """Let only living members be touched, and a member touch only themself.

    :raises NotFound: no such member, or another one: both look the same; the reach for another is in the log.
    """
    missing = NotFound("member: none has this id")
    if uow.actor.kind is ActorKind.MEMBER and uow.actor.member_id != member_id:
        uow.refuse(missing, member=uow.actor.member_id)
    if vault.state(uow, member_id).status is MemberStatus.ERASED:
        raise missing


def forget(uow: UnitOfWork, member_id: MemberId) -> int:
    """Drop what requests of an erased member hold besides codes and instants; cancel those not begun. Returns how many.

    A correction's new value is sealed under a system key: it would outlive the member's own.
    """
    cancelled = 0
    for row in uow.session.exec(select(SubjectRequestRow).where(col(SubjectRequestRow.member_id) == member_id)).all():
        row.detail = row.code_digest = row.evidence = None
        uow.session.add(row)
        if RequestState.CANCELLED in MOVES[RequestState(row.state)]:
            move(uow, row, RequestState.CANCELLED)
            row.ended_at = uow.now
            cancelled += 1
    return cancelled


def move(uow: UnitOfWork, row: SubjectRequestRow, target: RequestState, *, why: str = "") -> None:
    """Make one listed move, as an event. :param why: code of the ground, where it has one."""
    check_move(RequestState(row.state), target)
    row.state = target.value
    uow.session.add(row)
    uow.record(
        EventKind.REQUEST_TRANSITION,
        member=MemberId(row.member_id),
        refs={"request": row.request_id},
        reasons=(target.value.upper(), why) if why else (target.value.upper(),),
    )


def accept_identity(uow: UnitOfWork, row: SubjectRequestRow, method: IdentityMethod) -> None:
    """Note how identity, or authority and by which proof, was checked, and go on to assessing."""
    row.identity_method = method.value
    uow.record(
        EventKind.REQUEST_VERIFIED,
        member=MemberId(row.member_id),
        refs={"request": row.request_id} | ({"evidence": row.evidence} if row.evidence else {}),
        reasons=(method.value,),
    )
    move(uow, row, RequestState.ASSESSING)


def view(uow: UnitOfWork, row: SubjectRequestRow) -> RequestView:
    """Return what may be shown of a request."""
    state = RequestState(row.state)
    return RequestView(
        row.request_id,
        row.number,
        RequestType(row.type),
        state,
        row.received_at,
        row.due_on,
        row.due_provisional,
        state in OPEN and row.due_on < _today(uow),
        row.identity_method,
        row.refusal_code,
        row.refusal_article,
        row.receipt,
        Requester(row.requester),
        KinInterest(row.interest) if row.interest else None,
        json.loads(row.letter) if row.letter else None,
    )


def _today(uow: UnitOfWork) -> date:
    return uow.now.astimezone(SHANGHAI).date()


def next_number(uow: UnitOfWork) -> str:
    """Return the number of the next request of this year."""
    alone(uow.session.connection(), Lock.REQUESTS)
    year = _today(uow).year
    count = uow.session.exec(
        select(func.count()).select_from(SubjectRequestRow).where(col(SubjectRequestRow.number).like(f"R-{year}-%"))
    ).one()
    return f"R-{year}-{count + 1:06d}"


def _sealed(uow: UnitOfWork, request_id: str, value: str) -> bytes:
    return seal_blob(uow.keys.system_key(DETAIL_LABEL), value.encode(), context=f"request:{request_id}".encode())
