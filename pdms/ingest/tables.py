"""Progress of loads. No value of any file is kept: row numbers, field names, rules and counts only."""

from datetime import datetime

from sqlalchemy import BigInteger, Integer
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable

ROWS = BigInteger().with_variant(Integer(), "sqlite")
"""A file of events may have more than 2³¹ rows; SQLite's integers have eight bytes anyway."""


class LoadTable(MainTable, table=True):
    """One run over one file or table. A load that is not finished is continued by the next run over the same one."""

    __tablename__ = "ingest_load"

    load_id: str = Field(primary_key=True)
    """Keyed digest of content, source and policy (32 hex digits), and the number of the run."""
    source: str
    kind: str
    batch_rows: int
    """Batches are cut the same way when a load is continued."""
    rows: int = Field(sa_type=ROWS)
    """Rows of the file; of a table, when the run began."""
    next_batch: int
    """Batches committed so far."""
    position: bytes | None = None
    """For a table as source: the key of the last row stored, sealed, since it may be a person's number."""
    read: int = Field(default=0, sa_type=ROWS)
    created: int = Field(default=0, sa_type=ROWS)
    updated: int = Field(default=0, sa_type=ROWS)
    unchanged: int = Field(default=0, sa_type=ROWS)
    accepted: int = Field(default=0, sa_type=ROWS)
    rejected: int = Field(default=0, sa_type=ROWS)
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RejectedRowTable(MainTable, table=True):
    """One rejected row: where it stood, what was wrong."""

    __tablename__ = "ingest_rejected"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  # SQLAlchemy's own attribute

    load_id: str = Field(primary_key=True)
    row: int = Field(sa_type=ROWS, primary_key=True)
    field: str
    rule: str
