"""`/v1/reports`: what the compliance officer reads. Exact numbers, no member."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import Field, StringConstraints

from pdms.api.caller import AdminOrCompliance, Compliance
from pdms.api.edge import edge
from pdms.api.fields import Body, Day, Instant, Name
from pdms.api.files import attachment
from pdms.api.guarded import router
from pdms.consent.service import CoverageRow
from pdms.reports import consents, incidents, keys, kinds, leakage, records
from pdms.reports.incidents import Advice, Cause, Harm, Incident, IncidentStep, Remedy
from pdms.reports.keys import KeyOverview
from pdms.reports.leakage import Leakage
from pdms.reports.log_evidence import days
from pdms.reports.records import Measure, Record, RecordKind
from pdms.rights import service as rights
from pdms.rights.service import HeldMonth, HeldRecord
from pdms.taxonomy import Language

routes = router("reports")
HeldPath = Annotated[str, Path(pattern="^held-[0-9a-f]{32}$", description="Id of a held record.")]


IncidentPath = Annotated[str, Path(pattern="^inc-[0-9a-f]{32}$", description="Id of an incident.")]
ReportName = Literal["consent", "refusals", "ropa", "lists", "pipia", "audit", "findings"]
Ticket = Annotated[str, StringConstraints(pattern="^([A-Z]{2,10}-[0-9]{1,6})?$")]
People = Annotated[int | None, Field(ge=0, le=incidents.MOST_PEOPLE)]
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/csv": {"schema": {"type": "string"}},
            "text/html": {"schema": {"type": "string"}},
        },
    }
}


class NewRecord(Body):
    """A duty that was done."""

    kind: RecordKind = Field(examples=["drill"])
    done_on: Day = Field(examples=["2026-06-01"])
    subject: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_.-]{0,63})?$")] = Field(
        default="", description="scc_filed: the recipient; pipia: the assessment."
    )
    ticket: Ticket = Field(default="", description="Leads to the papers.", examples=["LEGAL-12"])
    likelihood: int | None = Field(default=None, ge=1, le=4, description="pipia.")
    impact: int | None = Field(default=None, ge=1, le=4, description="pipia.")
    residual: int | None = Field(default=None, ge=1, le=16, description="pipia: risk once the measures hold.")
    measures: list[Measure] = Field(default=[], max_length=len(Measure), description="pipia.")


class NewIncident(Body):
    """An incident, as far as it is known."""

    detected_at: Instant = Field(examples=["2026-11-02T09:00:00+08:00"])
    cause: Cause = Field(examples=["attack"])
    larger: bool = Field(description="Of the level “larger” or above (INC-4).", examples=[True])
    categories: list[Name] = Field(min_length=1, max_length=64, examples=[["basic"]])
    harms: list[Harm] = Field(default=[], max_length=len(Harm))
    remedies: list[Remedy] = Field(default=[], max_length=len(Remedy))
    advice: list[Advice] = Field(default=[], max_length=len(Advice))
    people: People = None
    sensitive_people: People = None
    minors: People = None


class NewStep(Body):
    """A step that was taken."""

    step: IncidentStep = Field(examples=["authority"])
    at: Instant = Field(examples=["2026-11-02T11:30:00+08:00"])
    ticket: Ticket = Field(default="", description="waived: leads to the reasoning.")


class HeldOrder(Body):
    """The order that a case is about."""

    order: str = Field(min_length=1, max_length=64, examples=["B0001234"])


class Case(Body):
    """For which case a held record is opened."""

    ticket: str = Field(pattern="^[A-Z]{2,10}-[0-9]{1,6}$", examples=["CASE-1234"])


@routes.get("/consent", summary="Consent coverage", response_model=edge(list[CoverageRow]))
def consent_coverage(caller: Compliance) -> Any:
    """Members by purpose, notice version, language, channel and state. Reading it is in the audit log."""
    return caller.read(consents.coverage)


@routes.get("/documents/{report}", summary="A whole report", response_class=Response, responses=FILE)
def show_report(
    caller: Compliance,
    report: ReportName,
    form: Literal["json", "csv", "html"] = "json",
    language: Language = Language.ZH,
    since: Annotated[Day | None, Query(description="First day, Asia/Shanghai.")] = None,
    until: Annotated[Day | None, Query(description="Last day, Asia/Shanghai.")] = None,
) -> Response:
    """Consent coverage, refusals, records of processing, itemised lists, impact assessments, the audit's items, or
    findings: made from the policy, the log and what is on record; every row names its evidence. Reading is logged."""
    period = days(since, until)
    told = caller.file(kinds.make, name=report, period=period)
    made = kinds.rendered(told, form=form, language=language)
    return attachment(made.content, filename=made.filename, media_type=made.media_type)


@routes.get("/records", summary="Duties on record", response_model=edge(list[Record]))
def list_records(caller: AdminOrCompliance) -> Any:
    """Drills, audits, filings and scored assessments on record, newest first."""
    return caller.read(records.records)


@routes.post("/records", status_code=201, summary="Record a duty", response_model=edge(Record))
def record_duty(caller: Compliance, body: NewRecord) -> Any:
    """Puts on record that a duty was done outside pdms; never changed afterwards."""
    return caller.made("/v1/reports/records").run(records.record, **body.model_dump())


@routes.get("/incidents", summary="List incidents", response_model=edge(list[Incident]))
def list_incidents(caller: AdminOrCompliance) -> Any:
    """Incidents, newest first, with the steps taken."""
    return caller.read(incidents.incidents)


@routes.post("/incidents", status_code=201, summary="Open an incident", response_model=edge(Incident))
def open_incident(caller: Compliance, body: NewIncident) -> Any:
    """Opens an incident; its clocks run from the detection (PIPL-57, INC-4)."""
    return caller.made("/v1/reports/incidents/{incident_id}").run(incidents.open_incident, **body.model_dump())


@routes.get("/incidents/{incident_id}", summary="Show an incident", response_model=edge(Incident))
def show_incident(caller: AdminOrCompliance, incident_id: IncidentPath) -> Any:
    """One incident with the steps taken."""
    return caller.read(incidents.show_incident, incident_id=incident_id)


@routes.get(
    "/incidents/{incident_id}/draft", summary="Draft of the notifications", response_class=Response, responses=FILE
)
def draft_notification(
    caller: Compliance,
    incident_id: IncidentPath,
    form: Literal["json", "csv", "html"] = "json",
    language: Language = Language.ZH,
) -> Response:
    """What the authority and people are to be told, what of it is still to be filled in, and the clocks."""
    made = kinds.rendered(caller.file(incidents.draft, incident_id=incident_id), form=form, language=language)
    return attachment(made.content, filename=made.filename, media_type=made.media_type)


@routes.post("/incidents/{incident_id}/steps", status_code=201, summary="Note a step", response_model=edge(Incident))
def note_step(caller: Compliance, incident_id: IncidentPath, body: NewStep) -> Any:
    """Notes that the authority or people were told, why people need not be, or that the incident is closed."""
    return caller.made("/v1/reports/incidents/{incident_id}").run(
        incidents.note_step, incident_id=incident_id, **body.model_dump()
    )


@routes.get("/held-records", summary="Statutory holds", response_model=edge(list[HeldMonth]))
def held_records(caller: Compliance) -> Any:
    """Records kept by statute after erasures, by month of expiry and article; nothing of their content."""
    return caller.read(rights.held_overview)


@routes.post("/held-records/searches", summary="Find held records", response_model=edge(list[HeldRecord]))
def find_held(caller: Compliance, body: HeldOrder) -> Any:
    """What is held of one order, by the number that an authority or the subject names; opens nothing."""
    return caller.read(rights.find_held, order=body.order)


@routes.post("/held-records/{held_id}/openings", summary="Open a held record", response_model=dict[str, Any])
def open_held(caller: Compliance, held_id: HeldPath, body: Case) -> Any:
    """Opens one record for a regulator, a tax office or a court, once a second officer approved it for this case
    (`POST /v1/operators/approvals`); the case is named in the audit log."""
    return caller.run(rights.open_held, held_id=held_id, ticket=body.ticket)


@routes.get("/keys", summary="State of the keys", response_model=edge(KeyOverview))
def key_overview(caller: AdminOrCompliance) -> Any:
    """Where the root key lies, how many members' keys there are, and from when erasures hold for backups."""
    return caller.read(keys.overview)


@routes.get("/leakage", summary="What the indexes tell", response_model=edge(Leakage))
def index_leakage(caller: AdminOrCompliance) -> Any:
    """What a thief of the database alone learns from the look-up and search indexes held, one by one and together."""
    return caller.read(leakage.leakage)
