"""`/v1/members/me`: what a member does for themself, with a token of fifteen minutes. Nothing here takes a member id,
so that there is no other one to ask for; no step needs staff but a deletion's execution."""

from typing import Any

from pydantic import Field

from pdms.api.caller import Caller, Member
from pdms.api.consents import Done, Expressed, RecordPath, Revoked, Stop, expressed, stopped
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Limit, Name, RequestPath, Value
from pdms.api.guarded import router
from pdms.api.members import AsOf, Known, MemberInfo, masked
from pdms.api.pages import page_of
from pdms.api.requests import Outcome, listed, outcome, receipt_of
from pdms.api.shown import Standings, standings
from pdms.consent import service as consent
from pdms.consent.service import Askable, ConsentReceipt, Delivery, HistoryItem, NoticeDiff
from pdms.rights import service as rights
from pdms.rights.service import RequestView, Withdrawal
from pdms.taxonomy import Requester, RequestState, RequestType

routes = router("members/me")
HERE = "/v1/members/me/requests/{request_id}"


class MyRequest(Body):
    """What a member asks for."""

    type: RequestType
    field: Name | None = Field(default=None, description="Field to correct (corrections only).")
    value: Value | None = Field(default=None, description="Its new value (corrections only).")


class Correction(Body):
    """A field and what it should say."""

    field: Name = Field(examples=["email"])
    value: Value = Field(examples=["new@member.example"])


@routes.get("", summary="What is held of me", response_model=MemberInfo)
def show_me(caller: Member) -> Any:
    """The member's own fields, masked; the package holds them in full."""
    return caller.read(masked, member_id=caller.member_id)


@routes.get("/consents", summary="My consents", response_model=Standings)
def my_consents(caller: Member, as_of: AsOf = None, known: Known = None) -> Any:
    """Where each purpose stands, or stood, and what is restricted now."""
    return caller.read(standings, member_id=caller.member_id, as_of=as_of, known=known)


@routes.get("/consents/history", summary="My consent history", response_model=edge(list[HistoryItem]))
def my_history(caller: Member, as_of: AsOf = None, known: Known = None) -> Any:
    """Every consent event with the text that was shown."""
    return caller.read(consent.history, caller.member_id, as_of=as_of, known=known)


@routes.get("/consents/askable", summary="What I may be asked", response_model=edge(list[Askable]))
def my_questions(caller: Member) -> Any:
    """For each purpose that rests on consent, whether the shop may ask now, and if not, from when on (NDR-22(5))."""
    return caller.read(consent.askable, caller.member_id)


@routes.get("/consents/{record_id}/receipt", summary="Receipt of my consent", response_model=edge(ConsentReceipt))
def my_consent_receipt(caller: Member, record_id: RecordPath) -> Any:
    """The signed receipt of an own consent event, again; `/v1/consents/keys` has the key to check it with."""
    return caller.read(consent.receipt, record_id=record_id)


@routes.get("/notices", summary="Notices I was shown", response_model=edge(list[Delivery]))
def my_notices(caller: Member) -> Any:
    """Which versions of which notices the member was shown, when and where."""
    return caller.read(consent.deliveries, caller.member_id)


@routes.get("/notices/changes", summary="What changed", response_model=edge(list[NoticeDiff]))
def my_notice_changes(caller: Member) -> Any:
    """What changed in each notice since the member was last shown it, in its language (PIPL-17-2)."""
    return caller.read(consent.changes_for, caller.member_id)


@routes.post("/consents", status_code=201, summary="Give or refuse consent", response_model=edge(ConsentReceipt))
def give(caller: Member, body: Expressed) -> Any:
    """Records one act: one purpose, one recipient. Answers with the signed receipt."""
    return caller.run(rights.express, caller.member_id, **expressed(body))


@routes.post("/consents/withdrawals", status_code=201, summary="Withdraw consent", response_model=edge(Withdrawal))
def withdraw(caller: Member, body: Revoked) -> Any:
    """Ends a consent from the next decision on; needs no reason and no staff (PIPL-15-1)."""
    return caller.run(
        rights.withdraw,
        member_id=caller.member_id,
        purpose=body.purpose,
        recipient=body.recipient,
        channel=body.channel,
    )


