"""`pdms access`: operators and their API keys."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.render import show

app = typer.Typer(no_args_is_help=True, help="Operators and their API keys (scope: admin).")


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
    show(_shown(issued), as_json=face.json, title="This key is shown once")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List operators, their roles and keys. Example: `pdms access list`"""
    from pdms.access import service

    face: Face = context.obj
    show(face.run(service.list_operators), as_json=face.json, title="Operators")


@app.command("issue")
def issue(
    context: typer.Context,
    operator_id: Annotated[str, typer.Argument(help="Operator id, see `pdms access list`.")],
    days: Annotated[int, typer.Option(help="Days for which the key lasts.")] = 365,
) -> None:
    """Issue a further key, for rotation; it is printed once."""
    from pdms.access import service

    face: Face = context.obj
    issued = face.run(service.issue_key, operator_id=operator_id, days=days)
    show(_shown(issued), as_json=face.json, title="This key is shown once")


@app.command("revoke")
def revoke(context: typer.Context, key_id: Annotated[str, typer.Argument(help="Key id.")]) -> None:
    """End a key at once."""
    from pdms.access import service

    face: Face = context.obj
    face.run(service.revoke_key, key_id=key_id)
    show({"key": key_id, "state": "revoked"}, as_json=face.json)


@app.command("disable")
def disable(context: typer.Context, operator_id: Annotated[str, typer.Argument(help="Operator id.")]) -> None:
    """End all keys of an operator at once."""
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
    """Note until when an operator's training holds; a lapsed one may reveal nothing (PIPL-51-4)."""
    from pdms.access import service

    face: Face = context.obj
    face.run(service.record_training, operator_id=operator_id, until=until.replace(tzinfo=UTC).date())
    show({"operator": operator_id, "trained_until": until.date()}, as_json=face.json)


def _shown(issued: object) -> dict[str, object]:
    names = ("text", "key_id", "operator_id", "scopes", "expires_at")
    return {("api_key" if name == "text" else name): getattr(issued, name) for name in names}
