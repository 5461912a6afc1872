"""Rows of subject requests (`vault.db`) and of records kept by statute (`held.db`)."""

from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import Column, LargeBinary, false
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import HeldTable, MainTable


class SubjectRequestRow(MainTable, table=True):
    """One request. `detail` is sealed: a correction's new value is the member's data."""

    __tablename__ = "subject_request"

    request_id: str = Field(primary_key=True)
    number: str = Field(unique=True)
    member_id: bytes = Field(sa_column=Column(LargeBinary(16), nullable=False, index=True))
    type: str
    state: str = Field(index=True)
    received_at: datetime = Field(sa_type=UtcDateTime)
    due_on: date = Field(index=True)
    due_provisional: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Counted while the calendar of a year on the way was unpublished; the sweep counts it again once it is there."""
    requester: str = Field(default="member", sa_column_kwargs={"server_default": "member"})
    interest: str | None = None
    """For what kin asks (PIPL-49)."""
    evidence: str | None = None
    """Reference of the proof that was seen of a guardian or of kin; the proof itself is not kept (NDR-23)."""
    proven_by: str | None = None
    """The operator who accepted that proof: another one carries the request out."""
    identity_method: str | None = None
    field: str | None = None
    """Field to correct (corrections only)."""
    detail: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    refusal_code: str | None = None
    refusal_article: str | None = None
    letter: str | None = None
    """The refusal in writing (JSON, by language): number, day, ground and article; no member data."""
    code_digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """Keyed digest of the one-time code sent to the contact on file."""
    code_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    code_tries: int = 0
    receipt: str | None = None
    """Signed receipt (JSON): codes, counts, articles and instants; no member data."""
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ErasureStepRow(MainTable, table=True):
    """One acknowledged step of an erasure; an erasure that was cut off goes on after the last of them."""

    __tablename__ = "erasure_step"

    request_id: str = Field(primary_key=True)
    step: str = Field(primary_key=True)
    done_at: datetime = Field(sa_type=UtcDateTime)
    counts: str
    """JSON object of numbers."""


class AccessPackageRow(MainTable, table=True):
    """One sealed access package behind its one-time link; the key is in the link only."""

    __tablename__ = "access_package"

    package_id: str = Field(primary_key=True)
    request_id: str = Field(index=True)
    member_id: bytes = Field(sa_column=Column(LargeBinary(16), nullable=False, index=True))
    link_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PurgeRow(MainTable, table=True):
    """A member whose data of some categories have lost their last basis and await removal (PIPL-47-1)."""

    __tablename__ = "purge_queue"

    member_id: bytes = Field(sa_column=Column(LargeBinary(16), primary_key=True))
    fact_table: str = Field(primary_key=True)
    queued_at: datetime = Field(sa_type=UtcDateTime)
    due_on: date


class HeldRecordRow(HeldTable, table=True):
    """One order kept by statute after an erasure, under a fresh id and a key of its own.

    No member id, no pseudonym, no external id: nothing here leads back to what was erased.
    """

    __tablename__ = "held_record"
    __table_args__: ClassVar = {"sqlite_with_rowid": False}  # row numbers would tell the order in which members left

    held_id: str = Field(primary_key=True)
    batch: str = Field(index=True)
    """Keyed digest of the erasure that makes it, so that a repeated step replaces its own rows; then ""."""
    order_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, index=True))
    """Keyed digest of the order number: a case names the order, never the member."""
    month: str = Field(index=True)
    """YYYY-MM of expiry; the month's key wraps the record's key, and dies with the month."""
    article: str
    wrapped_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
