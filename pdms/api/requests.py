"""`/v1/requests`: subject requests as staff handles them. Members act under `/v1/members/me`."""

import json
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, Field

from pdms.api.caller import AdminOrCompliance, Caller, Compliance, SupportOrCompliance
from pdms.api.disclosure import Disclosure, scope_of
from pdms.api.edge import edge
from pdms.api.fields import HEX_ID, Body, Cursor, Limit, Name, RequestPath, Value, member
from pdms.api.guarded import REPEATABLE, router
from pdms.api.pages import Key, page_from, page_of
from pdms.errors import NotFound
from pdms.rights import service as rights
from pdms.rights.service import ErasurePlan, RefusalCode, RequestView, Swept
from pdms.taxonomy import Channel, KinInterest, Language, Requester, RequestType

routes = router("requests")
HERE = "/v1/requests/{request_id}"


class NewRequest(Body):
    """A request that reached staff by letter, phone or in person."""

    member_id: str = Field(pattern="^[0-9a-f]{32}$", examples=[HEX_ID])
    type: RequestType
    field: Name | None = Field(default=None, description="Field to correct (corrections only).", examples=["phone"])
    value: Value | None = Field(default=None, description="Its new value (corrections only).")


class RequestForAnother(Body):
    """A request of the guardian of a minor (MIN-34), or of kin of a member who has died (PIPL-49)."""

    by: Literal[Requester.GUARDIAN, Requester.KIN]
    system: Name = Field(examples=["shop"], description="The system that numbers the member.")
    number: str = Field(min_length=1, max_length=128, examples=["H00042"])
    type: RequestType = Field(description="What is asked for; kin: access, correction or deletion.")
    interest: KinInterest | None = Field(default=None, description="For what kin asks, which is their own.")
    field: Name | None = Field(default=None, description="Field to correct (corrections only).")
    value: Value | None = Field(default=None, description="Its new value (corrections only).")


class Proof(Body):
    """The proof of a guardian or of kin that staff saw; its reference, never what it says."""

    evidence: str = Field(min_length=1, max_length=64, examples=["GP-2026-118"])


class Claim(Body):
    """What the requester says of themself; it is compared with what is held (NDR-23)."""

    field: Name = Field(examples=["phone"])
    value: Value = Field(examples=["+8613800138000"])


class CodeWanted(Body):
    """In which language the message is written."""

    language: Language = Language.ZH


class CodeSaid(Body):
    """The code as the requester reads it out."""

    code: str = Field(pattern="^[0-9]{8}$", examples=["12345678"])


class CodeSent(BaseModel):
    """A code is on its way to the address on file."""

    expires_at: datetime


class Ground(Body):
    """Why a request is refused."""

    code: RefusalCode


class Link(BaseModel):
    """A one-time link to an access package; it is shown here and never again."""

    url: str = Field(examples=["https://shop.example/v1/packages/3bq…"])
    expires_at: datetime


class Outcome(BaseModel):
    """A request after it was carried out."""

    request: edge(RequestView)  # type: ignore[valid-type]  # built at run time
    receipt: dict[str, Any] | None = Field(description="Signed receipt with its inclusion proof.")
    link: Link | None = Field(description="Access requests only.")


def listed(caller: Caller, *, cursor: str | None, limit: int, name: str, **conditions: Any) -> dict[str, Any]:
    """Return a page of requests, by due date and number."""

    def fetch(after: Key | None, count: int) -> Any:
        since = (date.fromisoformat(str(after[0])), str(after[1])) if after is not None else None
        return caller.read(rights.list_requests, after=since, limit=count, **conditions)

    return page_from(
        fetch,
        order=lambda r: [r["due_on"], r["number"]],
        cursor=cursor,
        limit=limit,
        key=caller.cursor_key,
        name=name,
    )


def outcome(caller: Caller, executed: Any) -> dict[str, Any]:
    """Return what a face shows of an executed request."""
    link = executed["link"]
    base = caller.app.settings.public_url.rstrip("/")
    return {
        "request": executed["request"],
        "receipt": json.loads(executed["receipt"]) if executed["receipt"] else None,
        "link": {"url": f"{base}/v1/packages/{link['secret']}", "expires_at": link["expires_at"]} if link else None,
    }


def receipt_of(request: Any) -> Any:
    """Return the receipt of a request as a document. :raises NotFound: it has none yet."""
    if request["receipt"] is None:
        raise NotFound("receipt: the request has none yet")
    return json.loads(request["receipt"])


@routes.post("", status_code=201, summary="Receive a request", response_model=edge(RequestView))
def submit(caller: SupportOrCompliance, body: NewRequest) -> Any:
    """Takes a request in; its legal clock starts now. It waits for an identity check."""
    return caller.made(HERE).run(
        rights.submit, member_id=member(body.member_id), request_type=body.type, field=body.field, value=body.value
    )


@routes.post(
    "/representations",
    status_code=201,
    summary="Receive a guardian's or kin's request",
    response_model=edge(RequestView),
)
def open_for(caller: SupportOrCompliance, body: RequestForAnother) -> Any:
    """Takes in what a guardian or kin asks for a member. The answer is the same whether or not the number is anybody's;
    it waits for the proof of their authority."""
    return caller.made(HERE).run(
        rights.open_for,
        requester=body.by,
        system=body.system,
        number=body.number,
        request_type=body.type,
        interest=body.interest,
        field=body.field,
        value=body.value,
    )


