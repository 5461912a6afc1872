"""`pdms segment`: rules over a view's columns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pdms.cli.face import Face
from pdms.cli.render import cell, show

app = typer.Typer(no_args_is_help=True, help="Segments: rules over a view, never lists of people (scope: marketing).")
Name = Annotated[str, typer.Argument(help="Name of a saved segment.")]
PLACES: Final = {"feature": "of", "view": "on", "purpose": "for", "campaign": "of", "report": "run"}
"""Parts of a charged question, each with the word before it."""


@app.command("save")
def save(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="YAML file with the segment.")] = None,
    example: Annotated[str | None, typer.Option(help="Or: an example of `policies/segments/`, by name.")] = None,
) -> None:
    """Save a segment; one of the same name is replaced.

    Example: `pdms segment save loyal.yaml` or `pdms segment save --example loyal_recent`
    """
    from pdms.cli.files import read_text
    from pdms.errors import InvalidInput
    from pdms.segments import service

    face: Face = context.obj
    if (file is None) == (example is None):
        raise InvalidInput("segment: name a file or an example, not both")
    if file is not None:
        saved = face.run_anon(service.save, text=read_text(file))
    else:
        document = face.app.policy.segments.get(str(example))
        if document is None:
            raise InvalidInput(f"example: one of {', '.join(sorted(face.app.policy.segments))}")
        saved = face.run_anon(service.save, document=document)
    show(saved, as_json=face.json, title="saved")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List saved segments."""
    from pdms.segments import service

    face: Face = context.obj
    columns = ("name", "view", "label", "updated_at")
    show(face.run_anon(service.list_segments), as_json=face.json, title="segments", columns=columns)


@app.command("show")
def show_(context: typer.Context, name: Name) -> None:
    """Show a segment's rule. Example: `pdms segment show loyal_recent`"""
    from pdms.segments import service

    face: Face = context.obj
    show(face.run_anon(service.show, name=name), as_json=face.json)


@app.command("preview")
def preview(context: typer.Context, name: Name) -> None:
    """Count a segment on the live release of its view: rounded to ten, small counts only said to be small.

    Example: `pdms segment preview loyal_recent`
    """
    from pdms.segments import service

    face: Face = context.obj
    found = face.run_anon(service.preview, name=name)
    if face.json:
        show(found, as_json=True)
        return
    told = {
        "segment": found.segment,
        "members": f"{found.matched.low} to {found.matched.high} of about {found.total}",
        "classes wholly inside": found.classes_inside,
        "classes partly inside": found.classes_partly,
        "release": found.release_id,
    }
    show(told, as_json=False, title=f"preview of {name}")


@app.command("export")
def export(
    context: typer.Context,
    name: Name,
    path: Annotated[Path, typer.Argument(help="File to write, outside the home; .csv or .parquet.")],
) -> None:
    """Write the anonymised rows of whole matching classes, once a second operator approved.

    Ask with `pdms access approvals ask bulk_export --segment loyal`. Example: `pdms segment export loyal rows.csv`
    """
    from pdms.bootstrap.approving import export_segment
    from pdms.cli.files import file_format, new_file

    face: Face = context.obj
    form = file_format(path)
    with new_file(path, home=face.app.home) as write:  # before the approval is used up
        exported = export_segment(face.app, face.actor, name=name, format=form)
        write(exported.content)
    show({"file": path, "rows": exported.rows}, as_json=face.json)


@app.command("rfm")
def rfm(
    context: typer.Context, view: Annotated[str, typer.Argument(help="A view with recency, orders, spend.")]
) -> None:
    """Show recency, frequency and money segments on the live release of a view; counts rounded.

    Example: `pdms segment rfm member_value`
    """
    from pdms.marketing import service

    face: Face = context.obj
    table = face.run_anon(service.rfm_table, view=view)
    if face.json:
        show(table, as_json=True)
        return
    rows = [{"segment": s.name, "members": f"{s.members.low} – {s.members.high}"} for s in table.segments]
    show(rows, as_json=False, title=f"RFM segments on {view}, about {table.total} members")


@app.command("estimate")
def estimate(
    context: typer.Context,
    view: Annotated[str, typer.Argument(help="A view, see `pdms view list`.")],
    kind: Annotated[str, typer.Argument(help="count, histogram, sum, mean or quantile.")],
    feature: Annotated[str | None, typer.Argument(help="Column of the view; none for a count.")] = None,
    where: Annotated[Path | None, typer.Option(help="YAML file with a rule: of its members only.")] = None,
    share: Annotated[float, typer.Option(help="Which quantile: 0.5 is the median.")] = 0.5,
) -> None:
    """Ask one number of a view's members: noised, with its interval, charged once to the privacy budget.

    Example: `pdms segment estimate member_value mean spend`
    """
    from pdms.cli.files import read_text
    from pdms.errors import InvalidInput
    from pdms.publish.aggregates import AggregateKind, aggregate
    from pdms.segments.documents import read_document

    face: Face = context.obj
    if kind not in set(AggregateKind):
        raise InvalidInput(f"kind: one of {', '.join(AggregateKind)}")
    rule = None if where is None else read_document(read_text(where))
    found = aggregate(face.units, view=view, kind=AggregateKind(kind), feature=feature, where=rule, share=share)
    if face.json:
        show(found, as_json=True)
        return
    cost = found.cost
    told = {
        "answer": f"fewer than {found.below} members" if found.below else found.value,
        "lies between": None if found.value is None else f"{cell(found.low)} and {cell(found.high)} (95 %)",
        "unit": "money, in the currency of the orders" if found.unit == "currency" else found.unit,
        "cost": f"rho {cost.rho:g}" if cost.rho else "none: asked before",
        "left of the budget": f"{cost.left:.1%} until {cost.next_period.isoformat()}",
    }
    if found.bins:
        show([{found.feature or "": b.label, "members": str(b.members)} for b in found.bins], as_json=False)
        del told["answer"], told["lies between"]
    show(told, as_json=False, title=f"{kind} on {view}")


@app.command("budget")
def budget(context: typer.Context) -> None:
    """Show what is left of the privacy budget: marketing its own, an officer every population's."""
    from pdms.budgets import service
    from pdms.taxonomy import Scope

    face: Face = context.obj
    officer = Scope.COMPLIANCE in face.actor.scopes
    found = face.run_anon(service.states) if officer else face.run_anon(service.state)
    show(found, as_json=face.json, title="privacy budget")


@app.command("charges")
def charges(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest of them, at most so many.")] = 1000,
) -> None:
    """List what was charged to privacy budgets, with the question, oldest first (scope: compliance).

    A rule is told by its digest: equal ones ask of the same members. Example: `pdms segment charges --limit 20`
    """
    from pdms.budgets import service

    face: Face = context.obj
    found = face.run_anon(service.ledger)[-limit:]
    rows = [
        {
            "charge": f"{one.population} {one.number}\nrho {cell(one.rho)}",
            "question, asked by": f"{asked(one.about)}\n{one.charged_by}",
            "when": "\n".join((cell(one.charged_at.isoformat()), *([] if one.answered_at else ["never answered"]))),
        }
        for one in found
    ]
    show(found if face.json else rows, as_json=face.json, title="charges")


def asked(about: Mapping[str, Any]) -> str:
    """Return a charged question in words: `mean of spend on member_value, rule 1d750f6ef540`."""
    first = [about["kind"], *(f"{word} {about[name]}" for name, word in PLACES.items() if about.get(name))]
    rule = f", rule {about['where'][:12]}" if about.get("where") else ""
    return "\n".join([" ".join(first) + rule, *([about["release"]] if about.get("release") else [])])
