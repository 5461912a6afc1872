"""`/v1/consents`: live consent events and withdrawals as the shop or its service desk takes them."""

from typing import Annotated, Any, Literal

from fastapi import Path, Response
from pydantic import BaseModel, Field, StringConstraints

from pdms.api.caller import Compliance, Finder, Known, SupportOrCompliance
from pdms.api.edge import edge
from pdms.api.fields import HEX_ID, Body, Evidence, Instant, Name, member
from pdms.api.files import streamed
from pdms.api.guarded import REPEATABLE, router
from pdms.consent import service as consent
from pdms.consent.service import ConsentReceipt
from pdms.gate import service as gate
from pdms.rights import service as rights
from pdms.rights.service import Invalidation, Withdrawal
from pdms.taxonomy import ConsentState, ConsentType, Language, RestrictionKind

routes = router("consents")
RecordPath = Annotated[str, Path(pattern="^cns-[0-9a-f]{32}$", examples=[f"cns-{HEX_ID}"])]
MemberField = Annotated[str, Field(pattern="^[0-9a-f]{32}$", examples=[HEX_ID])]
ChannelField = Annotated[
    str, Field(pattern="^[a-z][a-z_]{0,31}$", description="Where it was expressed: web, app, store, phone.")
]


Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Ticket = Annotated[str, StringConstraints(pattern="^[A-Z]{2,10}-[0-9]{1,6}$")]


class Expressed(Body):
    """What a member said of one purpose and, where the purpose asks for each apart, of one recipient (PIPL-14-1)."""

    purpose: Name = Field(examples=["market_email"])
    state: ConsentState = Field(
        default=ConsentState.GIVEN,
        description="given or refused; requested: the member was asked. Withdrawals have a route.",
    )
    type: ConsentType = Field(default=ConsentType.CONSENT, description="Strength: separate, written, guardian, …")
    channel: ChannelField = "web"
    language: Language = Field(default=Language.ZH, description="Of the notice that was shown.")
    recipient: Name | None = None
    evidence: Evidence | None = Field(default=None, description="Id or digest of what was shown and done; no text.")
    ui_hash: Digest | None = Field(default=None, description="SHA-256 of the page that the member had before them.")
    guardian: Evidence | None = Field(default=None, description="Reference of the guardian's proof, for children.")
    preticked: bool = Field(default=False, description="True where the box was ticked beforehand: refused.")


class NewConsent(Expressed):
    """A live consent event of a member."""

    member_id: MemberField


class Revoked(Body):
    """Which consent ends; without a recipient, for all of them."""

    purpose: Name = Field(examples=["market_email"])
    recipient: Name | None = None
    channel: ChannelField = "web"


class NewWithdrawal(Revoked):
    """A withdrawal that reached staff or the shop."""

    member_id: MemberField


class Stop(Body):
    """What a member does not want; an empty purpose or channel means all."""

    kind: RestrictionKind
    purpose: Name | None = None
    channel: ChannelField | None = None


class NewRestriction(Stop):
    """A restriction that reached staff or the shop."""

    member_id: MemberField


class Done(BaseModel):
    """It holds from the next decision on."""

    effective: bool = True


class NewInvalidation(Body):
    """Consents that turn out to be none, by where they were given; at least one of text, channel and page is said."""

    purpose: Name = Field(examples=["market_email"])
    notice_version: Digest | None = Field(default=None, description="Given under this text.")
    channel: ChannelField | None = Field(default=None, description="Given over this channel.", examples=["store"])
    ui_hash: Digest | None = Field(default=None, description="Given on this page.")
    ticket: Ticket = Field(examples=["LEGAL-12"])
    dry_run: bool = Field(default=False, description="Count, and change nothing.")


class WantedRecords(Body):
    """Which consent records, in which form; as it was approved."""

    format: Literal["jsonl", "csv"] = Field(default="jsonl", description="JSON Lines or CSV.")
    as_of: Instant | None = Field(default=None, description="What had happened by then; default: now.")
    known: Instant | None = Field(default=None, description="What was known by then; default: now.")


class ReceiptKeys(BaseModel):
    """Public keys of receipts."""

    keys: list[str]


def expressed(body: Expressed) -> dict[str, Any]:
    """Return the keyword arguments of `rights.express`."""
    return {
        "purpose": body.purpose,
        "state": body.state,
        "type": body.type,
        "channel": body.channel,
        "language": body.language,
        "recipient": body.recipient or "",
        "evidence": body.evidence or "",
        "guardian": body.guardian or "",
        "preticked": body.preticked,
        "ui_hash": body.ui_hash or "",
    }


