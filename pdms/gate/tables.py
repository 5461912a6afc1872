"""Tables of the gate: which policy was in force, and since when."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable
from pdms.taxonomy import ID_BYTES


class PolicyVersion(MainTable, table=True):
    """One activation of a policy: its whole canonical form, so that a past decision can be replayed."""

    __tablename__ = "policy_version"

    number: int | None = Field(default=None, primary_key=True)
    digest: str = Field(max_length=64, index=True)
    content: str
    """Canonical JSON of everything that decides."""
    activated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    actor: str = Field(max_length=64)


class SetState(MainTable, table=True):
    """One row: how the packed state of all members is cut. Absent: it is not made yet."""

    __tablename__ = "set_state"

    row_no: int = Field(primary_key=True)
    bits: int
    """Leading bits of a member id that name its bucket."""
    members: int


class SetPage(MainTable, table=True):
    """One column of one bucket of members, packed (`gate.columns`): a copy, made anew from the tables at any time."""

    __tablename__ = "set_page"

    page_no: int = Field(sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True))
    """Column number * 2^20 + bucket."""
    body: bytes


class SetName(MainTable, table=True):
    """Numbers of what is packed: columns, sets of wishes, sets of notices shown. A number never changes its meaning."""

    __tablename__ = "set_name"
    __table_args__ = (Index("set_name_text", "kind", "text", unique=True),)

    number: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=16)
    text: str


class ExportedMember(MainTable, table=True):
    """Whose data went abroad in a year (XBF-7, 8); the id is random and stays, as in the log."""

    __tablename__ = "exported_member"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - as SQLAlchemy reads it

    year: int = Field(primary_key=True)
    member_id: bytes = Field(sa_column=Column(LargeBinary(ID_BYTES), primary_key=True))
    sensitive: bool


class ExportCount(MainTable, table=True):
    """How many they are: counted with each, since a count of them all would cost more with each."""

    __tablename__ = "export_count"

    year: int = Field(primary_key=True)
    people: int
    sensitive: int
