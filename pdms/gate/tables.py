"""Tables of the gate: which policy was in force, and since when."""

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable


class PolicyVersion(MainTable, table=True):
    """One activation of a policy: its whole canonical form, so that a past decision can be replayed."""

    __tablename__ = "policy_version"

    number: int | None = Field(default=None, primary_key=True)
    digest: str = Field(max_length=64, index=True)
    content: str
    """Canonical JSON of everything that decides."""
    activated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    actor: str = Field(max_length=64)