def stopped(body: Stop) -> dict[str, Any]:
    """Return the keyword arguments of `rights.restrict` and `rights.lift`."""
    return {"kind": body.kind, "purpose": body.purpose or "", "channel": body.channel or ""}


@routes.post("", status_code=201, summary="Record a consent", response_model=edge(ConsentReceipt))
def record(caller: Finder, body: NewConsent) -> Any:
    """Records one act of one member: one purpose, one recipient, bound to the notice in force. Answers with the signed
    receipt (fields of ISO/IEC TS 27560)."""
    made = caller.made("/v1/consents/{record_id}/receipt")
    return made.run(rights.express, member(body.member_id), **expressed(body))


@routes.post("/withdrawals", status_code=201, summary="Withdraw a consent", response_model=edge(Withdrawal))
def withdraw(caller: Finder, body: NewWithdrawal) -> Any:
    """Ends a consent from the next decision on and stops what stood on it; needs no reason (PIPL-15-1)."""
    return caller.run(
        rights.withdraw,
        member_id=member(body.member_id),
        purpose=body.purpose,
        recipient=body.recipient,
        channel=body.channel,
    )


@routes.post("/restrictions", status_code=201, summary="Restrict a use", response_model=Done)
def restrict(caller: Finder, body: NewRestriction) -> Any:
    """Sets a restriction, an objection, an opt-out of automated decisions, or do-not-contact (PIPL-44, 24-2)."""
    caller.run(rights.restrict, member_id=member(body.member_id), **stopped(body))
    return Done()


@routes.post("/restrictions/lifts", status_code=201, summary="Lift a restriction", response_model=Done)
def lift(caller: Finder, body: NewRestriction) -> Any:
    """Takes a restriction back, as the member asked."""
    caller.run(rights.lift, member_id=member(body.member_id), **stopped(body))
    return Done()


@routes.get("/keys", summary="Keys of receipts", response_model=ReceiptKeys)
def keys(caller: Known) -> Any:
    """The public keys (Ed25519, hex) that receipts are checked with, newest first; also for members."""
    return ReceiptKeys(keys=caller.read(consent.receipt_keys))


@routes.post("/invalidations", status_code=201, summary="Invalidate consents", response_model=edge(Invalidation))
def invalidate(caller: Compliance, body: NewInvalidation) -> Any:
    """Invalidates every standing consent to a purpose that was given under a text, over a channel or on a page that
    turn out to be wrong, and marks what stood on them. Whoever gave one may be asked again."""
    defect = consent.Defect(
        body.purpose,
        notice_version=body.notice_version or "",
        channel=body.channel or "",
        ui_hash=body.ui_hash or "",
    )
    return caller.long(rights.invalidate, defect, ticket=body.ticket, dry_run=body.dry_run)


@routes.post(
    "/exports",
    summary="Export consent records",
    openapi_extra=REPEATABLE,
    response_class=Response,
    responses={
        200: {
            "description": "The records.",
            "content": {form: {"schema": {"type": "string"}} for form in ("application/jsonl", "text/csv")},
        }
    },
)
def export(caller: Compliance, body: WantedRecords) -> Response:
    """Every consent event that had happened by one instant and was known by another, as JSON Lines or CSV, once another
    officer approved it (`POST /v1/operators/approvals`): ids, codes, digests and instants, nothing that names a
    member."""
    return streamed(
        caller.app,
        lambda path: caller.long(
            gate.export_consents, path=path, format=body.format, as_of=body.as_of, known=body.known
        ),
        filename=f"consents.{body.format}",
        media_type="application/jsonl" if body.format == "jsonl" else "text/csv; charset=utf-8",
    )


@routes.get("/{record_id}/evidence", summary="Evidence of a consent", response_model=dict[str, Any])
def show_evidence(caller: Compliance, record_id: RecordPath) -> Any:
    """All that proves one consent event: text shown, time, digest of the page, notice, signed receipt, and the proof of
    its place in the log."""
    return caller.run(consent.bundle, record_id=record_id)["document"]


@routes.get("/{record_id}/receipt", summary="Receipt of a consent", response_model=edge(ConsentReceipt))
def show_receipt(caller: SupportOrCompliance, record_id: RecordPath) -> Any:
    """The signed receipt of a live record, again."""
    return caller.read(consent.receipt, record_id=record_id)
