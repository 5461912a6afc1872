"""`pdms keys`: the state of keys, their rotation, and from when on no backup opens an erased member."""

import sys
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from pdms.cli.face import Face
from pdms.cli.progress import bar
from pdms.cli.render import show
from pdms.crypto import suite_of
from pdms.errors import InvalidInput
from pdms.taxonomy import Language

app = typer.Typer(no_args_is_help=True, help="Keys (scope: admin, compliance).")


class What(StrEnum):
    """Keys that can be rotated."""

    EPOCH = "epoch"
    DEKS = "deks"
    INDEX = "index"
    SEARCH = "search"
    SUPPRESSION = "suppression"
    SUITE = "suite"
    LOG = "log"
    RECEIPTS = "receipts"
    MANIFESTS = "manifests"


@app.command("show")
def show_(context: typer.Context) -> None:
    """Show where the root key lies, how many members have a key, and the erasure horizon; never a key."""
    from pdms.reports import keys

    face: Face = context.obj
    face.sequence()
    show(face.run(keys.overview), as_json=face.json, title="keys")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the key epochs, the system keys that were rotated, and what is still to be sealed or indexed anew.

    Example: `pdms keys list`
    """
    from pdms.reports import keys

    face: Face = context.obj
    show(face.run(keys.state), as_json=face.json, title="keys")


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
    what: Annotated[What, typer.Argument(help="Which keys; see below.")],
    root: Annotated[
        str | None, typer.Option(help="epoch: URI of the new root key; default: beside the old one, under a new name.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="suite: aes-256-gcm or sm4-gcm.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be done and change nothing.")] = False,
) -> None:
    """Put new keys in place of old ones (scope: admin); everything goes on meanwhile.

    epoch: all living keys are wrapped under a new root, nothing sealed is touched; afterwards `pdms keys destroy` ends
    what older backups open. deks: every member is sealed anew under a key of their own. suite: everything
    for another cipher suite: members, look-ups, searches, suppression entries, wrapping of keys. index: look-ups and
    identity are indexed anew; search: searches by part. suppression: one more key is nested around what stops the
    re-import of erased members.
    log, receipts, manifests: new signatures; old ones are verified under the old key.

    Cut off, the same command goes on. Example: `pdms keys rotate epoch --dry-run`
    """
    from pdms.rotation import service as rotation

    face: Face = context.obj
    suite = suite_of(to).name if to is not None else None
    if (suite is not None) is not (what is What.SUITE):
        raise InvalidInput("to: for suite, and there it is needed")
    if root is not None and what is not What.EPOCH:
        raise InvalidInput("root: for epoch only")
    if dry_run:
        plans: dict[What, Callable[..., Any]] = {
            What.EPOCH: rotation.plan_epoch,
            What.DEKS: rotation.plan_deks,
            What.SUITE: partial(rotation.plan_suite, suite=suite or rotation.SuiteName.AES_256_GCM),
            What.INDEX: rotation.plan_index,
            What.SUPPRESSION: rotation.plan_suppression,
        }
        if what not in plans:
            raise InvalidInput("dry-run: one key is made at once, there is nothing to count")
        show(face.run(plans[what]), as_json=face.json, title=f"{what}: would be done")
        return
    with bar(f"rotate {what}", quiet=face.json) as progress:
        match what:
            case What.EPOCH:
                done: object = rotation.rotate_epoch(face.units, root_uri=root, progress=progress)
            case What.SUITE:
                done = rotation.rotate_suite(face.units, suite=suite_of(to or "").name, progress=progress)
            case What.DEKS:
                done = rotation.rotate_deks(face.units, progress=progress)
            case What.INDEX:
                done = rotation.rotate_index(face.units, progress=progress)
            case What.SEARCH:
                done = rotation.rotate_search(face.units, progress=progress)
            case What.SUPPRESSION:
                done = rotation.rotate_suppression(face.units, progress=progress)
            case _:
                done = rotation.rotate_signer(face.units, signs=rotation.Signed(what.value))
    show(done, as_json=face.json, title=f"{what}: rotated")


@app.command("destroy")
def destroy(
    context: typer.Context,
    epoch: Annotated[int, typer.Argument(help="Number of an epoch on which no needed key hangs any more.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: every backup made under it is lost for good.")
    ] = False,
    other_home_gone: Annotated[
        bool,
        typer.Option(
            "--other-home-gone",
            help="In a restored home: the home that the backup is of, whose root this is too, is needed no more.",
        ),
    ] = False,
) -> None:
    """Destroy the root of an old epoch: backups made before its rotation open no more, for anyone, ever.

    In a home made from a backup, the roots that came with it are the first home's, too, and are not destroyed
    (`ROOT_SHARED`) unless you say `--other-home-gone`. Example: `pdms keys destroy 1`
    """
    from pdms.rotation import service as rotation

    face: Face = context.obj
    units = face.units
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInput("destroy: to be confirmed, with --yes where nobody can be asked")
        typer.confirm(f"Destroy the root of epoch {epoch}? Backups made under it are lost for good.", abort=True)
    ended = rotation.destroy_epoch(units, epoch=epoch, other_home_gone=other_home_gone)
    show(ended, as_json=face.json, title="destroyed")


@app.command("leakage")
def leakage(
    context: typer.Context,
    language: Annotated[Language, typer.Option(help="Of the conclusions.")] = Language.ZH,
) -> None:
    """Measure what a thief of the database alone learns from the indexes held, one by one and together.

    Bucket sizes, entropy, guesses, and the name frequencies that anyone knows.

    Example: `pdms keys leakage --language en`
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
