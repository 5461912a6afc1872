"""`pdms report`: what the officer reads, and what the officer puts on record."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pdms.cli.face import Face
from pdms.cli.render import show
from pdms.clock import SHANGHAI
from pdms.errors import InvalidInput
from pdms.taxonomy import Language

if TYPE_CHECKING:
    from pdms.reports.document import Report
    from pdms.unit_of_work import UnitOfWork

app = typer.Typer(no_args_is_help=True, help="Reports (scope: compliance).")
incident = typer.Typer(no_args_is_help=True, help="Incidents: their clocks, and the draft of what is told (PIPL-57).")
app.add_typer(incident, name="incident")
Code = TypeVar("Code", bound=StrEnum)
Out = Annotated[Path | None, typer.Option(help="Write it to this new file: .json, .csv or .html.")]
Tongue = Annotated[Language, typer.Option(help="Of the file: zh-CN or en.")]
Since = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, Asia/Shanghai.")]
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, Asia/Shanghai.")]


@app.command("consent")
def consent(context: typer.Context, out: Out = None, language: Tongue = Language.ZH) -> None:
    """Show consent coverage by purpose, notice version, language and channel.

    Example: `pdms report consent --out consent.html`
    """
    from pdms.reports import consents

    face: Face = context.obj
    if out is not None:
        _tell(face, _named("consent"), out, language)
        return
    found = face.run(consents.coverage)
    if not face.json:
        show([_short(row) for row in found], as_json=False, title="consent coverage")
        return
    show(found, as_json=True)


@app.command("refusals")
def refusals(
    context: typer.Context,
    since: Since = None,
    until: Until = None,
    out: Out = None,
    language: Tongue = Language.ZH,
) -> None:
    """Show what was refused, by reason and purpose. Example: `pdms report refusals --since 2026-01-01`"""
    _tell(context.obj, _named("refusals", since, until), out, language)


@app.command("ropa")
def ropa(context: typer.Context, out: Out = None, language: Tongue = Language.ZH) -> None:
    """Show the records of processing activities, made from the policy. Example: `pdms report ropa --out ropa.html`"""
    _tell(context.obj, _named("ropa"), out, language)


@app.command("lists")
def lists(context: typer.Context, out: Out = None, language: Tongue = Language.ZH) -> None:
    """Show the itemised lists of what is collected and who receives it (NDR-21-2).

    Example: `pdms report lists --out lists.html`
    """
    _tell(context.obj, _named("lists"), out, language)


@app.command("pipia")
def pipia(context: typer.Context, out: Out = None, language: Tongue = Language.ZH) -> None:
    """Show the impact assessments with their scores (PIPL-55, 56). Example: `pdms report pipia --out pipia.html`"""
    _tell(context.obj, _named("pipia"), out, language)


@app.command("audit")
def audit(
    context: typer.Context,
    since: Since = None,
    until: Until = None,
    out: Out = None,
    language: Tongue = Language.ZH,
) -> None:
    """Show the audit report's items, each with evidence from the log or "no evidence" (AUD).

    Example: `pdms report audit --since 2026-01-01 --until 2026-12-31 --out audit.html`
    """
    _tell(context.obj, _named("audit", since, until), out, language)


@app.command("findings")
def findings(context: typer.Context, out: Out = None, language: Tongue = Language.ZH) -> None:
    """Show which duties of the law are not shown to be kept, at this number of members. `pdms sweep` raises alarms.

    Example: `pdms report findings --out findings.html --language en`
    """
    _tell(context.obj, _named("findings"), out, language)


@app.command("record")
def record(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="plan, drill, audit, minors_audit, officer_filed, scc_filed, pipia, …")],
    on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day on which it was done.")],
    subject: Annotated[str, typer.Option(help="scc_filed: the recipient; pipia: the assessment.")] = "",
    ticket: Annotated[str, typer.Option(help="Leads to the papers, e.g. LEGAL-12.")] = "",
    likelihood: Annotated[int | None, typer.Option(help="pipia: 1 to 4.")] = None,
    impact: Annotated[int | None, typer.Option(help="pipia: 1 to 4.")] = None,
    residual: Annotated[int | None, typer.Option(help="pipia: what is left of likelihood × impact.")] = None,
    measure: Annotated[list[str] | None, typer.Option(help="pipia: a measure; may be repeated.")] = None,
) -> None:
    """Put on record that a duty was done outside pdms. Example: `pdms report record drill --on 2026-06-01`"""
    from pdms.reports import records
    from pdms.reports.records import Measure, RecordKind

    face: Face = context.obj
    done = face.run(
        records.record,
        kind=_one(RecordKind, kind, "kind"),
        done_on=on.date(),
        subject=subject,
        ticket=ticket,
        likelihood=likelihood,
        impact=impact,
        residual=residual,
        measures=[_one(Measure, one, "measure") for one in measure or ()],
    )
    show(done, as_json=face.json, title="on record")


@incident.command("open")
def open_incident(
    context: typer.Context,
    detected: Annotated[datetime, typer.Option(formats=["%Y-%m-%dT%H:%M"], help="Asia/Shanghai, to the minute.")],
    cause: Annotated[str, typer.Option(help="attack, insider, misconfiguration, lost_device, processor, unknown.")],
    category: Annotated[list[str], typer.Option(help="A data category of the policy; may be repeated.")],
    larger: Annotated[bool, typer.Option("--larger", help="Of the level “larger” or above (INC-4).")] = False,
    harm: Annotated[list[str] | None, typer.Option(help="fraud, harassment, property, reputation, …")] = None,
    remedy: Annotated[list[str] | None, typer.Option(help="access_closed, keys_rotated, processor_stopped, …")] = None,
    advice: Annotated[list[str] | None, typer.Option(help="change_password, watch_for_fraud, …")] = None,
    people: Annotated[int | None, typer.Option(help="How many people are concerned.")] = None,
    sensitive_people: Annotated[int | None, typer.Option(help="Of these, with sensitive data.")] = None,
    minors: Annotated[int | None, typer.Option(help="Of these, below 18.")] = None,
) -> None:
    """Open an incident; its clocks run from the detection.

    Example: `pdms report incident open --detected 2026-11-02T09:00 --cause attack --category basic --larger`
    """
    from pdms.reports import incidents
    from pdms.reports.incidents import Advice, Cause, Harm, Remedy

    face: Face = context.obj
    opened = face.run(
        incidents.open_incident,
        detected_at=detected.replace(tzinfo=SHANGHAI).astimezone(UTC),
        cause=_one(Cause, cause, "cause"),
        larger=larger,
        categories=category,
        harms=[_one(Harm, one, "harm") for one in harm or ()],
        remedies=[_one(Remedy, one, "remedy") for one in remedy or ()],
        advice=[_one(Advice, one, "advice") for one in advice or ()],
        people=people,
        sensitive_people=sensitive_people,
        minors=minors,
    )
    show(opened, as_json=face.json, title="incident")


@incident.command("list")
def list_incidents(context: typer.Context) -> None:
    """List incidents, newest first, with the steps taken."""
    from pdms.reports import incidents

    face: Face = context.obj
    shown = ("incident_id", "detected_at", "cause", "larger", "people", "steps")
    show(face.run(incidents.incidents), as_json=face.json, title="incidents", columns=shown)


@incident.command("draft")
def draft(
    context: typer.Context,
    incident_id: Annotated[str, typer.Argument(help="Id of an incident, inc-…")],
    out: Out = None,
    language: Tongue = Language.ZH,
) -> None:
    """Draft what the authority and people are told, with what is still to be filled in (PIPL-57, MIN-35).

    Example: `pdms report incident draft inc-… --out notice.html`
    """
    from pdms.reports import incidents

    _tell(context.obj, lambda uow: incidents.draft(uow, incident_id=incident_id), out, language)


@incident.command("step")
def step(
    context: typer.Context,
    incident_id: Annotated[str, typer.Argument(help="Id of an incident, inc-…")],
    what: Annotated[str, typer.Argument(help="authority, members, waived or closed.")],
    at: Annotated[datetime, typer.Option(formats=["%Y-%m-%dT%H:%M"], help="Asia/Shanghai, to the minute.")],
    ticket: Annotated[str, typer.Option(help="waived: leads to the reasoning.")] = "",
) -> None:
    """Note that the authority or people were told, or that the incident is closed; it ends a clock.

    Example: `pdms report incident step inc-… authority --at 2026-11-02T06:30`
    """
    from pdms.reports import incidents
    from pdms.reports.incidents import IncidentStep

    face: Face = context.obj
    noted = face.run(
        incidents.note_step,
        incident_id=incident_id,
        step=_one(IncidentStep, what, "step"),
        at=at.replace(tzinfo=SHANGHAI).astimezone(UTC),
        ticket=ticket,
    )
    show(noted, as_json=face.json, title="incident")


def _named(name: str, since: datetime | None = None, until: datetime | None = None) -> "Callable[[UnitOfWork], Report]":
    from pdms.reports import kinds
    from pdms.reports.log_evidence import Period, days

    first, last = since.date() if since else None, until.date() if until else None
    period: Period = days(first, last)
    return lambda uow: kinds.make(uow, name=name, period=period)


def _tell(face: Face, make: "Callable[[UnitOfWork], Report]", out: Path | None, language: Language) -> None:
    from pdms.cli.files import new_file_if
    from pdms.reports import document, kinds

    form = {f".{one}": one for one in kinds.FORMS}.get(out.suffix) if out is not None else None
    if out is not None and form is None:
        raise InvalidInput("out: ends in .json, .csv or .html")
    with new_file_if(out, home=face.app.home) as write:
        report = face.run(make)
        if form is not None:
            write(kinds.rendered(report, form=form, language=language).content)
    if out is not None:
        show({"report": report.name, "file": out}, as_json=face.json)
    elif face.json:
        show(document.as_json(report), as_json=True)
    else:
        for section in report.sections:
            rows = [
                {
                    column.name: document.text_of(cell, language)
                    for column, cell in zip(section.columns, row.cells, strict=True)
                }
                | ({"state": row.state.value} if any(one.state for one in section.rows) else {})
                | {"articles": ", ".join(row.articles)}
                for row in section.rows
            ]
            show(rows, as_json=False, title=section.title[language])


def _one(codes: "type[Code]", text: str, name: str) -> "Code":
    try:
        return codes(text)
    except ValueError:
        raise InvalidInput(f"{name}: one of {', '.join(str(one) for one in codes)}") from None


def _short(row: object) -> dict[str, object]:
    names = ("purpose", "state", "members", "channel", "language", "notice_id", "notice_version")
    told = {name: getattr(row, name) for name in names}
    return told | {"notice_version": str(told["notice_version"])[:12]}
