"""`pdms view`: the feature views that the policy declares, and publishing releases of them."""

from typing import Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.progress import stages
from pdms.cli.render import show

app = typer.Typer(no_args_is_help=True, help="Feature views: what marketing may see, anonymised.")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the views of the policy. Example: `pdms view list`"""
    from pdms.views import service

    face: Face = context.obj
    show(face.run_anon(service.list_views), as_json=face.json, title="views")


@app.command("build")
def build(context: typer.Context, view: Annotated[str, typer.Argument(help="A view, see `pdms view list`.")]) -> None:
    """Publish a release of a view (scope: compliance); the release before is withdrawn.

    Only members whose consent to the view's purpose stands are in it; what was reached is measured again on the output.

    Example: `pdms view build member_value`
    """
    from pdms.publish import service

    face: Face = context.obj
    with stages(f"publish {view}", quiet=face.json) as progress:
        manifest = service.publish(face.units, view=view, progress=progress)
    show(manifest, as_json=face.json, title=f"release of {view}")
