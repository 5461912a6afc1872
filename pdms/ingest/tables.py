"""Progress of loads. No value of any file is kept: row numbers, field names, rules and counts only."""

from datetime import datetime

from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable


class LoadTable(MainTable, table=True):
    """One run over one file or table. A load that is not finished is continued by the next run over the same one."""

    __tablename__ = "ingest_load"

    load_id: str = Field(primary_key=True)
    """Keyed digest of content, source and policy (32 hex digits), and the number of the run."""
    source: str
    kind: str
    batch_rows: int
    """Batches are cut the same way when a load is continued."""
    rows: int
    """Rows of the file; of a table, when the run began."""
    next_batch: int
    """Batches committed so far."""
    position: bytes | None = None
    """For a table as source: the key of the last row stored, sealed, since it may be a person's number."""
    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    accepted: int = 0
    rejected: int = 0
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RejectedRowTable(MainTable, table=True):
    """One rejected row: where it stood, what was wrong."""

    __tablename__ = "ingest_rejected"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    load_id: str = Field(primary_key=True)
    row: int = Field(primary_key=True)
    field: str
    rule: str
