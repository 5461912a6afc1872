"""The tree of commands."""

from pathlib import Path
from typing import Annotated

import typer

from pdms import __version__
from pdms.cli import access

app = typer.Typer(
    name="pdms",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Member data under PIPL: identities in a vault, every use through one gate, anonymised views for marketing.",
    epilog="The acting operator is the one whose API key stands in PDMS_TOKEN. Example: "
    "`PDMS_TOKEN=pdms_key_… pdms view list`",
)
app.add_typer(access.app, name="access")


def _version(value: bool) -> None:
    if value:
        print(f"pdms {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Home folder; also PDMS_HOME.", show_default="./pdms-home")] = None,
    policies: Annotated[Path | None, typer.Option(help="Policies folder; also PDMS_POLICIES.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,  # noqa: ARG001
) -> None:
    """Options that stand before the noun."""
    face = context.obj
    face.home, face.policies, face.json = home, policies, json
