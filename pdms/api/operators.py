"""`/v1/operators`: staff and machines, their API keys, their training. Keys are shown once, in the answer that makes
them."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, Field, StringConstraints

from pdms.access import approvals
from pdms.access import service as access
from pdms.access.approvals import Approval
from pdms.access.service import IssuedKey, Operator
from pdms.api.caller import Admin, AdminOrCompliance, Anyone, Asker
from pdms.api.disclosure import Scoped, scope_of
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Day, Instant, Limit, Name, OperatorPath, member
from pdms.api.guarded import router
from pdms.api.pages import Key, page, page_from, page_of
from pdms.bootstrap import approving
from pdms.bootstrap.plain import plain
from pdms.taxonomy import GuardedAct, Scope

routes = router("operators")
KeyPath = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Public part of the key.")]

ApprovalPath = Annotated[str, Path(pattern="^apr-[0-9a-f]{32}$", description="Id of a question.")]


class NewOperator(Body):
    """An operator to register."""

    label: str = Field(
        min_length=2, max_length=41, description="Work name, no person's name.", examples=["marketing-a"]
    )
    role: Name = Field(description="A role of the policy.", examples=["marketing"])
    trained_until: Day | None = Field(default=None, description="Last day of their training (PIPL-51-4).")
    days: int = Field(default=access.KEY_DAYS, ge=1, le=3650, description="Days for which the key lasts.")


class NewKey(Body):
    """A further key."""

    days: int = Field(default=access.KEY_DAYS, ge=1, le=3650, description="Days for which the key lasts.")
    scopes: list[Scope] | None = Field(
        default=None, min_length=1, max_length=len(Scope), description="Some of the role's scopes; null: all of them."
    )


class Rotation(Body):
    """A key to take the place of another."""

    overlap_hours: int = Field(
        default=access.OVERLAP_HOURS,
        ge=0,
        le=access.LONGEST_OVERLAP_HOURS,
        description="Hours for which the old lasts.",
    )
    days: int = Field(default=access.KEY_DAYS, ge=1, le=access.LONGEST_KEY_DAYS, description="Days for the new one.")


class Link(Body):
    """By which subject the sign-in service names an operator."""

    subject: str | None = Field(
        min_length=1,
        max_length=255,
        examples=["f3a1c5"],
        description="`sub` of their tokens; null unbinds. Only a keyed digest is kept.",
    )


class Question(Body):
    """An act that another operator is asked to approve, as it would be done now."""

    act: GuardedAct = Field(examples=["policy_activation"])
    release_id: Annotated[str, StringConstraints(pattern="^rel-[0-9a-f]{32}$")] | None = Field(
        default=None, description="bulk_export: the release, or else a segment."
    )
    segment: Name | None = Field(default=None, description="bulk_export: whole classes of this segment.")
    format: approving.AnyFormat | None = Field(
        default=None,
        description="bulk_export: csv (default), parquet or arrow; consent_export: jsonl (default) or csv.",
    )
    as_of: Instant | None = Field(default=None, description="consent_export: what had happened by then.")
    known: Instant | None = Field(default=None, description="consent_export: what was known by then.")
    held_id: Annotated[str, StringConstraints(pattern="^held-[0-9a-f]{32}$")] | None = Field(
        default=None, description="hold_access: the record."
    )
    ticket: Annotated[str, StringConstraints(pattern="^[A-Z]{2,10}-[0-9]{1,6}$")] | None = Field(
        default=None, description="hold_access: the case."
    )
    policy: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="policy_activation: digest of the policy; null: of the documents as they are."
    )
    member_id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")] | None = Field(
        default=None, description="minor_reveal, disclosure: the member."
    )
    fields: list[Name] = Field(default=[], max_length=16, description="minor_reveal: the fields to open.")
    purpose: Name | None = Field(default=None, description="minor_reveal: for which purpose.")
    scope: Scoped | None = Field(default=None, description="disclosure: what the authority asks for.")


class Training(Body):
    """A training that was done."""

    until: Day = Field(description="Last day on which it holds.", examples=["2027-06-30"])


class Myself(BaseModel):
    """Who the key belongs to and what it may do."""

    operator_id: str
    role: str | None
    scopes: list[Scope]


@routes.get("", summary="List operators", response_model=page_of(Operator))
def list_operators(caller: AdminOrCompliance, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """All operators by label, with what may be known of their keys."""
    found = caller.read(access.list_operators)
    return page(
        found, order=lambda o: [o["label"]], cursor=cursor, limit=limit, key=caller.cursor_key, name="operators"
    )


@routes.get("/me", summary="Who am I?", response_model=Myself)
def show_myself(caller: Anyone) -> Any:
    """The operator behind the key that was sent."""
    actor = caller.actor
    return {"operator_id": actor.id, "role": actor.role, "scopes": sorted(actor.scopes)}


@routes.get("/approvals", summary="List approvals", response_model=page_of(Approval))
def list_approvals(caller: Anyone, waiting: bool = False, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """What operators asked others to approve, newest first: officers and administrators see all, others their own."""

    def fetch(after: Key | None, count: int) -> Any:
        since = (datetime.fromisoformat(str(after[0])), str(after[1])) if after else None
        return caller.read(approvals.list_approvals, waiting=waiting, after=since, limit=count)

    return page_from(
        fetch,
        order=lambda a: [a["asked_at"], a["approval_id"]],
        cursor=cursor,
        limit=limit,
        key=caller.cursor_key,
        name="approvals",
    )


@routes.post("/approvals", status_code=201, summary="Ask for an approval", response_model=edge(Approval))
def ask_approval(caller: Asker, body: Question) -> Any:
    """Asks another operator to approve an export, the opening of a held record or of a minor's fields, or a policy, for
    one day."""
    said = body.model_dump() | {
        "member_id": member(body.member_id) if body.member_id else None,
        "scope": scope_of(body.scope) if body.scope else None,
    }
    asked = approving.ask(caller.app, caller.actor, **said)
    made = caller.made("/v1/operators/approvals")
    made.place(plain(asked))
    return plain(asked)


@routes.post("/approvals/{approval_id}/approval", summary="Approve", response_model=edge(Approval))
def approve(caller: AdminOrCompliance, approval_id: ApprovalPath) -> Any:
    """Approves what another operator asked, exactly as it was asked, once."""
    return caller.run(approvals.approve, approval_id=approval_id)


@routes.post("/approvals/{approval_id}/refusal", summary="Refuse an approval", response_model=edge(Approval))
def refuse_approval(caller: Asker, approval_id: ApprovalPath) -> Any:
    """Refuses what another operator asked, or takes one's own question back."""
    return caller.run(approvals.refuse, approval_id=approval_id)