@routes.post("/restrictions", status_code=201, summary="Restrict a use", response_model=Done)
def restrict(caller: Member, body: Stop) -> Any:
    """Restricts, objects, opts out of automated decisions, or forbids contact (PIPL-44, 24-2)."""
    caller.run(rights.restrict, member_id=caller.member_id, **stopped(body))
    return Done()


@routes.post("/restrictions/lifts", status_code=201, summary="Lift a restriction", response_model=Done)
def lift(caller: Member, body: Stop) -> Any:
    """Takes a restriction back."""
    caller.run(rights.lift, member_id=caller.member_id, **stopped(body))
    return Done()


@routes.post("/packages", status_code=201, summary="Download my data", response_model=Outcome)
def make_package(caller: Member) -> Any:
    """Makes the access package at once and answers with its one-time link (PIPL-45)."""
    return _at_once(caller, RequestType.ACCESS)


@routes.post("/corrections", status_code=201, summary="Correct a field", response_model=Outcome)
def correct(caller: Member, body: Correction) -> Any:
    """Corrects a field at once, and what was derived from it (PIPL-46)."""
    return _at_once(caller, RequestType.CORRECTION, field=body.field, value=body.value)


@routes.post("/requests", status_code=201, summary="Make a request", response_model=edge(RequestView))
def submit(caller: Member, body: MyRequest) -> Any:
    """Makes a request, for instance for deletion; answers with its number and due date."""
    return caller.made(HERE).run(
        rights.submit, member_id=caller.member_id, request_type=body.type, field=body.field, value=body.value
    )


@routes.get("/requests", summary="My requests", response_model=page_of(RequestView))
def my_requests(caller: Member, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """The member's own requests and where they stand."""
    return listed(caller, cursor=cursor, limit=limit, name="my-requests")


@routes.get("/requests/{request_id}", summary="Where my request stands", response_model=edge(RequestView))
def my_request(caller: Member, request_id: RequestPath) -> Any:
    """State and due date of one request."""
    return caller.read(rights.show, request_id=request_id)


@routes.get("/requests/{request_id}/receipt", summary="Receipt of my request", response_model=dict[str, Any])
def my_receipt(caller: Member, request_id: RequestPath) -> Any:
    """The signed receipt with its inclusion proof."""
    return receipt_of(caller.read(rights.show, request_id=request_id))


@routes.post("/requests/{request_id}/cancellation", summary="Cancel my request", response_model=edge(RequestView))
def cancel(caller: Member, request_id: RequestPath) -> Any:
    """Takes a request back, before it is executed."""
    return caller.made(HERE).run(rights.cancel, request_id=request_id)


@routes.post("/requests/{request_id}/execution", summary="Carry my request out", response_model=Outcome)
def execute(caller: Member, request_id: RequestPath) -> Any:
    """Carries out an own request that is not a deletion; that one is staff's, after its plan."""
    path = "/v1/members/me/requests/{request[request_id]}"
    return outcome(caller, caller.made(path).long(rights.execute, request_id=request_id))


def _at_once(caller: Caller, kind: RequestType, *, field: str | None = None, value: str | None = None) -> Any:
    request_id = None
    if kind is RequestType.ACCESS:  # one that was submitted and not carried out yet serves
        for known in caller.read(rights.list_requests):
            if (
                known["type"] == kind
                and known["state"] in (RequestState.ASSESSING, RequestState.EXECUTING)
                and (known["requester"] == Requester.MEMBER)
            ):
                request_id = known["request_id"]
    if request_id is None:
        with caller.app.unit(caller.actor) as uow:
            request_id = rights.submit(
                uow, member_id=caller.member_id, request_type=kind, field=field, value=value
            ).request_id
    path = "/v1/members/me/requests/{request[request_id]}"
    return outcome(caller, caller.made(path).long(rights.execute, request_id=request_id))
