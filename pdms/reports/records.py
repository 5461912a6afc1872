"""Duties that were done outside pdms, on record: drills, audits, filings, scored impact assessments.

Guarantees: a record is a kind, a date that has passed, codes and numbers, and a ticket that leads to the papers; it is
never changed, each is an event kept for three years at least (PIPL-56-2), and an impact assessment without measures is
refused (T39335). That something is recorded proves that somebody said so, not that it was done well.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlmodel import col, select

from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.errors import InvalidInput
from pdms.reports import log_evidence
from pdms.reports.tables import ComplianceRecordRow
from pdms.taxonomy import Scope, new_id
from pdms.unit_of_work import UnitOfWork

TICKET = re.compile(r"[A-Z]{2,10}-[0-9]{1,6}")
DAY = "done_on"
"""Under this name the event holds the day, as eight digits."""
LEVELS = range(1, 5)
"""Low, medium, high, severe, for likelihood and for impact alike."""


class RecordKind(StrEnum):
    """Kinds of duty."""

    PLAN = "plan"
    """The incident plan was approved (PIPL-51(5))."""
    DRILL = "drill"
    AUDIT = "audit"
    """A compliance audit ended (PIPL-54)."""
    MINORS_AUDIT = "minors_audit"
    """The yearly audit of minors' data was filed (MIN-37)."""
    OFFICER_FILED = "officer_filed"
    """The officer's name and contacts were filed (PIPL-52)."""
    SECURITY_OFFICER = "security_officer"
    """A network data security officer and management body were appointed (NDR-30)."""
    DISPOSAL_PLAN = "disposal_plan"
    """The plan for a merger, split or dissolution was reported (NDR-32)."""
    OVERSIGHT = "oversight"
    """The independent body met, or its yearly report was published (PIPL-58)."""
    SCC_FILED = "scc_filed"
    """The standard contract with a recipient was filed."""
    PIPIA = "pipia"
    """An impact assessment was scored (T39335)."""
    MILESTONE = "milestone"
    """The number of members reached a threshold of the law; recorded by the sweep."""


class Measure(StrEnum):
    """What an impact assessment may rely on."""

    CONSENT = "consent"
    MINIMISED = "minimised"
    ENCRYPTED = "encrypted"
    DEIDENTIFIED = "deidentified"
    ACCESS_LIMITED = "access_limited"
    LOGGED = "logged"
    SHORT_RETENTION = "short_retention"
    OPT_OUT = "opt_out"
    HUMAN_REVIEW = "human_review"
    CONTRACT = "contract"
    TWO_APPROVERS = "two_approvers"


@dataclass(frozen=True, slots=True)
class Record:
    """One duty done. `numbers` and `codes` are what the kind asks for."""

    record_id: str
    kind: RecordKind
    done_on: date
    subject: str
    ticket: str
    numbers: Mapping[str, int]
    codes: tuple[str, ...]
    event_id: str


def record(
    uow: UnitOfWork,
    *,
    kind: RecordKind,
    done_on: date,
    subject: str = "",
    ticket: str = "",
    likelihood: int | None = None,
    impact: int | None = None,
    residual: int | None = None,
    measures: Sequence[Measure] = (),
) -> Record:
    """Put on record that a duty was done.

    :param subject: a recipient (scc_filed) or an assessment of the policy (pipia). :param ticket: such as LEGAL-12.
    :param likelihood: 1 to 4, like `impact`; `residual`: likelihood × impact once the measures hold, 1 to 16 (pipia).
    :raises InvalidInput: the day is to come, the subject is not in the policy, or an assessment lacks a score.
    """
    uow.require(Scope.COMPLIANCE)
    if kind is RecordKind.MILESTONE:
        raise InvalidInput("kind: milestones are recorded by the sweep")
    if done_on > uow.now.astimezone(SHANGHAI).date():
        raise InvalidInput("done_on: a day that has come")
    if ticket and not TICKET.fullmatch(ticket):
        raise InvalidInput("ticket: letters, a hyphen and at most six digits, such as LEGAL-12")
    known = {RecordKind.SCC_FILED: uow.policy.recipients, RecordKind.PIPIA: uow.policy.pipias}.get(kind)
    if (known is None) != (subject == "") or (known is not None and subject not in known):
        raise InvalidInput("subject: for scc_filed a recipient, for pipia an assessment of the policy; else none")
    numbers: dict[str, int] = {}
    if kind is RecordKind.PIPIA:
        scores = (likelihood or 0, impact or 0)
        if not set(scores) <= set(LEVELS) or residual is None:
            raise InvalidInput("pipia: likelihood and impact from 1 to 4, and the residual risk (T39335)")
        if not measures:
            raise InvalidInput("pipia: the measures that lower the risk are missing (PIPL-56-1(3), T39335)")
        if not 1 <= residual <= scores[0] * scores[1]:
            raise InvalidInput("residual: from 1 to likelihood × impact")
        numbers = {"likelihood": scores[0], "impact": scores[1], "residual": residual}
    elif measures or likelihood or impact or residual:
        raise InvalidInput("likelihood, impact, residual, measures: of an assessment only")
    return enter(uow, kind=kind, done_on=done_on, subject=subject, ticket=ticket, numbers=numbers, codes=measures)


def enter(
    uow: UnitOfWork,
    *,
    kind: RecordKind,
    done_on: date,
    subject: str = "",
    ticket: str = "",
    numbers: Mapping[str, int],
    codes: Sequence[str] = (),
) -> Record:
    """Write a record and its event; `record` checks what people enter."""
    record_id = new_id("cr")
    refs = {"record": record_id, "duty": kind.value} | ({"subject": subject} if subject else {})
    event = uow.record(
        EventKind.DUTY_RECORDED, refs=refs, numbers={**numbers, DAY: _day(done_on)}, ticket=ticket or None
    )
    details = json.dumps({"numbers": dict(numbers), "codes": sorted(set(codes))})
    row = ComplianceRecordRow(
        record_id=record_id,
        kind=kind.value,
        done_on=done_on,
        subject=subject,
        ticket=ticket,
        details=details,
        event_id=event,
        recorded_at=uow.now,
    )
    uow.session.add(row)
    uow.session.flush()
    return _record(row)


def records(uow: UnitOfWork, *, kind: RecordKind | None = None) -> tuple[Record, ...]:
    """Return what is on record, newest first."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    query = select(ComplianceRecordRow).order_by(
        col(ComplianceRecordRow.done_on).desc(), col(ComplianceRecordRow.recorded_at).desc()
    )
    if kind is not None:
        query = query.where(col(ComplianceRecordRow.kind) == kind.value)
    return tuple(_record(row) for row in uow.session.exec(query))


def altered(uow: UnitOfWork) -> tuple[str, ...]:
    """Return the events of records that are gone, or whose day the log tells otherwise (in older versions, no day)."""
    logged = {
        event.event_id: event.numbers.get(DAY)
        for event in log_evidence.each(uow, (EventKind.DUTY_RECORDED,), log_evidence.Period())
    }
    held = uow.session.exec(select(ComplianceRecordRow)).all()
    changed = (row.event_id for row in held if logged.get(row.event_id) not in (None, _day(row.done_on)))
    return (*changed, *sorted(logged.keys() - {row.event_id for row in held}))


def _day(day: date) -> int:
    return int(f"{day:%Y%m%d}")


def _record(row: ComplianceRecordRow) -> Record:
    details = json.loads(row.details)
    return Record(
        row.record_id,
        RecordKind(row.kind),
        row.done_on,
        row.subject,
        row.ticket,
        details["numbers"],
        tuple(details["codes"]),
        row.event_id,
    )