@routes.get("/{operator_id}", summary="Show an operator", response_model=edge(Operator))
def show_operator(caller: AdminOrCompliance, operator_id: OperatorPath) -> Any:
    """One operator with what may be known of their keys."""
    return caller.read(access.show_operator, operator_id=operator_id)


@routes.post("", status_code=201, summary="Register an operator", response_model=edge(IssuedKey))
def create_operator(caller: Admin, body: NewOperator) -> Any:
    """Registers an operator in a role of the policy and answers with their first key: this answer is the only place
    where it ever stands."""
    made = caller.made("/v1/operators/{operator_id}")
    return made.run(
        access.create_operator, label=body.label, role=body.role, trained_until=body.trained_until, days=body.days
    )


@routes.post("/{operator_id}/keys", status_code=201, summary="Issue a further key", response_model=edge(IssuedKey))
def issue_key(caller: Admin, operator_id: OperatorPath, body: NewKey) -> Any:
    """A further key; shown once."""
    return caller.made("/v1/operators/{operator_id}").run(
        access.issue_key, operator_id=operator_id, days=body.days, scopes=body.scopes
    )


@routes.post(
    "/{operator_id}/keys/{key_id}/rotations", status_code=201, summary="Rotate a key", response_model=edge(IssuedKey)
)
def rotate_key(caller: Admin, operator_id: OperatorPath, key_id: KeyPath, body: Rotation) -> Any:
    """A new key with the scopes of another; the old one ends with the overlap. Shown once."""
    return caller.made("/v1/operators/{operator_id}").run(
        access.rotate_key, key_id=key_id, operator_id=operator_id, overlap_hours=body.overlap_hours, days=body.days
    )


@routes.post("/{operator_id}/links", status_code=204, summary="Bind to the sign-in service")
def link_operator(caller: Admin, operator_id: OperatorPath, body: Link) -> None:
    """Binds an operator to the subject by which the sign-in service names them: one person, one operator."""
    caller.run(access.link_operator, operator_id=operator_id, subject=body.subject, sign_in=caller.app.sign_in)


@routes.post("/{operator_id}/keys/{key_id}/revocation", status_code=204, summary="Revoke a key")
def revoke_key(caller: Admin, operator_id: OperatorPath, key_id: KeyPath) -> None:
    """Ends a key from the next request on. Twice is once."""
    caller.run(access.revoke_key, key_id=key_id, operator_id=operator_id)


@routes.post("/{operator_id}/disablement", status_code=204, summary="Disable an operator")
def disable_operator(caller: Admin, operator_id: OperatorPath) -> None:
    """Ends all of an operator's keys from the next request on. Twice is once."""
    caller.run(access.disable_operator, operator_id=operator_id)


@routes.post("/{operator_id}/trainings", status_code=204, summary="Record a training")
def record_training(caller: Admin, operator_id: OperatorPath, body: Training) -> None:
    """Notes until when an operator's training holds; with a lapsed one they open nothing (PIPL-51-4)."""
    caller.run(access.record_training, operator_id=operator_id, until=body.until)
