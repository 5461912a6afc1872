"""`pdms release`: published releases."""

from pathlib import Path
from typing import Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.render import show

app = typer.Typer(no_args_is_help=True, help="Releases: anonymised rows of a view, with a signed manifest.")
ReleaseId = Annotated[str, typer.Argument(help="Release id, see `pdms release list`.")]


@app.command("list")
def list_(context: typer.Context, view: Annotated[str | None, typer.Option(help="Of this view only.")] = None) -> None:
    """List releases, newest first. Example: `pdms release list --view member_value`"""
    from pdms.views import service

    face: Face = context.obj
    columns = ("release_id", "view", "state", "rows", "k", "classes", "created_at", "expires_at")
    show(face.run_anon(service.list_releases, view=view), as_json=face.json, title="releases", columns=columns)


@app.command("show")
def show_(context: typer.Context, release_id: ReleaseId) -> None:
    """Show a release as its consumers see it: criteria reached, loss, risk; counts rounded.

    Example: `pdms release show rel-…`
    """
    from pdms.views import service

    face: Face = context.obj
    show(face.run_anon(service.show, release_id=release_id), as_json=face.json)


@app.command("manifest")
def manifest(context: typer.Context, release_id: ReleaseId) -> None:
    """Show the exact manifest (scope: compliance): who was left out and why, by count.

    Example: `pdms release manifest rel-…`
    """
    from pdms.publish import service

    face: Face = context.obj
    show(face.run(service.manifest, release_id=release_id), as_json=face.json)


@app.command("export")
def export(
    context: typer.Context,
    release_id: ReleaseId,
    path: Annotated[Path, typer.Argument(help="File to write, outside the home; .parquet, .csv or .arrow.")],
) -> None:
    """Write a release's anonymised rows to a file, once a second operator approved (`pdms access approvals ask`).

    Example: `pdms release export rel-… rows.parquet`
    """
    from pdms.bootstrap.approving import export_release
    from pdms.cli.files import new_file, release_format

    face: Face = context.obj
    form = release_format(path)
    with new_file(path, home=face.app.home) as write:  # before the approval is used up
        exported = export_release(face.app, face.actor, release_id=release_id, format=form)
        write(exported.content)
    show({"file": path, "rows": exported.rows}, as_json=face.json)


@app.command("copies")
def copies(context: typer.Context, release_id: ReleaseId) -> None:
    """List who read or exported a release, until when their copies must be gone, and which are overdue.

    Example: `pdms release copies rel-…`
    """
    from pdms.views import copies as service

    face: Face = context.obj
    columns = ("consumer", "taken_at", "delete_by", "deleted_at", "overdue")
    show(face.run_anon(service.list_copies, release_id=release_id), as_json=face.json, title="copies", columns=columns)


@app.command("acknowledge-deleted")
def acknowledge_deleted(
    context: typer.Context,
    release_id: ReleaseId,
    consumer: Annotated[str | None, typer.Option(help="Role that held the copy; default: your own.")] = None,
) -> None:
    """Say that nothing is left of a copy, exports included. A release of which no copy is left binds the next no more.

    Only the officer says it for another. Example: `pdms release acknowledge-deleted rel-… --consumer marketing`
    """
    from pdms.views import copies as service

    face: Face = context.obj
    said = face.run_anon(service.acknowledge_deleted, release_id=release_id, consumer=consumer)
    show(said, as_json=face.json)


@app.command("withdraw")
def withdraw(context: typer.Context, release_id: ReleaseId) -> None:
    """Withdraw a release (scope: compliance): from now on nobody can read it. Example: `pdms release withdraw rel-…`"""
    from pdms.views import service

    face: Face = context.obj
    show(face.run_anon(service.withdraw, release_id=release_id), as_json=face.json)