@routes.get("", summary="List requests", response_model=page_of(RequestView))
def list_requests(
    caller: SupportOrCompliance,
    overdue: Annotated[bool, Query(description="Open ones whose day has passed, only.")] = False,
    member_id: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Any:
    """Requests, the most urgent first."""
    whose = member(member_id) if member_id else None
    return listed(caller, member_id=whose, overdue=overdue, cursor=cursor, limit=limit, name="requests")


@routes.post("/sweeps", summary="Do what is due", response_model=edge(Swept))
def sweep(caller: AdminOrCompliance) -> Any:
    """Finishes what a crash left open and does what time makes due: interrupted erasures, data that lost their last
    basis, expiries, held months that are over. Run it daily; it may run at any moment."""
    return caller.long(rights.sweep)


@routes.post("/disclosures", summary="Answer an authority", response_model=dict[str, Any], openapi_extra=REPEATABLE)
def disclose(caller: Compliance, body: Disclosure) -> Any:
    """What an authority asked for of one member, as a second officer approved it, once (PIPL-63)."""
    return caller.run(rights.disclose, member_id=member(body.member_id), scope=scope_of(body.scope))


@routes.get("/{request_id}", summary="Show a request", response_model=edge(RequestView))
def show(caller: SupportOrCompliance, request_id: RequestPath) -> Any:
    """One request: state, due date, receipt."""
    return caller.read(rights.show, request_id=request_id)


@routes.post("/{request_id}/verification", summary="Check identity", response_model=edge(RequestView))
def verify(caller: SupportOrCompliance, request_id: RequestPath, body: Claim) -> Any:
    """Compares what the requester says with what is held; nothing further may be asked of them. Five failures let the
    request lapse."""
    return caller.made(HERE).run(rights.verify, request_id=request_id, field=body.field, value=body.value)


@routes.post("/{request_id}/proof", summary="Accept a proof of authority", response_model=edge(RequestView))
def prove(caller: SupportOrCompliance, request_id: RequestPath, body: Proof) -> Any:
    """Accepts the proof of a guardian or of kin that staff saw; another operator carries the request out. What does not
    hold is answered alike whatever the reason; five failures let the request lapse."""
    return caller.made(HERE).run(rights.prove, request_id=request_id, evidence=body.evidence)


@routes.post("/{request_id}/codes", summary="Send a one-time code", response_model=CodeSent)
def send_code(request: Request, caller: SupportOrCompliance, request_id: RequestPath, body: CodeWanted) -> Any:
    """Sends a code to the e-mail address on file, and to nobody else; it is good for ten minutes."""
    expires = caller.long(
        rights.send_code,
        request_id=request_id,
        channel=request.app.state.open_channel(Channel.EMAIL),
        public_url=caller.app.settings.public_url,
        language=body.language,
    )
    return {"expires_at": expires}


@routes.post("/{request_id}/code-verification", summary="Check a one-time code", response_model=edge(RequestView))
def enter_code(caller: SupportOrCompliance, request_id: RequestPath, body: CodeSaid) -> Any:
    """Checks the code that the requester reads out; wrong tries count as those of any identity check."""
    return caller.made(HERE).run(rights.enter_code, request_id=request_id, code=body.code)


@routes.post("/{request_id}/cancellation", summary="Cancel a request", response_model=edge(RequestView))
def cancel(caller: SupportOrCompliance, request_id: RequestPath) -> Any:
    """Takes a request back, as its member asked, before it is executed."""
    return caller.made(HERE).run(rights.cancel, request_id=request_id)


@routes.post("/{request_id}/refusal", summary="Refuse a request", response_model=edge(RequestView))
def refuse(caller: Compliance, request_id: RequestPath, body: Ground) -> Any:
    """Refuses an assessed request on a ground that the law names (PIPL-50); `letter` is the refusal in writing."""
    return caller.made(HERE).run(rights.refuse, request_id=request_id, code=body.code)


@routes.get("/{request_id}/plan", summary="Plan of an erasure", response_model=edge(ErasurePlan))
def show_plan(caller: SupportOrCompliance, request_id: RequestPath) -> Any:
    """What executing a deletion will do: stores, counts, what the law keeps and until when, recipients to tell."""
    return caller.read(rights.plan, request_id=request_id)


@routes.post("/{request_id}/execution", summary="Execute a request", response_model=Outcome)
def execute(caller: SupportOrCompliance, request_id: RequestPath) -> Any:
    """Carries an assessed request out, to its signed receipt. An erasure that was cut off goes on where it was; an
    access request's one-time link is in this answer and nowhere else."""
    return outcome(
        caller, caller.made("/v1/requests/{request[request_id]}").long(rights.execute, request_id=request_id)
    )


@routes.get("/{request_id}/receipt", summary="Receipt of a request", response_model=dict[str, Any])
def show_receipt(caller: SupportOrCompliance, request_id: RequestPath) -> Any:
    """The signed receipt with its inclusion proof; anyone with the public key verifies it offline."""
    return receipt_of(caller.read(rights.show, request_id=request_id))
