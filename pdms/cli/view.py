"""`pdms view`: the feature views that the policy declares, and publishing releases of them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdms.cli import hierarchy
from pdms.cli.face import Face
from pdms.cli.files import names_file, or_a_file, read_small
from pdms.cli.progress import stages
from pdms.cli.render import show
from pdms.settings import Engine

if TYPE_CHECKING:
    from pdms.features.plan import Plan
    from pdms.publish.manifest import Manifest
    from pdms.views.comparing import Taken
    from pdms.views.linting import Finding

app = typer.Typer(no_args_is_help=True, help="Feature views: what marketing may see, anonymised.")
FILES = (".parquet", ".csv", ".arrow")
app.add_typer(hierarchy.app, name="hierarchy")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the views of the policy. Example: `pdms view list`"""
    from pdms.views import service

    face: Face = context.obj
    show(face.run_anon(service.list_views), as_json=face.json, title="views")


@app.command("lint")
def lint(
    context: typer.Context,
    view: Annotated[str, typer.Argument(help="A view, or a file such as views/new.yaml; default: all views.")] = "",
    data: Annotated[
        bool, typer.Option("--data", help="Count the members that are eligible now, by bin (scope: compliance).")
    ] = False,
) -> None:
    """Say what speaks against a view, why, and what to do instead (exit code 2 where it must not be published).

    Refused are exact values, nearly unique columns, columns outside the purpose, identifiers, too many features; with
    --data also bins that hold fewer than k members. Each finding names its article.

    Example: `pdms view lint`, `pdms view lint member_value --data` or `pdms view lint policies/views/new.yaml`
    """
    from pdms.errors import FAMILIES, InvalidInput
    from pdms.views import linting

    face: Face = context.obj
    if names_file(view):
        from pdms.policy.yaml_reader import read_yaml

        if data:
            raise InvalidInput("view: --data counts for a view in force; a file is not, activate it first")
        path = Path(view)
        read_small(path)
        if path.suffix != ".yaml":
            raise InvalidInput("view: a file of a view ends in .yaml")
        found = face.run_anon(linting.lint_document, name=path.stem, document=read_yaml(path, root=path.parent))
    elif data:
        from pdms.features.linting import lint_on_data

        if not view:
            raise InvalidInput("view: name the view to count for")
        with or_a_file(face):
            found = lint_on_data(face.units, view=view)
    else:
        with or_a_file(face):
            found = face.run_anon(linting.lint, view=view or None)
    if face.json:
        show(found, as_json=True)
    else:
        show({"views": found.views, "ok": found.ok, "measured on data": found.measured}, as_json=False, title="lint")
        if found.findings:
            show([worded(finding) for finding in found.findings], as_json=False)
    if not found.ok:
        face.exit_code = FAMILIES[InvalidInput].exit_code


def worded(finding: "Finding") -> dict[str, str]:
    """Return what a person reads of a finding: what it is, where, and beside it why and what to do."""
    return {
        "finding": f"{finding.severity}\n{finding.code}\n{finding.article}",
        "what, why, and what to do": "\n".join(
            (
                f"{finding.view} {finding.place}: {finding.rule}",
                finding.explanation,
                finding.explanation_zh,
                f"→ {finding.suggestion}",
                f"→ {finding.suggestion_zh}",
            )
        ),
    }


@app.command("plan")
def plan(
    context: typer.Context,
    view: Annotated[str, typer.Argument(help="A view, see `pdms view list`.")],
    rows: Annotated[float | None, typer.Option(help="Plan for so many members, such as 1e9; default: as held.")] = None,
    engine: Annotated[Engine | None, typer.Option(help="Plan for this engine; default: PDMS_ENGINE.")] = None,
) -> None:
    """Say what publishing a view would run where, its sizes and needs; publishes nothing (scope: compliance).

    A sample of the members that are eligible now is counted for it, under the same permit as a publication.

    Example: `pdms view plan member_value --rows 1e9 --engine spark`
    """
    from pdms.errors import InvalidInput
    from pdms.features import plan as planning

    face: Face = context.obj
    if rows is not None and not rows.is_integer():  # infinity and nan are none either
        raise InvalidInput("rows: must be a whole number")
    found = planning.plan(face.units, view=view, rows=None if rows is None else int(rows), engine=engine)
    show(found if face.json else told(found), as_json=face.json, title=f"plan of {view}, nothing published")


