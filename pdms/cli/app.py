"""The tree of commands."""

from pathlib import Path
from typing import Annotated

import typer

from pdms import __version__
from pdms.cli import (
    access,
    audit,
    backup,
    campaign,
    consent,
    home,
    keys,
    member,
    notice,
    policy,
    release,
    report,
    request,
    segment,
    view,
)

app = typer.Typer(
    name="pdms",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Member data under PIPL: identities in a vault, every use through one gate, anonymised views for marketing.",
    epilog="The acting operator is the one whose API key stands in PDMS_TOKEN. Exit codes: 0 done, 2 invalid input, "
    "3 unauthenticated, 4 denied, 5 not found, 6 conflict, 7 integrity broken, 8 key unavailable, 9 rows rejected "
    "(--strict). `--home`, `--policies` and `--json` may stand anywhere. "
    "Example: `PDMS_TOKEN=pdms_key_… pdms view list`",
)
for command in (home.init, home.ingest, home.scan, home.serve, home.sweep):
    app.command(command.__name__)(command)
for noun, commands in (
    ("member", member.app),
    ("notice", notice.app),
    ("consent", consent.app),
    ("policy", policy.app),
    ("view", view.app),
    ("release", release.app),
    ("segment", segment.app),
    ("campaign", campaign.app),
    ("request", request.app),
    ("audit", audit.app),
    ("keys", keys.app),
    ("access", access.app),
    ("backup", backup.app),
    ("report", report.app),
):
    app.add_typer(commands, name=noun)


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
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,  # noqa: ARG001  # `_version` acts on it
) -> None:
    """Options of every command."""
    face = context.obj
    face.home, face.policies, face.json = home, policies, json
