"""`pdms access`: operators, their API keys, and what two of them do together."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pdms.cli import approvals
from pdms.cli.face import Face
from pdms.cli.render import show, show_once
from pdms.clock import SHANGHAI
from pdms.taxonomy import Scope

if TYPE_CHECKING:
    from pdms.access.service import Operator

app = typer.Typer(no_args_is_help=True, help="Operators and their API keys (scope: admin).")
app.add_typer(approvals.app, name="approvals")


@app.command("create")
def create(
    context: typer.Context,
    label: Annotated[str, typer.Argument(help="Work name, e.g. marketing-anna (no person's full name).")],
    role: Annotated[str, typer.Option(help="A role of the policy, e.g. marketing.")],
    trained_until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Until when their training holds (PIPL-51-4).")
    ] = None,
    days: Annotated[int, typer.Option(help="Days for which the key lasts.")] = 365,
) -> None:
    """Register an operator and print their API key, once.

    Example: `pdms access create marketing-anna --role marketing --trained-until 2027-06-30`
    """
    from pdms.access import service

    face: Face = context.obj
    trained = trained_until.replace(tzinfo=UTC).date() if trained_until else None
    issued = face.run(service.create_operator, label=label, role=role, trained_until=trained, days=days)
    show_once(_shown(issued), once="api_key", as_json=face.json, title="issued")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List operators, their roles and keys. Example: `pdms access list`"""
    from pdms.access import service

    face: Face = context.obj
    operators = face.run(service.list_operators)
    show(operators if face.json else _lines(operators), as_json=face.json, title="operators, a line for each key")


@app.command("issue")
def issue(
    context: typer.Context,
    operator_id: Annotated[str, typer.Argument(help="Operator id, see `pdms access list`.")],
    days: Annotated[int, typer.Option(help="Days for which the key lasts.")] = 365,
    scope: Annotated[list[Scope] | None, typer.Option(help="Only this scope of the role; may be repeated.")] = None,
) -> None:
    """Issue a further key; it is printed once. To replace one, use `pdms access rotate`.

    Example: `pdms access issue op-… --scope compliance --days 30`
    """
    from pdms.access import service

    face: Face = context.obj
    issued = face.run(service.issue_key, operator_id=operator_id, days=days, scopes=scope or None)
    show_once(_shown(issued), once="api_key", as_json=face.json, title="issued")


@app.command("rotate")
def rotate(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(help="Key id, see `pdms access list`.")],
    overlap_hours: Annotated[int, typer.Option(help="Hours for which the old key goes on working.")] = 24,
    days: Annotated[int, typer.Option(help="Days for which the new key lasts.")] = 365,
) -> None:
    """Issue a key in place of another, which ends when the overlap does; printed once.

    Example: `pdms access rotate 0f3c… --overlap-hours 48`
    """
    from pdms.access import service

    face: Face = context.obj
    issued = face.run(service.rotate_key, key_id=key_id, overlap_hours=overlap_hours, days=days)
    show_once(_shown(issued), once="api_key", as_json=face.json, title="issued")


@app.command("link")
def link(
    context: typer.Context,
    operator_id: Annotated[str, typer.Argument(help="Operator id.")],
    remove: Annotated[bool, typer.Option("--remove", help="Unbind them instead.")] = False,
) -> None:
    """Bind an operator to the subject (`sub`) by which the sign-in service names them; it is asked for, not shown.

    One person stays one operator, whether they come with an API key or a token of the sign-in service.

    Example: `pdms access link op-…`
    """
    from pdms.access import service
    from pdms.cli.asking import ask

    face: Face = context.obj
    if face.actor:  # nothing is asked of somebody who may not
        subject = None if remove else ask("subject")
    face.run(service.link_operator, operator_id=operator_id, subject=subject, sign_in=face.app.sign_in)
    show({"operator": operator_id, "state": "unbound" if remove else "bound"}, as_json=face.json)


@app.command("revoke")
def revoke(context: typer.Context, key_id: Annotated[str, typer.Argument(help="Key id.")]) -> None:
    """End a key at once. Example: `pdms access revoke e0377514`"""
    from pdms.access import service

    face: Face = context.obj
    face.run(service.revoke_key, key_id=key_id)
    show({"key": key_id, "state": "revoked"}, as_json=face.json)


@app.command("disable")
def disable(context: typer.Context, operator_id: Annotated[str, typer.Argument(help="Operator id.")]) -> None:
    """End all keys of an operator at once. Example: `pdms access disable op-…`"""
    from pdms.access import service

    face: Face = context.obj
    face.run(service.disable_operator, operator_id=operator_id)
    show({"operator": operator_id, "state": "disabled"}, as_json=face.json)


@app.command("train")
def train(
    context: typer.Context,
    operator_id: Annotated[str, typer.Argument(help="Operator id.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day on which the training holds.")],
) -> None:
    """Note until when an operator's training holds; a lapsed one may reveal nothing (PIPL-51-4).

    Example: `pdms access train op-… --until 2027-06-30`
    """
    from pdms.access import service

    face: Face = context.obj
    face.run(service.record_training, operator_id=operator_id, until=until.replace(tzinfo=UTC).date())
    show({"operator": operator_id, "trained_until": until.date()}, as_json=face.json)


def _lines(operators: Sequence["Operator"]) -> list[dict[str, object]]:
    return [
        {
            "operator": one.label if not one.disabled else f"{one.label} (disabled)",
            "role": one.role,
            "trained_until": one.trained_until,
            "operator_id": one.operator_id,
            "key_id": key.key_id if key else None,
            "key": None if key is None else "revoked" if key.revoked else "expired" if key.expired else "good",
            "scopes": key.scopes if key else None,
            "expires": key.expires_at.astimezone(SHANGHAI).date() if key else None,
            "last_used": key.last_used_on if key else None,
        }
        for one in operators
        for key in one.keys or (None,)
    ]


def _shown(issued: object) -> dict[str, object]:
    names = ("text", "key_id", "operator_id", "scopes", "expires_at")
    return {("api_key" if name == "text" else name): getattr(issued, name) for name in names}
