"""Rows of what the officer did and what went wrong: codes, counts and dates only, never a member and no free text."""

from datetime import date, datetime

from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable


class ComplianceRecordRow(MainTable, table=True):
    """One duty that was done: a drill, an audit, a filing, an assessment. Never changed."""

    __tablename__ = "compliance_record"

    record_id: str = Field(primary_key=True)
    kind: str = Field(index=True)
    done_on: date
    subject: str = ""
    """What it is about, where the kind has one: a recipient or an assessment of the policy."""
    ticket: str = ""
    details: str = "{}"
    """JSON: whole numbers by name, codes by name."""
    event_id: str
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class IncidentRow(MainTable, table=True):
    """One incident, as it was known when it was opened; what became of it are its steps."""

    __tablename__ = "incident"

    incident_id: str = Field(primary_key=True)
    detected_at: datetime = Field(sa_type=UtcDateTime)
    cause: str
    larger: bool
    """Of the level "larger" or above (INC-4)."""
    facts: str
    """JSON: categories, harms, remedies, advice (codes), people, sensitive_people, minors."""
    event_id: str
    opened_at: datetime = Field(sa_type=UtcDateTime)


class IncidentStepRow(MainTable, table=True):
    """What was done about an incident, each step once: authority, members, waived, closed."""

    __tablename__ = "incident_step"

    incident_id: str = Field(primary_key=True, foreign_key="incident.incident_id")
    step: str = Field(primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    event_id: str
    recorded_at: datetime = Field(sa_type=UtcDateTime)
