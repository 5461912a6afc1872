"""`/v1/operators`: staff and machines, their API keys, their training. Keys are shown once, in the answer that makes
them."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, Field

from pdms.access import service as access
from pdms.access.service import IssuedKey, Operator
from pdms.api.caller import Admin, AdminOrCompliance, Anyone
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Day, Limit, Name, OperatorPath
from pdms.api.guarded import router
from pdms.api.pages import Page, page
from pdms.taxonomy import Scope

routes = router("operators")
KeyPath = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Public part of the key.")]


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


class Training(Body):
    """A training that was done."""

    until: Day = Field(description="Last day on which it holds.", examples=["2027-06-30"])


class Myself(BaseModel):
    """Who the key belongs to and what it may do."""

    operator_id: str
    role: str | None
    scopes: list[Scope]


@routes.get("", summary="List operators", response_model=Page[edge(Operator)])  # type: ignore[misc]
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
    """A further key, for rotation; shown once."""
    return caller.made("/v1/operators/{operator_id}").run(access.issue_key, operator_id=operator_id, days=body.days)


@routes.post("/{operator_id}/keys/{key_id}/revocation", status_code=204, summary="Revoke a key")
def revoke_key(caller: Admin, operator_id: OperatorPath, key_id: KeyPath) -> None:  # noqa: ARG001
    """Ends a key from the next request on. Twice is once."""
    caller.run(access.revoke_key, key_id=key_id)


@routes.post("/{operator_id}/disablement", status_code=204, summary="Disable an operator")
def disable_operator(caller: Admin, operator_id: OperatorPath) -> None:
    """Ends all of an operator's keys from the next request on. Twice is once."""
    caller.run(access.disable_operator, operator_id=operator_id)


@routes.post("/{operator_id}/trainings", status_code=204, summary="Record a training")
def record_training(caller: Admin, operator_id: OperatorPath, body: Training) -> None:
    """Notes until when an operator's training holds; with a lapsed one they open nothing (PIPL-51-4)."""
    caller.run(access.record_training, operator_id=operator_id, until=body.until)
