"""Saved segments, in `anon.db`: rules and nothing else."""

from datetime import datetime

from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import AnonTable


class SegmentRow(AnonTable, table=True):
    """One saved rule; `document` is its canonical JSON, `digest` the SHA-256 of view and document."""

    __tablename__ = "segment"

    name: str = Field(primary_key=True)
    view: str
    label: str
    document: str
    digest: str
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
