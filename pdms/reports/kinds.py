"""The reports by name, and their renderings: one place for both faces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pdms.reports import audit_report, document, findings, page, registers
from pdms.reports.document import Report
from pdms.reports.log_evidence import Period
from pdms.taxonomy import Language, Scope
from pdms.unit_of_work import UnitOfWork

Form = Literal["json", "csv", "html"]
FORMS: tuple[Form, ...] = ("json", "csv", "html")
MEDIA: Mapping[Form, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
MADE: Mapping[str, Callable[[UnitOfWork, Period], Report]] = {
    "consent": lambda uow, _: registers.consent_coverage(uow),
    "refusals": lambda uow, period: registers.refusals(uow, period=period),
    "ropa": lambda uow, _: registers.processing(uow),
    "lists": lambda uow, _: registers.lists(uow),
    "pipia": lambda uow, _: registers.assessments(uow),
    "audit": lambda uow, period: audit_report.audit_report(uow, period=period),
    "findings": lambda uow, _: findings.findings(uow),
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report as a file."""

    content: bytes
    filename: str
    media_type: str


def make(uow: UnitOfWork, *, name: str, period: Period | None = None) -> Report:
    """Make a report by name. :raises KeyError: there is none."""
    uow.require(Scope.COMPLIANCE)
    return MADE[name](uow, period or Period())


def rendered(report: Report, *, form: Form, language: Language) -> Rendered:
    """Render a report."""
    content = {
        "json": lambda: document.json_bytes(report),
        "csv": lambda: document.csv_bytes(report, language=language),
        "html": lambda: page.page(report, language=language),
    }[form]()
    return Rendered(content, f"{report.name}-{report.made_at:%Y%m%d}.{form}", MEDIA[form])
