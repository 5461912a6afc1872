"""`pdms report`: what the officer reads."""

import typer

from pdms.cli.face import Face
from pdms.cli.render import show

app = typer.Typer(no_args_is_help=True, help="Reports (scope: compliance).")


@app.command("consent")
def consent(context: typer.Context) -> None:
    """Show consent coverage by purpose, notice version, language and channel. Example: `pdms report consent`"""
    from pdms.reports import consents

    face: Face = context.obj
    found = face.run(consents.coverage)
    if not face.json:
        show([_short(row) for row in found], as_json=False, title="consent coverage")
        return
    show(found, as_json=True)


def _short(row: object) -> dict[str, object]:
    names = ("purpose", "state", "members", "channel", "language", "notice_id", "notice_version")
    told = {name: getattr(row, name) for name in names}
    return told | {"notice_version": str(told["notice_version"])[:12]}
