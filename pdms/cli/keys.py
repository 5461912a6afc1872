"""`pdms keys`: the state of keys. Rotation and horizons come with a later version."""

import typer

from pdms.cli.face import Face
from pdms.cli.render import show

app = typer.Typer(no_args_is_help=True, help="Keys (scope: admin, compliance).")


@app.command("show")
def show_(context: typer.Context) -> None:
    """Show where the root key lies, how many members have a key, and the erasure horizon; never a key."""
    from pdms.reports import keys

    face: Face = context.obj
    face.sequence()
    show(face.run(keys.overview, root_uri=face.app.root_uri), as_json=face.json, title="keys")
