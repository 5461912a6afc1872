"""Publications as the officer sees them, and the release ledger: on the identified side, exact."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable


class Publication(MainTable, table=True):
    """One attempt to publish a view, from its intent to its outcome."""

    __tablename__ = "publication"

    number: int | None = Field(default=None, primary_key=True)
    """In the order of their intents; instants may be equal."""
    release_id: str = Field(unique=True)
    view: str = Field(index=True)
    purpose: str
    state: str = Field(index=True)
    """A `publish.service.PublicationState`."""
    overtaken: bool = False
    """A basis was lost after the eligible set was taken: take it again, or once published call the release stale."""
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    manifest: str | None = None
    """The exact manifest as signed JSON, once published."""
    family: str | None = None
    """Family of the view, once published; None before there was a ledger."""


class LedgerFamily(MainTable, table=True):
    """The rows of classes that subjects hold in the live releases of a family (see `anonymize.ledger_rows`)."""

    __tablename__ = "ledger_family"

    family: str = Field(primary_key=True)
    version: int
    """One more with each change: a publication that began with another is overtaken."""
    releases: str
    """JSON list of release ids, in the order of the columns."""
    classes: bytes = Field(sa_type=LargeBinary)
    """int32 [rows, releases], little-endian."""
    erased: bytes = Field(sa_type=LargeBinary)
    """int64 [rows], little-endian: members that were erased, as a count."""


class LedgerPage(MainTable, table=True):
    """Which row the subjects hold whose pseudonyms begin with one byte."""

    __tablename__ = "ledger_page"

    family: str = Field(primary_key=True)
    page: int = Field(primary_key=True)
    subjects: bytes = Field(sa_type=LargeBinary)
    """Pseudonyms, 16 bytes each, ascending."""
    rows: bytes = Field(sa_type=LargeBinary)
    """int32 [subjects], little-endian: number of the row."""
