"""`pdms keys`: the state of keys, their rotation, and from when on no backup opens an erased member."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.progress import bar
from pdms.cli.render import show
from pdms.errors import InvalidInput
from pdms.taxonomy import Language

app = typer.Typer(no_args_is_help=True, help="Keys (scope: admin, compliance).")


class What(StrEnum):
    """Keys that can be rotated."""

    EPOCH = "epoch"


@app.command("show")
def show_(context: typer.Context) -> None:
    """Show where the root key lies, how many members have a key, and the erasure horizon; never a key."""
    from pdms.reports import keys

    face: Face = context.obj
    face.sequence()
    show(face.run(keys.overview), as_json=face.json, title="keys")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the key epochs with the number of keys under each.

    Example: `pdms keys list`
    """
    from pdms.reports import keys

    face: Face = context.obj
    show(face.run(keys.epochs), as_json=face.json, title="key epochs")


@app.command("horizon")
def horizon(context: typer.Context) -> None:
    """Show, for each epoch, from which date no backup can open a member who was erased during it.

    A root in an environment variable may have been copied: then there is no such date. Example: `pdms keys horizon`
    """
    from pdms.rotation import service as rotation

    face: Face = context.obj
    show(face.run(rotation.horizons), as_json=face.json, title="erasure horizon")


@app.command("rotate")
def rotate(
    context: typer.Context,
    what: Annotated[What, typer.Argument(help="epoch: wrap all living keys under a new root.")],
    root: Annotated[
        str | None, typer.Option(help="epoch: URI of the new root key; default: beside the old one, under a new name.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be done and change nothing.")] = False,
) -> None:
    """Put new keys in place of old ones (scope: admin); everything goes on meanwhile.

    Cut off, the same command goes on. After `epoch`, `pdms keys destroy` ends what older backups open.

    Example: `pdms keys rotate epoch --dry-run`
    """
    from pdms.rotation import service as rotation

    face: Face = context.obj
    if dry_run:
        show(face.run(rotation.plan_epoch), as_json=face.json, title=f"{what}: would be done")
        return
    with bar(f"rotate {what}", quiet=face.json) as progress:
        done = rotation.rotate_epoch(face.units, root_uri=root, progress=progress)
    show(done, as_json=face.json, title="rotated")


@app.command("destroy")
def destroy(
    context: typer.Context,
    epoch: Annotated[int, typer.Argument(help="Number of an epoch on which no needed key hangs any more.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: every backup made under it is lost for good.")
    ] = False,
) -> None:
    """Destroy the root of an old epoch: backups made before its rotation open no more, for anyone, ever.

    Example: `pdms keys destroy 1`
    """
    from pdms.rotation import service as rotation

    face: Face = context.obj
    units = face.units
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInput("destroy: to be confirmed, with --yes where nobody can be asked")
        typer.confirm(f"Destroy the root of epoch {epoch}? Backups made under it are lost for good.", abort=True)
    show(rotation.destroy_epoch(units, epoch=epoch), as_json=face.json, title="destroyed")


@app.command("leakage")
def leakage(
    context: typer.Context,
    language: Annotated[Language, typer.Option(help="Of the conclusions.")] = Language.ZH,
) -> None:
    """Measure what a thief of the database alone learns from the indexes held, one by one and together.

    Bucket sizes, entropy, guesses, and the name frequencies that anyone knows. Example: `pdms keys leakage`
    """
    from pdms.reports import leakage as report

    face: Face = context.obj
    found = face.run(report.leakage)
    if face.json:
        show(found, as_json=True)
        return
    zh = language is Language.ZH
    rows = [(one.name, one.form, one.risk, one.sizes, one.zh if zh else one.en) for one in found.indexes]
    rows += [(" + ".join(one.indexes), "joint", "", one.sizes, one.zh if zh else one.en) for one in found.joint]
    show(
        [
            {
                "index": name,
                "form": form,
                "buckets": sizes.buckets,
                "smallest / median / largest": f"{sizes.smallest:,} / {sizes.median:,} / {sizes.largest:,}",
                "alone": f"{sizes.alone:.1%}",
                "bits": f"{sizes.entropy_bits:.1f} of {sizes.possible_bits:.1f}",
                "guesses": sizes.expected_guesses,
                "risk": risk,
            }
            for name, form, risk, sizes, _ in rows
        ],
        as_json=False,
        title=f"what the indexes tell, {found.members:,} members",
    )
    show([{"index": name, "in words": words} for name, _, _, _, words in rows], as_json=False)
