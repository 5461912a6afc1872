"""`pdms backup`: a home in one sealed file, and back."""

from pathlib import Path
from typing import Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.progress import stages
from pdms.cli.render import show

app = typer.Typer(no_args_is_help=True, help="Sealed backups of the whole home (scope: admin).")
Archive = Annotated[Path, typer.Argument(help="The backup.")]


@app.command("create")
def create(context: typer.Context, path: Archive) -> None:
    """Write a backup while everything goes on; it opens with the root key only, which is not in it.

    Keep copies of `rights.ledger` (in the home) apart from backups and as fresh as you can: no backup is restored
    without it. Example: `pdms backup create /backups/2026-11-02.sealed`
    """
    from pdms.bootstrap import backups

    face: Face = context.obj
    with stages("backup", quiet=face.json) as progress:
        done = backups.create(face.app, face.actor, path=path, progress=progress)
    show(done, as_json=face.json, title="backup")


@app.command("verify")
def verify(context: typer.Context, path: Archive) -> None:
    """Open every byte of a backup and compare it with its manifest; nothing is restored.

    Example: `pdms backup verify /backups/2026-11-02.sealed`
    """
    from pdms.bootstrap import backups

    face: Face = context.obj
    show(backups.verify(face.app, face.actor, path=path), as_json=face.json, title="backup is whole")


@app.command("restore")
def restore(
    context: typer.Context,
    path: Archive,
    to: Annotated[Path, typer.Option(help="Folder of the new home; must not exist.")],
    ledger: Annotated[
        Path | None, typer.Option(help="The rights ledger; default: where it lay when the backup was made.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A newer checkpoint (`pdms audit head`); a ledger that does not know it is refused."),
    ] = None,
) -> None:
    """Make a new home from a backup; withdrawals, restrictions and erasures since then are done again before it opens.

    The acting operator is the one whose key the backup knows. What was ingested, sent or allowed after the backup is
    not in it. Every other API key, sign-in binding, member token and open approval is ended, since the backup does not
    know what was revoked or disabled after it: issue new keys (`pdms access issue`).

    Example: `pdms backup restore /backups/2026-11-02.sealed --to /srv/pdms-new --ledger /safe/rights.ledger`
    """
    from pdms.bootstrap import backups

    face: Face = context.obj
    with stages("restore", quiet=face.json) as progress:
        done = backups.restore(
            face.settings,
            path=path,
            to=to,
            clock=face.clock,
            ledger_path=ledger,
            checkpoint=checkpoint,
            progress=progress,
        )
    show(done, as_json=face.json, title="restored")
