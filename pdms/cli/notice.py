"""`pdms notice`: the texts that members are shown."""

from typing import Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.render import show

app = typer.Typer(no_args_is_help=True, help="Notices: content-addressed versions, zh-CN and en.")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List every version that was ever published."""
    from pdms.consent import service

    face: Face = context.obj
    columns = ("notice_id", "language", "audience", "title", "version")
    show(face.run(service.versions), as_json=face.json, title="notices", columns=columns)


@app.command("show")
def show_(context: typer.Context, version: Annotated[str, typer.Argument(help="Version (SHA-256, hex).")]) -> None:
    """Show a version's text as members saw it."""
    from pdms.consent import service

    face: Face = context.obj
    found = face.run(service.notice_text, version=version)
    show(found if face.json else found.text, as_json=face.json)
