"""`pdms view hierarchy`: the trees that views generalise along; shown, checked, taken in and given out (ARX's form)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.render import show

if TYPE_CHECKING:
    from pdms.anonymize.hierarchy_files import Examined

app = typer.Typer(no_args_is_help=True, help="Hierarchies: how values are generalised, from leaf to `*`.")
Named = Annotated[str, typer.Argument(help="A hierarchy, see `pdms view hierarchy list`; or VIEW.FEATURE.")]
Delimiter = Annotated[str, typer.Option(help="What separates cells: `;`, `,` or `tab`.")]


@app.command("list")
def list_(context: typer.Context) -> None:
    """List hierarchies: of the policy, of views' edges, and standards that a policy may take over.

    Example: `pdms view hierarchy list`
    """
    from pdms.views import hierarchies

    face: Face = context.obj
    found = face.run_anon(hierarchies.list_hierarchies)
    columns = ("name", "origin", "nodes", "used_by", "source")
    show(found, as_json=face.json, title="hierarchies", columns=columns)


@app.command("show")
def show_(context: typer.Context, name: Named) -> None:
    """Show a hierarchy as a tree; behind a label stands how many leaves it covers.

    Example: `pdms view hierarchy show region` or `pdms view hierarchy show member_value.spend`
    """
    from pdms.views import hierarchies

    face: Face = context.obj
    found = face.run_anon(hierarchies.show_hierarchy, name=name)
    if face.json:
        show(found, as_json=True)
        return
    show(found.info, as_json=False, title=name)
    for line in found.tree:
        typer.echo("  " * line.depth + line.label + (f"  ({line.leaves:,})" if line.leaves > 1 else ""))
    if found.left_off:
        typer.echo(f"… {found.left_off:,} more nodes below: `pdms view hierarchy export {name} FILE` writes all")


@app.command("check")
def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A file in ARX's CSV form, read without any home; or a name.")],
    values: Annotated[Path | None, typer.Option(help="File with one value a line that must be leaves.")] = None,
    delimiter: Delimiter = ";",
) -> None:
    """Check a hierarchy line by line: depth, parents, leaves, encoding, formulas (exit code 2 where it breaks a rule).

    Findings name line and rule, never a value.

    Example: `pdms view hierarchy check products.csv --values categories.txt`
    """
    from pdms.anonymize.hierarchy_files import LARGEST, examine
    from pdms.cli.files import names_file, or_a_file, read_bounded
    from pdms.errors import FAMILIES, InvalidInput
    from pdms.views import hierarchies

    face: Face = context.obj
    listed = _lines(values) if values is not None else None
    path = Path(name)
    if names_file(name):
        content = read_bounded(path, most=LARGEST)
        found = examine(path.stem, content, delimiter=hierarchies.delimiter_of(delimiter), values=listed)
    else:
        with or_a_file(face):
            found = face.run_anon(hierarchies.check_hierarchy, name=name, values=listed)
    _told(face, found)
    if not found.ok:
        face.exit_code = FAMILIES[InvalidInput].exit_code


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A file in ARX's CSV form, or a standard that pdms ships.")],
    name: Annotated[str, typer.Option(help="Name in the policy; default: that of the file.")] = "",
    source: Annotated[str, typer.Option(help="Where the tree comes from; default: the file's comment lines.")] = "",
    delimiter: Delimiter = ";",
) -> None:
    """Take a hierarchy into the policy's folder (scope: compliance); `pdms policy activate` puts it in force.

    Example: `pdms view hierarchy import county` or
    `pdms view hierarchy import tree.csv --name products --source "our catalogue, 2026-11"`
    """
    from pdms.anonymize.hierarchy_files import LARGEST
    from pdms.cli.files import names_file, or_a_file, read_bounded, write_whole
    from pdms.views import hierarchies

    face: Face = context.obj
    path = Path(file)
    if names_file(file):
        content = read_bounded(path, most=LARGEST)
    else:
        with or_a_file(face):
            content = hierarchies.standard_content(file)
    separator = hierarchies.delimiter_of(delimiter)
    named = name or path.stem
    text = face.run_anon(hierarchies.take_over, name=named, content=content, source=source, delimiter=separator)
    target = face.app.policies / "hierarchies" / f"{named}.csv"
    write_whole(target, text.encode())
    told = {"file": target, "next": "name it in a view's feature, then `pdms policy check`, `pdms policy activate`"}
    show(told, as_json=face.json, title="taken over")


@app.command("export")
def export(
    context: typer.Context,
    name: Named,
    path: Annotated[Path, typer.Argument(help="File to write, must not exist.")],
) -> None:
    """Write a hierarchy in ARX's CSV form, one leaf a line. Example: `pdms view hierarchy export region region.csv`"""
    from pdms.cli.files import new_file
    from pdms.views import hierarchies

    face: Face = context.obj
    with new_file(path, home=face.app.home) as write:
        found = face.run_anon(hierarchies.export_hierarchy, name=name)
        write(found.content)
    show({"file": path, "leaves": found.leaves}, as_json=face.json)


def _lines(path: Path) -> list[str]:
    from pdms.anonymize.hierarchy_files import LARGEST
    from pdms.cli.files import read_bounded
    from pdms.errors import InvalidInput

    try:
        return read_bounded(path, most=LARGEST).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput("values: not UTF-8") from None


def _told(face: Face, found: "Examined") -> None:
    nodes = [len(level) for level in found.hierarchy.labels] if found.hierarchy is not None else []
    told = {
        "name": found.name,
        "ok": found.ok,
        "source": found.source,
        "nodes": nodes,
        "findings": found.findings,
    }
    if face.json:
        show(told, as_json=True)
        return
    show({k: v for k, v in told.items() if k != "findings"}, as_json=False, title="hierarchy")
    if found.findings:
        columns = ("severity", "rule", "line", "explanation", "explanation_zh", "more")
        show(found.findings, as_json=False, title="findings", columns=columns)