def told(found: "Plan") -> dict[str, object]:
    """Return what a person reads of a plan."""
    size = found.sizes
    table = {f"{n}. {step.where}": f"{step.what} · {step.what_zh}: ≤ {amount(step.bytes)}" for n, step in
             enumerate(found.steps, 1)}  # fmt: skip
    return {
        "engine": found.engine.value,
        "members": f"{size.rows:,} (eligible now {found.held:,}, sampled {found.sampled:,})",
        "facts": f"{size.facts_rows:,} rows, {amount(size.facts_bytes)}",
        "distinct tuples": f"about {size.tuples:,}, at most {size.tuples_most:,}",
        **table,
        "memory of this process": f"≤ {amount(found.process)}",
        "notes": [f"{en} · {zh}" for en, zh in zip(found.notes, found.notes_zh, strict=True)] or "none",
    }


def amount(size: float) -> str:
    """Return a number of bytes as a person reads it, `1.5 GB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


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
    show(manifest if face.json else brief(manifest), as_json=face.json, title=f"release of {view}")


@app.command("show")
def show_(
    context: typer.Context,
    view: Annotated[str, typer.Argument(help="A view; its live release is shown. Or a release id.")],
    svg: Annotated[Path | None, typer.Option(help="Write the picture here too (SVG), outside the home.")] = None,
) -> None:
    """Show a view's live release: criteria, loss, risk, how large its classes are, how far each feature was coarsened.

    Example: `pdms view show member_value --svg member_value.svg`
    """
    from pdms.cli.files import new_file_if
    from pdms.cli.pictures import draw
    from pdms.views import pictures

    face: Face = context.obj
    by_id = view.startswith("rel-")
    named, id_ = (None, view) if by_id else (view, None)
    with new_file_if(svg, home=face.app.home) as write:  # before the look is entered as a copy
        found = face.run_anon(pictures.picture, view=named, release_id=id_)
        if svg is not None:
            write(pictures.svg_of(found).encode())
    if face.json:
        show(found, as_json=True)
    else:
        draw(found)


@app.command("compare")
def compare(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="A release id, or an exported file, its manifest beside it (.json).")],
    after: Annotated[str, typer.Argument(help="Another of either.")],
    key: Annotated[str, typer.Option(help="For files: public key of the manifests, see `pdms view keys`.")] = "",
) -> None:
    """Say what changed between two releases: rows, classes, loss, and each feature's distribution with its distance.

    Rows of an id are compared while it is live; of a file always, once it is verified. No row is matched to a row.

    Example: `pdms view compare rel-… rel-…` or `pdms view compare before.parquet rel-… --key 3b6a…`
    """
    from pdms.views import comparing

    face: Face = context.obj
    sides = [_taken(face, Path(one), key) if Path(one).suffix in FILES else one for one in (before, after)]
    found = face.run_anon(comparing.compare, before=sides[0], after=sides[1])
    if face.json:
        show(found, as_json=True)
        return
    told: dict[str, object] = {
        "suppressed": f"{found.suppressed_before} → {found.suppressed_after}",
        "only before": found.only_before or None,
        "only after": found.only_after or None,
        "note": found.note or None,
    }
    show(found.numbers, as_json=False, title=f"{before} → {after}")
    columns = ("label", "label_zh", "distance", "ordered", "moved")
    show(found.features, as_json=False, title="distributions", columns=columns)
    show(told, as_json=False)


@app.command("export")
def export(
    context: typer.Context,
    view: Annotated[str, typer.Argument(help="A view; its live release is written.")],
    path: Annotated[Path, typer.Argument(help="File to write, outside the home; .parquet, .csv or .arrow.")],
    manifest: Annotated[Path | None, typer.Option(help="Write the signed public manifest here too.")] = None,
) -> None:
    """Write a view's live release, all its rows, once a second operator approved (`pdms access approvals ask`).

    Example: `pdms view export member_value rows.parquet --manifest rows.json`
    """
    from pdms.bootstrap.approving import export_release
    from pdms.cli.files import new_file, new_file_if, release_format
    from pdms.errors import InvalidInput
    from pdms.views import service

    face: Face = context.obj
    form = release_format(path)
    if manifest is not None and manifest.resolve() == path.resolve():
        raise InvalidInput("manifest: a file of its own")
    with new_file(path, home=face.app.home) as rows, new_file_if(manifest, home=face.app.home) as beside:
        # both can be written, so the approval may be used up
        release_id = face.run_anon(service.live, view=view).release_id
        said = face.run_anon(service.show, release_id=release_id).manifest
        exported = export_release(face.app, face.actor, release_id=release_id, format=form)
        rows(exported.content)
        beside((json.dumps(said, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode())
    show({"file": path, "release": release_id, "rows": exported.rows, "manifest": manifest}, as_json=face.json)


@app.command("verify")
def verify(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="The rows: .parquet, .csv or .arrow.")],
    manifest: Annotated[Path, typer.Argument(help="The signed manifest (JSON), public or exact.")],
    key: Annotated[str, typer.Option(help="Public key of the manifests, 64 hex digits: `pdms view keys`.")],
) -> None:
    """Verify a release offline, without a home or an API key: signature, bytes, rows, criteria measured again, expiry.

    Exit code 7 where something was changed, 4 where the release is whole but has expired.

    Example: `pdms view verify rows.parquet rows.json --key 3b6a…`
    """
    from pdms.cli.files import LARGEST_RELEASE, read_bounded, read_small, release_format
    from pdms.errors import FAMILIES, Denied, IntegrityBroken
    from pdms.publish.verifying import verify_release

    face: Face = context.obj
    found = verify_release(
        read_bounded(data, most=LARGEST_RELEASE),
        read_small(manifest),
        public_key=_key(key),
        now=face.clock.now(),
        filename=data.name,
        form=release_format(data),
    )
    if face.json:
        show(found, as_json=True)
    else:
        told = {name: getattr(found, name) for name in ("verdict", "release_id", "view", "rows", "k", "expires_at")}
        show(told, as_json=False, title=f"release in {data.name}")
        show(found.checks, as_json=False, title="checks")
    if found.verdict == "broken":
        face.exit_code = FAMILIES[IntegrityBroken].exit_code
    elif found.verdict == "expired":
        face.exit_code = FAMILIES[Denied].exit_code


@app.command("keys")
def keys(context: typer.Context) -> None:
    """Print the public keys that manifests are signed under; a recipient keeps them from elsewhere than the release."""
    from pdms.publish.verifying import manifest_keys

    face: Face = context.obj
    show({"public_keys": face.run(manifest_keys)}, as_json=face.json, title="keys of manifests")


def _taken(face: Face, path: Path, key: str) -> "Taken":
    from pdms.cli.files import LARGEST_RELEASE, read_bounded, read_small, release_format
    from pdms.publish.verifying import taken_from

    return taken_from(
        read_bounded(path, most=LARGEST_RELEASE),
        read_small(path.with_suffix(".json")),
        public_key=_key(key),
        now=face.clock.now(),
        filename=path.name,
        form=release_format(path),
    )


def _key(text: str) -> bytes:
    from pdms.errors import InvalidInput

    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidInput("key: 64 hex digits") from None


HELD_BACK = {
    "padding": "so that who left a class is one of k",
    "remainder": "the rest of classes that fell below k",
    "joiners": "new members too few or too unlike for classes of their own",
    "silent": "classes of which nothing would be said",
}


def held_back(manifest: "Manifest") -> dict[str, object]:
    """Return how many of the eligible stay out because of releases that are out, which these are, and what to do."""
    together = manifest.together
    if together is None or not together.releases:
        return {}
    why = [f"{code}: {n:,}, {HELD_BACK[code]}" for code, n in together.held_back.items() if n]
    return {
        "held back": "\n".join([f"{sum(together.held_back.values()):,}, because of releases that are out", *why]),
        "releases that are out": "\n".join(together.releases),
        "to have them bind no more": "`pdms release copies RELEASE` tells who holds one; who has deleted it says so by "
        "`pdms release acknowledge-deleted RELEASE`, then publish again",
    }


def brief(manifest: "Manifest") -> dict[str, object]:
    """Return what a person reads first of a manifest; `pdms release manifest` shows all of it."""
    return {
        "release": manifest.release_id,
        "members": f"{manifest.members:,}, of them eligible {manifest.eligible:,}",
        "left out": dict(manifest.excluded) or "nobody",
        "rows": f"{manifest.rows:,} in {manifest.classes:,} classes; suppressed {manifest.suppressed:,}",
        **held_back(manifest),
        "k measured again": f"{manifest.k} (required {manifest.k_required})",
        **({"sensitive feature, measured again": dict(manifest.sensitive["reached"])} if manifest.sensitive else {}),
        "greatest risk of a row": f"{manifest.risks.prosecutor_max:.3f} (threshold {manifest.risks.threshold:.2f})",
        "average risk": f"{manifest.risks.prosecutor_average:.3f}",
        **_linked(manifest),
        "algorithm": f"{manifest.algorithm} (the view asks for {manifest.algorithm_asked})",
        "information loss": f"NCP {manifest.loss.ncp:.3f}",
        "GB/T 42460 level": f"{manifest.level}: de-identified, not anonymous; consent to profiling still applies",
        "expires": manifest.expires_at,
    }


def _linked(manifest: "Manifest") -> dict[str, object]:
    found = manifest.linked
    if found is None or not found.releases:
        return {}
    told = f"{found.below:,} of {found.members:,} members are among fewer than {found.asked}"
    return {f"with {len(found.releases)} releases of other views": told}
